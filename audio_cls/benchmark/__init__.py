"""Benchmark: speed, memory and accuracy against transformers' Trainer on one machine.

scripts/benchmark.py starts it; nothing else of the package needs it. `cases` says what is measured,
`sounds` and `shapes` make the clips and the checkpoints, `child` is one contender in a process of
its own, `measure` weighs the machine, `table` tells the result.
"""
