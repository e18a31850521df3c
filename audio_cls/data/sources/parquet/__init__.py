"""Parquet files: row groups, column types and the Hub's converted copies."""
