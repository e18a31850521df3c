"""Data loading: data set id -> splits -> decoded clips -> batches. Imports nothing from models."""
