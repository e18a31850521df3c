"""Processes, precision and hardware: the only package that imports accelerate."""
