"""Training: start of a run, loop, progress, stopping."""
