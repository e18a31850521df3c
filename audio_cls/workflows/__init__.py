"""The workflows behind the commands: train, evaluate, several runs, dry run."""
