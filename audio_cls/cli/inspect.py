"""Command `inspect`: summarise a data set before training on it."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from audio_cls.cli.options.commands import PRESET_KEY
from audio_cls.cli.options.config_options import settings_command
from audio_cls.command_names import format_command
from audio_cls.config import RunConfig, flag_name
from audio_cls.errors import DatasetError

logger = logging.getLogger(__name__)

# Settings that decide which clips and labels there are, and which columns have a use.
SETTINGS = (
    "dataset",
    "dataset_config",
    "dataset_revision",
    "allow_partial",
    "audio_root",
    "audio_column",
    "start_column",
    "end_column",
    "duration_column",
    "min_clip_seconds",
    "max_clip_seconds",
    "label_column",
    "label_columns",
    "label_level",
    "label_pattern",
    "label_separator",
    "problem_type",
    "keep_labels",
    "drop_labels",
    "min_clips_per_label",
    "merge_rare_into",
    "keywords",
    "unknown_from",
    "silence_from",
    "silence_seconds",
    "group_column",
    "group_pattern",
    "train_split",
    "validation_split",
    "test_split",
)
# Accepted, from a preset above all: a column that they use is not reported as unused.
HIDDEN = ("fold_column", "folds", "fold", "split_files", "split_method")
OPTIONS = (
    click.option(
        "--report",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE.html",
        help="Also write a web page with histograms and clips to listen to.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
)


@settings_command(
    SETTINGS,
    hidden=HIDDEN,
    options=OPTIONS,
    program="inspect",
    examples=("--dataset my_clips", "--dataset marsyas/gtzan --report gtzan.html"),
    settings=(*SETTINGS, *HIDDEN),
)
def main(cfg: RunConfig) -> None:
    """Summarise a data set: classes, durations, unusable files, duplicates.

    Every clip is read once; no model is used. Ends with a command that trains on the data set.
    """
    # Not at the top of the file, so that --help need not wait for datasets.
    from audio_cls.data.inspection.html_report import write_html_report
    from audio_cls.data.inspection.scan import open_scan
    from audio_cls.data.inspection.summary import summarize
    from audio_cls.data.inspection.text_report import format_summary
    from audio_cls.progress import ProgressReport

    dataset = cfg.data.require_dataset()
    ctx = click.get_current_context()
    options, preset = ctx.params, ctx.meta.get(PRESET_KEY)
    typed = _list_typed(ctx)
    chosen = preset.choose_values(dataset) if preset is not None else {}
    scan = open_scan(cfg.data)
    is_label_given = cfg.data.label_column or cfg.data.label_columns or cfg.data.label_pattern
    if scan.label_error is not None and is_label_given:
        raise DatasetError(scan.label_error)
    with ProgressReport("Reading", scan.num_clips, logger) as report:
        for done in scan.read():
            report.done = done
    with ProgressReport("Comparing", None, logger):
        summary = summarize(scan, {**chosen, **typed})
    command = _make_command(ctx, summary, {**chosen, **typed}) if scan.labels else ""
    if options["report"] is not None:
        write_html_report(options["report"], summary, scan)
        click.echo(f"Written: {options['report']}", err=True)
    if options["as_json"]:
        click.echo(json.dumps({**summary, "command": command}, ensure_ascii=False))
    else:
        click.echo(format_summary(summary, command))


def _list_typed(ctx: click.Context) -> dict[str, Any]:
    """Return the settings and the preset that were given on the command line."""
    source = click.core.ParameterSource.COMMANDLINE
    names = ("preset", *SETTINGS, *HIDDEN)
    return {n: ctx.params[n] for n in names if ctx.get_parameter_source(n) is source}


def _make_command(ctx: click.Context, summary: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    """Return the line that trains on the data set, with what was typed and what is suggested.

    Args:
        ctx: The command's context.
        summary: See `summarize`.
        chosen: Settings of the preset and the command line.
    """
    words: list[str] = []
    for name, value in _list_typed(ctx).items():
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value or "")
        is_switch = isinstance(value, bool)
        words += [flag_name(name) if value else f"--no-{flag_name(name)[2:]}"] if is_switch else (
            [flag_name(name), text]
        )  # fmt: skip
    if not {"label_column", "label_columns", "label_pattern"} & chosen.keys():
        words += ["--label-column", str(summary["dataset"]["label_column"])]
    words += shlex.split(summary["suggested"].get("flags", ""))
    command = format_command("train", *words)
    is_script = command.startswith("python ") and not command.startswith("python -m ")
    return f"accelerate launch {command.removeprefix('python ')}" if is_script else command


if __name__ == "__main__":
    main()
