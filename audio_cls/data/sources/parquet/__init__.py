"""Parquet files: class labels, row groups, and the copies that the Hub converts."""
