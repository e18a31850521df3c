"""Train, validation and test as row numbers of one index of clips."""
