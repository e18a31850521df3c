"""Faster forward and backward passes for modules of transformers, mostly on a CPU.

Each file replaces the forward of one kind of module, in the instance only: classes, weights and
names of parameters do not change, and saved models are not affected. Results are equal to those
of transformers except for rounding: exactness.py checks output and gradients in every model that is
loaded, and so do the tests in tests/models/kernels/. Two files are for correct results, not speed:
short_clip_masking.py and unpadded_conv.py.
"""
