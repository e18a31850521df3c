"""Freezing, layer groups and LoRA."""
