"""Command `benchmark`: measure audio_cls against transformers' Trainer on this machine.

    audio-cls benchmark --case gtzan
    audio-cls benchmark --case all --json > result.json
    audio-cls benchmark --case growth --clips 1000,10000,100000
    audio-cls benchmark --case presets --preset emotion
    audio-cls benchmark --case gtzan --profile

Clips and checkpoints are generated; nothing is downloaded. `--full` is sized for a GPU.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import click

from audio_cls.benchmark.cases import CASES, CONTENDERS, GROUPS, RECIPES
from audio_cls.cli.options.base_command import BaseCommand


def read_counts(option: click.Parameter, text: str) -> tuple[int, ...]:
    """Return comma-separated numbers."""
    counts = text.split(",")
    if not all(count.isdecimal() and int(count) for count in counts):
        raise click.BadParameter(
            f"'{text}' is not a list of whole numbers such as 1000,10000.", param=option
        )
    return tuple(map(int, counts))


@click.command(
    cls=BaseCommand,
    program="benchmark",
    examples=("--case gtzan", "--case all --json > result.json"),
    context_settings={"show_default": True},
)
@click.option(
    "--case",
    "name",
    type=click.Choice([*dict.fromkeys([*GROUPS, *CASES]), "growth", "presets", "all"]),
    default="gtzan",
    metavar="CASE",
    help=f"Case to measure: {', '.join(CASES)}; gtzan and keywords are all cases of that name;"
    " growth and presets measure audio_cls alone; all: every case but these two.",
)
@click.option(
    "--contender",
    "contenders",
    type=click.Choice(list(CONTENDERS)),
    multiple=True,
    default=list(CONTENDERS),
    metavar="NAME",
    help=f"Program to measure: {', '.join(CONTENDERS)}; may be repeated. Default: all.",
    show_default=False,
)
@click.option("--repeats", default=1, help="Runs per contender; the fastest one counts.")
@click.option("--profile", is_flag=True, help="Profile one training step of audio_cls instead.")
@click.option("--full", is_flag=True, help="Use the size of the whole data sets; for a GPU.")
@click.option(
    "--clips",
    default="1000,10000,100000",
    callback=lambda _, option, text: read_counts(option, text),
    help="With --case growth: numbers of clips, comma-separated.",
)
@click.option(
    "--preset",
    "presets",
    type=click.Choice(list(RECIPES)),
    multiple=True,
    default=list(RECIPES),
    metavar="PRESET",
    help="With --case presets: preset to measure; may be repeated. Default: all with a model from"
    " the Hub.",
    show_default=False,
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object; the tables go to standard error.",
)
def main(  # noqa: PLR0913 (one argument per option)
    *,
    name: str,
    contenders: tuple[str, ...],
    repeats: int,
    profile: bool,
    full: bool,
    clips: tuple[int, ...],
    presets: tuple[str, ...],
    as_json: bool,
) -> None:
    """Measure audio_cls against transformers' Trainer on this machine."""
    if name in ("growth", "presets") and profile:
        raise click.UsageError(
            f"--profile cannot be used with --case {name}: leave it out, or choose another case."
        )
    # Not at the top of the file, so that --help need not wait for torch.
    import torch

    from audio_cls.benchmark import machine as measure
    from audio_cls.benchmark import preset_cost, runner, scaling, tables

    machine, gpu = measure.describe_machine(), torch.cuda.is_available()
    results: dict[str, Any] = {}
    say = functools.partial(click.echo, err=as_json)  # stdout is for the JSON
    say(tables.format_machine(machine))
    if name == "growth":
        results[name] = scaling.measure_growth(clips, gpu=gpu)
        say(scaling.format_growth(results[name]))
    if name == "presets":
        results[name] = {}
        say(preset_cost.format_heading(full=full))
        for preset in presets:
            results[name][preset] = preset_cost.measure_preset(preset, full=full)
            say(preset_cost.format_row(preset, results[name][preset]))
    names = [one for group, own in GROUPS.items() for one in own if name in (group, one, "all")]
    for one in names:
        case = CASES[one].enlarge() if full else CASES[one]
        if profile:
            results[one] = runner.profile(case, gpu=gpu)
            say(f"### {one}\n\n{results[one]}")
        else:
            found = runner.compare(case, repeats=repeats, gpu=gpu, names=contenders)
            results[one] = found
            say(tables.format_result(one, found))
    if as_json:
        click.echo(json.dumps({"machine": machine, "cases": results}))


if __name__ == "__main__":
    main()
