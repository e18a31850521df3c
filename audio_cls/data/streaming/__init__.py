"""Training clips that are fetched and decoded while training runs."""
