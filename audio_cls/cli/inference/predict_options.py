"""Options of the command `predict`, by section; those of the model are those of `embed`, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from audio_cls.cli.options import model_options
from audio_cls.cli.options.base_command import HELP_ALL, HelpOption

PATH = click.Path(path_type=Path)
FORMATS = ("table", "csv", "jsonl", "parquet", "raven")
SAMPLE_FORMATS = ("u8", "s16le", "s24le", "s32le", "f32le")
POSITIVE = click.IntRange(min=1)
SHARE = click.FloatRange(0, 1)
SECONDS = click.FloatRange(min=0)
INPUT, OUTPUT = "Input", "Output"
LONG, MODEL = "Long recordings", "Model and speed"


def option(
    *names: str,
    heading: str,
    is_common: bool = False,
    **words: Any,  # noqa: ANN401
) -> Callable[[Any], Any]:
    """Return an option under a heading; the short help shows the common ones."""
    return click.option(*names, cls=HelpOption, heading=heading, is_common=is_common, **words)


def with_options(options: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """Return a decorator that adds options to a command, in their order in the help."""

    def add(command: Any) -> Any:  # noqa: ANN401 (a function or a command)
        for one in reversed(options):
            command = one(command)
        return command

    return add


MODEL_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    option(
        "--batch-size",
        heading=MODEL,
        is_common=True,
        type=POSITIVE,
        metavar="N",
        help="Windows of one forward pass, at most. Default: 16.",
    ),
    model_options.device(heading=MODEL, is_common=True),
    option(
        "--dtype",
        heading=MODEL,
        type=click.Choice(("float32", "bfloat16", "float16")),
        help="Type of the numbers in the model. Default: float32.",
    ),
    option(
        "--num-workers",
        heading=MODEL,
        type=click.IntRange(min=0),
        metavar="N",
        help="Threads that decode. Default: 2.",
    ),
    model_options.revision(heading=MODEL, is_common=False),
    model_options.trust_remote_code(heading=MODEL, is_common=False),
)
OPTIONS: tuple[Callable[[Any], Any], ...] = (
    option(
        "--format",
        heading=OUTPUT,
        is_common=True,
        type=click.Choice(FORMATS),
        help="raven: one selection table of all events. Default: table on a terminal, jsonl in a"
        " pipe, else by the name of --output.",
    ),
    option(
        "--output",
        heading=OUTPUT,
        is_common=True,
        type=PATH,
        help="Write the rows to this file. The same call continues it after an interruption; a"
        " finished file is an error (exit code 2) without --overwrite.",
    ),
    option(
        "--overwrite",
        heading=OUTPUT,
        is_common=True,
        is_flag=True,
        help="Replace finished files, and unfinished ones of other settings.",
    ),
    option(
        "--top-k",
        heading=OUTPUT,
        is_common=True,
        type=POSITIVE,
        metavar="N",
        help="Scores per row, the largest ones. Default: all; in the table one.",
    ),
    option(
        "--threshold",
        heading=OUTPUT,
        is_common=True,
        type=SHARE,
        metavar="SCORE",
        help="The label is 'unknown' below this score; with several labels per clip: labels have"
        " at least this score.",
    ),
    option(
        "--embeddings",
        heading=OUTPUT,
        type=PATH,
        metavar="FILE.parquet",
        help="Write also the embedding of each file: the input of the last linear layer.",
    ),
    option(
        "--strict",
        heading=OUTPUT,
        is_common=True,
        is_flag=True,
        help="Exit with code 1 if any file could not be read.",
    ),
    option("--csv", "as_csv", heading=OUTPUT, is_flag=True, help="Short for --format csv."),
    option("--jsonl", "as_jsonl", heading=OUTPUT, is_flag=True, help="Short for --format jsonl."),
    option(
        "--timeline",
        heading=LONG,
        is_common=True,
        is_flag=True,
        help="One row per window of each file: start and end in seconds, label, scores.",
    ),
    option(
        "--window-seconds",
        heading=LONG,
        is_common=True,
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="Length of a window. Default: as in evaluation.",
    ),
    option(
        "--hop-seconds",
        heading=LONG,
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help="From the start of a window to that of the next. Default: as in evaluation, or the"
        " length of a window.",
    ),
    option(
        "--overlap",
        heading=LONG,
        is_common=True,
        type=click.FloatRange(0, 1, max_open=True),
        metavar="SHARE",
        help="Share of a window that the next one has, too; instead of --hop-seconds.",
    ),
    option(
        "--merge",
        heading=LONG,
        is_common=True,
        is_flag=True,
        help="One row per event: neighbouring windows of one label, with their largest score.",
    ),
    option(
        "--max-gap",
        heading=LONG,
        type=SECONDS,
        metavar="SECONDS",
        help="Between windows of one event. Default: 0.",
    ),
    option(
        "--min-duration",
        heading=LONG,
        is_common=True,
        type=SECONDS,
        metavar="SECONDS",
        help="Leave out shorter events. Default: 0.",
    ),
    option(
        "--no-event",
        heading=LONG,
        multiple=True,
        metavar="LABEL",
        help="No events of this label, such as background noise. May be repeated.",
    ),
    option(
        "--labels-format",
        heading=LONG,
        is_common=True,
        type=click.Choice(("audacity", "raven")),
        help="Write the events of each file to a label file next to it or in --output-dir.",
    ),
    option(
        "--output-dir",
        heading=LONG,
        is_common=True,
        type=PATH,
        metavar="FOLDER",
        help="Folder for the label files.",
    ),
    option(
        "--cut-segments",
        heading=LONG,
        is_common=True,
        type=PATH,
        metavar="FOLDER",
        help="Cut the events out of the files, into FOLDER/LABEL.",
    ),
    option(
        "--files-from",
        heading=INPUT,
        is_common=True,
        metavar="FILE",
        help="Read the list of files from FILE, or from standard input by -: one per line, or"
        " ended by zero bytes.",
    ),
    option(
        "--watch",
        heading=INPUT,
        is_common=True,
        metavar="FOLDER",
        help="Classify the files of FOLDER, and new ones until Ctrl-C.",
    ),
    option(
        "--raw-rate",
        heading=INPUT,
        type=POSITIVE,
        metavar="HZ",
        help="Standard input (-) has samples without a header, at this rate.",
    ),
    option(
        "--raw-format",
        heading=INPUT,
        type=click.Choice(SAMPLE_FORMATS),
        help="Their encoding. Default: s16le.",
    ),
    option(
        "--raw-channels",
        heading=INPUT,
        type=POSITIVE,
        metavar="N",
        help="Their channels. Default: 1.",
    ),
    *MODEL_OPTIONS,
    model_options.calibrate(heading=MODEL, is_common=False),
    HELP_ALL,
)
