"""Evaluation of events: predicted events against annotated ones, matched by their onsets."""
