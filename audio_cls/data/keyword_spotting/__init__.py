"""Keyword spotting: relabel words, add `_unknown_` and `_silence_`."""
