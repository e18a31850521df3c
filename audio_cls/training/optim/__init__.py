"""Optimizer, learning-rate schedule, losses, class weights, EMA."""
