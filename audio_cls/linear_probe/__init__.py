"""Linear probe: logistic regression on each layer of a frozen encoder; the best is a checkpoint."""
