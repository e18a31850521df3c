"""Metrics, calibration, reports; the same code for validation, test and evaluate."""
