"""The label column: find it, parse it, map names to ids."""
