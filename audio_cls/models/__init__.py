"""Models: load a checkpoint, add a head, fine-tuning and CPU kernels."""
