"""What of a run may be published: paths, names and tokens are removed."""
