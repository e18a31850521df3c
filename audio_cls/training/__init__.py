"""Training loop, checkpoints and stopping."""
