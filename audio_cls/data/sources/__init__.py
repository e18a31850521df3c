"""Sources of data sets: the Hub, folders, files, URLs, streamed parquet files."""
