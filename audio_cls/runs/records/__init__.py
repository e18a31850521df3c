"""Parts of results.json."""
