#!/usr/bin/env python
"""Measure audio_cls beside transformers' Trainer: same clips, weights and settings, one run.

python scripts/benchmark.py --case gtzan
python scripts/benchmark.py --case all --json > result.json
python scripts/benchmark.py --case growth --clips 1000,10000,100000
python scripts/benchmark.py --case profile

Clips and checkpoints are generated; nothing is downloaded. `--full` is sized for a GPU.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Python looks in this folder first, where evaluate.py would hide the library of that name.
if os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
    sys.path[0] = str(Path(__file__).parents[1])

import functools
import json
from typing import Any

import click


@click.command(context_settings={"show_default": True})
@click.option(
    "--case",
    "name",
    type=click.Choice(["gtzan", "keywords", "mixed", "probe", "growth", "profile", "all"]),
    default="gtzan",
    help="What is measured; all: every case but growth and profile (of a step of gtzan).",
)
@click.option("--repeats", default=1, help="Runs of each contender, in turn; the best one counts.")
@click.option("--full", is_flag=True, help="Sizes for a GPU: the whole data sets' shapes.")
@click.option("--clips", default="1000,10000,100000", help="Numbers of clips, for growth.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
def main(name: str, repeats: int, full: bool, clips: str, as_json: bool) -> None:  # noqa: FBT001
    """Measure audio_cls beside transformers' Trainer on this machine."""
    import torch

    from audio_cls.benchmark import cases, compare, growth, measure, table

    machine, gpu = measure.describe_machine(), torch.cuda.is_available()
    results: dict[str, Any] = {}
    say = functools.partial(click.echo, err=as_json)  # beside the JSON, as each case is done
    say(table.format_machine(machine))
    if name == "growth":
        counts = tuple(int(count) for count in clips.split(","))
        results[name] = growth.measure_growth(counts, gpu=gpu)
        say(growth.format_growth(results[name]))
    elif name == "profile":
        results[name] = compare.profile(cases.CASES["gtzan"])
        say(results[name])
    else:
        names = [one for group in cases.GROUPS.values() for one in group]
        for one in names if name == "all" else cases.GROUPS[name]:
            case = cases.CASES[one].enlarge() if full else cases.CASES[one]
            results[one] = compare.compare(case, repeats=repeats, gpu=gpu)
            say(table.format_result(one, results[one]))
    if as_json:
        click.echo(json.dumps({"machine": machine, "cases": results}))


if __name__ == "__main__":
    main()
