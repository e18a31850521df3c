"""Label column: find it, parse it, map class names to label ids."""
