"""How fast, how large and how right audio_cls is beside transformers' Trainer, on one machine.

Not part of the package: scripts/benchmark.py starts it. `cases` says what is measured, `sounds` and
`shapes` make the clips and the checkpoints, `child` is one contender in a process of its own,
`measure` weighs the machine, `table` tells the result.
"""
