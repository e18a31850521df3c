"""Redaction of a run before publication: paths, names and tokens are removed."""
