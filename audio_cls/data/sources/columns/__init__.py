"""Columns of loaded tables: audio, clip ids, types of label columns."""
