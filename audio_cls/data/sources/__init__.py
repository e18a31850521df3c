"""Where a data set is read from: the Hub, a folder, tables, a URL, parquet files."""
