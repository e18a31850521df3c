"""Summary of a data set: scan, text and HTML report."""
