"""Run folders: files, configuration, resume, several runs of one command."""
