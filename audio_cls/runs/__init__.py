"""Run folders: files, configuration, results, resume."""
