"""Click options made from `audio_cls.config`: one flag per setting, presets as defaults.

Precedence is flag > preset > default. It comes from click itself: a preset becomes the context's
`default_map`, whose values pass the same conversion as a typed flag. `--preset p.yaml --help` shows
the defaults in force.
"""

from __future__ import annotations

import functools
import logging
import sys
import typing
from collections.abc import Callable, Collection
from typing import Any

import click
from click.core import ParameterSource

from audio_cls.cli.console import hide_library_bars, is_first_process, logger, one_line_errors
from audio_cls.cli.options.commands import SettingsCommand
from audio_cls.cli.options.param_types import CommaSeparated, CountOrWord, NumberRange, OrEmpty
from audio_cls.cli.options.preset_options import PRESET_OPTIONS
from audio_cls.config import (
    CountOrAuto,
    Range,
    RunConfig,
    Setting,
    drop_unused,
    flag_name,
    iterate_settings,
)


def make_option(one: Setting) -> Callable[[Any], Any]:
    """Turn one setting into a click option with its default, range and meaning in the help."""
    flag = flag_name(one.name)
    notes = [one.allowed] if one.allowed else []
    meaning = one.meaning + (f" [{'; '.join(notes)}]" if notes else "")
    if one.type is bool:
        default = None if one.is_optional else one.default
        return click.option(
            f"{flag}/--no-{flag[2:]}", one.name, default=default, help=meaning, show_default=True
        )
    kind: Any = one.type
    if one.choices:
        kind = click.Choice(one.choices)
    elif one.type == Range:
        kind = NumberRange()
    elif one.type == CountOrAuto:
        kind = CountOrWord()
    elif one.type not in (str, int, float):
        kind = CommaSeparated(typing.get_args(one.type)[0])
    if one.is_optional:
        kind = OrEmpty(click.types.convert_type(kind))
    return click.option(
        flag,
        one.name,
        type=kind,
        default=one.default,
        help=meaning,
        show_default=not one.is_optional,
    )


def settings_command(*sections: str) -> Callable[[Callable[[RunConfig], None]], click.Command]:
    """Make a function of a `RunConfig` into a command with one option a setting.

    Args:
        sections: The sections of settings the command takes; none for all of them.

    Returns:
        A decorator. The command calls the function with the resolved settings; an `AudioClsError`
        from it becomes one line on standard error and exit code 2.
    """

    def decorate(function: Callable[[RunConfig], None]) -> click.Command:
        @functools.wraps(function)
        def run(**typed: Any) -> None:  # noqa: ANN401
            typed.pop("preset")
            optional = {one.name for one in iterate_settings() if one.is_optional}
            for name in optional & typed.keys():  # --test-split "" switches a preset's value off
                typed[name] = None if typed[name] == "" else typed[name]
            with one_line_errors():
                values = drop_unused(typed, keep=_list_typed(typed))
                names = {one.name for one in iterate_settings()}
                cfg = RunConfig.from_flat({n: v for n, v in values.items() if n in names})
                logger.setLevel(_choose_level(cfg))
                if not (logger.isEnabledFor(logging.INFO) and sys.stderr.isatty()):
                    hide_library_bars()
                function(cfg)

        command: Any = run
        for one in reversed(list(iterate_settings(*sections))):
            command = make_option(one)(command)
        for option in PRESET_OPTIONS:
            command = option(command)
        command = click.option(
            "--preset",
            metavar="NAME|FILE.yaml",
            help="Settings to start from: a shipped preset or a file; flags beat it.",
        )(command)
        width = {"max_content_width": 110, "help_option_names": ["-h", "--help"]}
        return click.command(cls=SettingsCommand, context_settings=width)(command)

    return decorate


def _list_typed(names: Collection[str]) -> list[str]:
    """Return the settings that were typed, not taken from a preset or a default."""
    ctx = click.get_current_context()
    return [n for n in names if ctx.get_parameter_source(n) is ParameterSource.COMMANDLINE]


def _choose_level(cfg: RunConfig) -> int:
    """Return which messages are shown: one process speaks, and in quiet and JSON only to warn."""
    if not is_first_process():
        return logging.CRITICAL
    return logging.INFO if cfg.train.log == "text" else logging.WARNING
