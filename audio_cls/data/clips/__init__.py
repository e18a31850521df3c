"""Decoded clips: the decode cache, clip metadata and unusable clips."""
