"""Samplers, datasets, collate function and data loaders."""
