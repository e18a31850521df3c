"""Settings of the data set, in four groups."""
