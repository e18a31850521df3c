"""Command `inspect`: summarise a data set before training on it."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from audio_cls.cli.console import echo_stderr
from audio_cls.cli.options.base_command import HELP_ALL
from audio_cls.cli.options.commands import PRESET_KEY
from audio_cls.cli.options.config_options import read_config, settings_command
from audio_cls.command_names import format_command
from audio_cls.config import DataConfig, RunConfig, flag_name, iterate_settings
from audio_cls.config.data.labels import KeywordSettings, LabelSettings
from audio_cls.config.data.splits import SplitSettings
from audio_cls.errors import AudioClsError, DatasetError
from audio_cls.run_warnings import collect_warnings, mute_warnings

if TYPE_CHECKING:
    from audio_cls.data.inspection.scan import DatasetScan

logger = logging.getLogger(__name__)

# Every setting of the data, and those of training that the printed command depends on.
SETTINGS = (
    *(
        one.name
        for one in iterate_settings("data")
        if one.name not in ("streaming", "shuffle_buffer")
    ),
    *("max_seconds", "model", "model_revision", "batch_size", "metric"),
)
COMMON = ("label_columns", "label_pattern", "group_pattern", "test_groups")
OPTIONS = (
    click.option(
        "--report",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE.html",
        help="Also write a web page with histograms and clips to listen to.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
    HELP_ALL,
)


@settings_command(
    SETTINGS,
    common=COMMON,
    options=OPTIONS,
    program="inspect",
    examples=("--dataset my_clips", "--dataset marsyas/gtzan --report gtzan.html"),
    settings=SETTINGS,
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
    collect_warnings()  # so that each is shown once
    ctx = click.get_current_context()
    options, preset = ctx.params, ctx.meta.get(PRESET_KEY)
    typed = _list_typed(ctx)
    chosen = preset.choose_values(dataset) if preset is not None else {}
    scan = open_scan(cfg.data)
    check_settings(scan, cfg.data, typed)
    with ProgressReport("Reading", scan.num_clips, logger) as report:
        for done in scan.read():
            report.done = done
    with ProgressReport("Comparing", None, logger):
        summary = summarize(scan, {**chosen, **typed})
    command = ""
    if scan.labels is not None:
        words = _list_words(typed, summary, {**chosen, **typed})
        command = format_command("train", *words, is_launched=True)
        summary["train_error"] = _try_command(scan, words)
        command = "" if summary["train_error"] else command
    if options["report"] is not None:
        write_html_report(options["report"], summary, scan)
        echo_stderr(f"Written: {options['report']}")
    if options["as_json"]:
        click.echo(json.dumps({**summary, "command": command}, ensure_ascii=False))
    else:
        click.echo(format_summary(summary, command))


def _list_typed(ctx: click.Context) -> dict[str, Any]:
    """Return the settings and the preset that were given on the command line."""
    source = click.core.ParameterSource.COMMANDLINE
    return {
        n: ctx.params[n] for n in ("preset", *SETTINGS) if ctx.get_parameter_source(n) is source
    }


def check_settings(scan: DatasetScan, cfg: DataConfig, typed: Collection[str]) -> None:
    """Refuse settings of labels, keywords and splits that training would refuse.

    An error about settings that the user did not type is in the report instead.

    Raises:
        DatasetError: They do not fit the data set.
    """
    is_label_given = cfg.label_column or cfg.label_columns or cfg.label_pattern
    for error, section in (
        (scan.keyword_error, KeywordSettings),
        (scan.label_error, LabelSettings),
        (scan.split_error, SplitSettings),
    ):
        is_typed = any(field.name in typed for field in dataclasses.fields(section))
        if error is not None and (is_typed or (section is LabelSettings and is_label_given)):
            raise DatasetError(error)


def _list_words(
    typed: Mapping[str, Any], summary: Mapping[str, Any], chosen: Mapping[str, Any]
) -> list[str]:
    """Return the arguments of `train`: what was typed and what is suggested.

    Args:
        typed: Settings and preset of the command line.
        summary: See `summarize`.
        chosen: Settings of the preset and the command line.
    """
    words: list[str] = []
    for name, value in typed.items():
        flag = flag_name(name)
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif isinstance(value, tuple):
            words += [flag, ",".join(map(str, value))]
        else:
            words += [flag, "" if value is None else str(value)]
    if not {"label_column", "label_columns", "label_pattern"} & chosen.keys():
        words += ["--label-column", str(summary["dataset"]["label_column"])]
    return [*words, *summary["suggested"].get("arguments", [])]


def _try_command(scan: DatasetScan, words: list[str]) -> str | None:
    """Return why `train` would refuse these arguments before its first step; None if not."""
    from audio_cls.cli.train import main as train

    try:
        with mute_warnings(), train.make_context("train", list(words)) as ctx:
            return scan.find_train_error(read_config(ctx.params).data)
    except AudioClsError as error:
        return str(error)


if __name__ == "__main__":
    main()
