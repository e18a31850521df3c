"""Workflows with events in recordings."""
