"""Files, caches, locks and memory-mapped tables; independent of clips and models."""
