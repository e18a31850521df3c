"""Benchmark: speed, memory and accuracy against transformers' Trainer on one machine.

Started by `audio-cls benchmark`; the rest of the package does not import it. `cases` lists what is
measured, `synthetic_clips` and `random_checkpoints` generate clips and checkpoints, `runner` starts
each contender in a new process (`contender`), `machine` describes the machine, `tables` formats the
results as Markdown.
"""
