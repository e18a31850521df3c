"""Ranking of the Hub's models of a data set."""
