"""Plain baseline: logistic regression on log-mel statistics, on the clips of a run."""
