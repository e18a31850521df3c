"""Prediction for many files: finding them, output formats, resuming, watching a folder."""
