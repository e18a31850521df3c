"""Models: load a checkpoint, add a classification head, fine-tuning and CPU kernels."""
