"""Keyword spotting: the classes `_unknown_` and `_silence_`."""
