"""Waveform augmentation, mixup and SpecAugment."""
