"""Metrics, confidence intervals, calibration and thresholds."""
