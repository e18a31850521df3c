"""Pooling of hidden states over the frames of audio."""
