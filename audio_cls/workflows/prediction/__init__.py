"""Prediction of many files: request, events, the steps from files to rows."""
