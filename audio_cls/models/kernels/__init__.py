"""Faster forward methods for stock modules, with the same results."""
