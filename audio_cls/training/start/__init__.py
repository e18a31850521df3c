"""Start of a run: summary of what is trained, and the expected time."""
