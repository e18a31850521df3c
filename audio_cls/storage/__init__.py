"""Files that several runs share: locks and caches. Knows nothing of clips and models."""
