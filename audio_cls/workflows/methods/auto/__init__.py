"""The method auto: probe, fine-tuning from it, averages of weights, and the choice."""
