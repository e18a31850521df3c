"""Click options made from `audio_cls.config`: one flag per setting, presets as defaults.

A flag takes precedence over a preset, a preset over the default: a preset becomes the context's
`default_map`, whose values are converted as those of flags are. `--preset p.yaml --help` shows the
resulting defaults.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
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
    one: Setting, *, is_common: bool = True, shows_default: bool = True
) -> Callable[[Any], Any]:
    """Return the click option of a setting, with its default, range and help text.

    Args:
        one: The setting.
        is_common: Whether the short help shows it.
        shows_default: Whether the help shows its default.
    """
    flag = flag_name(one.name)
    words: dict[str, Any] = {
        "cls": HelpOption,
        "heading": one.group.heading,
        "is_common": is_common,
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


def read_config(typed: Mapping[str, Any]) -> RunConfig:
    """Return the settings of the current command: its flags, else its preset, else the defaults.

    Args:
        typed: Its parameters as click converted them; others than settings are left out.

    Raises:
        SettingError: Settings contradict each other, or one would have no effect.
    """
    optional = {one.name for one in iterate_settings() if one.is_optional} - {"output_dir"}
    # --test-split "" removes a preset's value
    given = {n: None if n in optional and value == "" else value for n, value in typed.items()}
    values = drop_unused(given, keep=_list_typed(given))
    names = {one.name for one in iterate_settings()}
    return RunConfig.from_flat({n: v for n, v in values.items() if n in names})


def settings_command(
    names: Collection[str] = (),
    *,
    common: Collection[str] = (),
    options: Sequence[Callable[[Any], Any]] = (),
    **words: Any,  # noqa: ANN401
) -> Callable[[Callable[[RunConfig], None]], click.Command]:
    """Return a decorator that makes a command with one option per setting from a function.

    The command calls the function with the resolved settings; an `AudioClsError` from it becomes
    one line on standard error and exit code 2.

    Args:
        names: The settings; empty for all of them.
        common: Settings in the short help, in addition to those with `is_common`.
        options: Further options, before the settings; their values are in `click.Context.params`.
        words: See `SettingsCommand`.
    """

    def decorate(function: Callable[[RunConfig], None]) -> click.Command:
        @functools.wraps(function)
        def run(**typed: Any) -> None:  # noqa: ANN401
            with one_line_errors():
                cfg = read_config(typed)
                set_log_level(cfg.train.log)
                function(cfg)

        command: Any = run
        for one in reversed(list(iterate_settings())):
            if not names or one.name in names:
                is_common = one.is_common or one.name in common
                command = make_option(one, is_common=is_common)(command)
        for option in reversed([PRESET, *options]):
            command = option(command)
        return click.command(cls=SettingsCommand, **words)(command)

    return decorate


def _list_typed(names: Collection[str]) -> list[str]:
    """Return the settings given on the command line, not by a preset or a default."""
    ctx = click.get_current_context()
    return [n for n in names if ctx.get_parameter_source(n) is ParameterSource.COMMANDLINE]
