"""Options of `audio-cls evaluate --events`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from audio_cls.cli.options.base_command import HelpOption

SECONDS = click.FloatRange(min=0)
POSITIVE = click.FloatRange(min=0, min_open=True)

EVENT_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--events",
        type=click.Path(path_type=Path),
        metavar="ANNOTATIONS",
        help="Evaluate events: label tracks of Audacity, selection tables of Raven, a folder of"
        " them, or a table with file, start, end and label. --predictions is then the output of"
        " `predict --timeline`, --audio-root the folder of the recordings.",
    ),
    click.option(
        "--tolerance",
        cls=HelpOption,
        type=SECONDS,
        metavar="SECONDS",
        help="Events: largest difference of the starts of two events that match. Default: 1.",
    ),
    click.option(
        "--threshold",
        cls=HelpOption,
        type=click.FloatRange(0, 1),
        metavar="SCORE",
        help="Events: least score of a window. Default: the label of every window.",
    ),
    click.option(
        "--max-gap",
        cls=HelpOption,
        is_common=False,
        type=SECONDS,
        metavar="SECONDS",
        help="Events: longest gap between windows of one event. Default: 0.",
    ),
    click.option(
        "--min-duration",
        cls=HelpOption,
        is_common=False,
        type=SECONDS,
        metavar="SECONDS",
        help="Events: leave out shorter ones. Default: 0.",
    ),
    click.option(
        "--no-event",
        cls=HelpOption,
        is_common=False,
        multiple=True,
        metavar="LABEL",
        help="Events: a label that is no event, such as background noise. May be repeated.",
    ),
    click.option(
        "--window-seconds",
        cls=HelpOption,
        is_common=False,
        type=POSITIVE,
        metavar="SECONDS",
        help="Events: length of a window.",
    ),
    click.option(
        "--hop-seconds",
        cls=HelpOption,
        is_common=False,
        type=POSITIVE,
        metavar="SECONDS",
        help="Events: from the start of a window to that of the next.",
    ),
    click.option(
        "--overlap",
        cls=HelpOption,
        is_common=False,
        type=click.FloatRange(0, 1, max_open=True),
        metavar="SHARE",
        help="Events: share of a window that the next one has, too; instead of --hop-seconds.",
    ),
)
EVENT_NAMES = (
    *("tolerance", "threshold", "max_gap", "min_duration", "no_event"),
    *("window_seconds", "hop_seconds", "overlap"),
)
USED_WITH_EVENTS = (  # other options of `evaluate` that --events uses
    *("model", "predictions", "model_revision", "trust_remote_code", "audio_root"),
    *("label_column", "label_map", "output_dir", "overwrite", "log"),
)


def collect_event_values(ctx: click.Context, values: dict[str, Any]) -> dict[str, Any] | None:
    """Return the values for an `EventRequest`; None without --events.

    Raises:
        click.UsageError: Options that are given do not fit together.
    """
    given = [
        name
        for name in values
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    if values["events"] is None:
        wrong = [name for name in given if name in EVENT_NAMES]
        text = "is an option of --events: give --events with the annotations."
    else:
        wrong = [n for n in given if n not in (*EVENT_NAMES, *USED_WITH_EVENTS, "events")]
        text = "is not used with --events: leave it out."
    if wrong:
        raise click.UsageError(f"--{wrong[0].replace('_', '-')} {text}", ctx)
    if values["events"] is None:
        return None
    names = {"events", *EVENT_NAMES, *USED_WITH_EVENTS}
    return {name: values[name] for name in names if values[name] is not None}
