"""Click options made from `audio_cls.config`: one flag per setting, presets as defaults.

A flag takes precedence over a preset, a preset over the default: a preset becomes the context's
`default_map`, whose values are converted as those of flags are. `--preset p.yaml --help` shows the
resulting defaults.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable, Collection, Sequence
from typing import Any

import click
from click.core import ParameterSource

from audio_cls.cli.console import one_line_errors, set_log_level
from audio_cls.cli.options.base_command import HelpOption
from audio_cls.cli.options.commands import SettingsCommand
from audio_cls.cli.options.param_types import CommaSeparated, CountOrWord, NumberRange, OrEmpty
from audio_cls.cli.options.preset_options import PRESET
from audio_cls.config import (
    CountOrAuto,
    Range,
    RunConfig,
    Setting,
    drop_unused,
    flag_name,
    iterate_settings,
)

METAVARS = {  # last word of a setting's name -> what --help shows for its value
    "column": "COLUMN",
    "db": "DB",
    "dir": "FOLDER",
    "gb": "GB",
    "minutes": "MINUTES",
    "pattern": "REGEX",
    "resume": "auto|PATH",
    "root": "FOLDER",
    "seconds": "SECONDS",
    "split": "SPLIT",
    "sweep": "FILE.yaml",
}


def make_option(
    one: Setting, *, is_common: bool = True, is_hidden: bool = False, shows_default: bool = True
) -> Callable[[Any], Any]:
    """Return the click option of a setting, with its default, range and help text.

    Args:
        one: The setting.
        is_common: Whether the short help shows it.
        is_hidden: Whether no help shows it.
        shows_default: Whether the help shows its default.
    """
    flag = flag_name(one.name)
    words: dict[str, Any] = {
        "cls": HelpOption,
        "heading": one.group.heading,
        "is_common": is_common,
        "hidden": is_hidden,
        "allowed": one.allowed,
        "help": one.meaning,
    }
    if one.type is bool:
        default = None if one.is_optional else one.default
        return click.option(
            f"{flag}/--no-{flag[2:]}",
            one.name,
            default=default,
            show_default=shows_default,
            **words,
        )
    if one.type in (str, int, float):
        unit = "N" if one.type is int else None
        words["metavar"] = METAVARS.get(one.name.rpartition("_")[2], unit)
    return click.option(
        flag,
        one.name,
        type=_choose_type(one),
        default=one.default,
        show_default=shows_default and not one.is_optional,
        **words,
    )


def _choose_type(one: Setting) -> click.ParamType[Any]:
    """Return the click type of a setting that is not a yes/no option."""
    kind: Any = one.type
    if one.choices:
        kind = click.Choice(one.choices)
    elif one.type == Range:
        kind = NumberRange()
    elif one.type == CountOrAuto:
        kind = CountOrWord()
    elif one.type not in (str, int, float):
        kind = CommaSeparated(typing.get_args(one.type)[0])
    return OrEmpty(click.types.convert_type(kind)) if one.is_optional else kind


def settings_command(
    names: Collection[str] = (),
    *,
    hidden: Collection[str] = (),
    options: Sequence[Callable[[Any], Any]] = (),
    **words: Any,  # noqa: ANN401
) -> Callable[[Callable[[RunConfig], None]], click.Command]:
    """Return a decorator that makes a command with one option per setting from a function.

    The command calls the function with the resolved settings; an `AudioClsError` from it becomes
    one line on standard error and exit code 2.

    Args:
        names: The settings; empty for all of them, which have a short help.
        hidden: Further settings, which its help does not show.
        options: Further options, before the settings; their values are in `click.Context.params`.
        words: See `SettingsCommand`.
    """
    has_short = not names

    def decorate(function: Callable[[RunConfig], None]) -> click.Command:
        @functools.wraps(function)
        def run(**typed: Any) -> None:  # noqa: ANN401
            optional = {one.name for one in iterate_settings() if one.is_optional}
            for name in optional & typed.keys():  # --test-split "" removes a preset's value
                typed[name] = None if typed[name] == "" else typed[name]
            with one_line_errors():
                values = drop_unused(typed, keep=_list_typed(typed))
                names = {one.name for one in iterate_settings()}
                cfg = RunConfig.from_flat({n: v for n, v in values.items() if n in names})
                set_log_level(cfg.train.log)
                function(cfg)

        command: Any = run
        for one in reversed(list(iterate_settings())):
            if not names or one.name in (*names, *hidden):
                is_common, is_hidden = one.is_common or not has_short, one.name in hidden
                command = make_option(one, is_common=is_common, is_hidden=is_hidden)(command)
        for option in reversed([PRESET, *options]):
            command = option(command)
        return click.command(cls=SettingsCommand, **words)(command)

    return decorate


def _list_typed(names: Collection[str]) -> list[str]:
    """Return the settings given on the command line, not by a preset or a default."""
    ctx = click.get_current_context()
    return [n for n in names if ctx.get_parameter_source(n) is ParameterSource.COMMANDLINE]
