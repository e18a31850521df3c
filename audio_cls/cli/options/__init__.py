"""Command-line options generated from the configuration."""
