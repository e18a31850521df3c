"""Tables (CSV, TSV, JSON, text) that list clips by path."""
