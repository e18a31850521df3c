"""Click options derived from `audio_cls.config`: one flag a setting, presets as defaults below it.

Precedence is flag > preset > default. It comes from click itself: a preset becomes the context's
`default_map`, whose values pass the same conversion as a typed flag. `--preset p.yaml --help` shows
the defaults in force.
"""

from __future__ import annotations

import functools
import logging
import textwrap
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import click
from click.core import ParameterSource

from audio_cls.cli.console import is_first_process, logger, one_line_errors, show_error
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
from audio_cls.errors import AudioClsError
from audio_cls.presets import Preset, find_preset_for, load_preset

PRESET_KEY = "audio_cls.preset"  # where the context keeps the preset in force


class OneLineCommand(click.Command):
    """A command that answers a mistyped flag by one line and exit code 2."""

    def main(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """Run the command."""
        try:
            options["standalone_mode"] = False
            return super().main(*args, **options)
        except click.UsageError as error:
            show_error(error.format_message())
            raise SystemExit(2) from None
        except click.Abort:
            raise SystemExit(130) from None


class SettingsCommand(OneLineCommand):
    """A command whose settings can come from a preset."""

    def __init__(self, *args: Any, settings: Collection[str] = (), **options: Any) -> None:  # noqa: ANN401
        """Make the command.

        Args:
            args: See `click.Command`.
            settings: The settings among its options; none for all. An option of the command's own
                may share a name with a setting, and no preset speaks for it.
            options: See `click.Command`.
        """
        super().__init__(*args, **options)
        self.settings = settings or {one.name for one in iterate_settings()}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Find the preset before the flags are read, and put its values below them."""
        typed, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        try:
            preset = _find_preset(typed.get("preset"), typed.get("dataset"))
        except AudioClsError as error:
            raise click.UsageError(str(error), ctx) from error
        if preset is not None:
            values = preset.choose_values(typed.get("dataset"))
            values |= preset.choose_folder(typed.get("resume"))
            _check_typed(preset.name, values, typed, ctx)
            own = {param.name for param in self.params if param.name in self.settings}
            own -= _list_strange(preset, typed)
            ctx.default_map = {name: value for name, value in values.items() if name in own}
        ctx.meta[PRESET_KEY] = preset
        return super().parse_args(ctx, args)


def _check_typed(
    preset: str, values: Mapping[str, Any], typed: Mapping[str, Any], ctx: click.Context
) -> None:
    """Refuse a preset that would run somebody's code: that is said by hand or not at all."""
    name = "trust_remote_code"
    wants = str(values.get(name, False)).lower() not in ("false", "no", "off", "0", "f", "n")
    if wants and typed.get(name) is None:
        raise click.UsageError(
            f"{preset} asks for {flag_name(name)}, which runs code from the model's "
            f"repository: a preset cannot allow that. Read the code, then type {flag_name(name)} "
            "yourself.",
            ctx,
        )


def _find_preset(name: str | None, dataset: str | None) -> Preset | None:
    """Take the preset that was asked for, else the one that calls the data set its own."""
    if name is not None:
        return load_preset(name)
    return find_preset_for(dataset) if dataset is not None else None


def _list_strange(preset: Preset, typed: Mapping[str, Any]) -> set[str]:
    """Name the settings of a preset that mean nothing for another data set than its own.

    What the preset says of this very data set stays.
    """
    own, chosen = preset.values.get("dataset"), typed.get("dataset")
    is_other = own is not None and chosen not in (None, own)
    told = preset.datasets.get(str(chosen), {})
    return {"dataset_config", "dataset_revision"} - told.keys() if is_other else set()


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
                cfg = RunConfig.from_flat(drop_unused(typed, keep=_list_typed(typed)))
                logger.setLevel(_choose_level(cfg))
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


def announce_settings(cfg: RunConfig, *, is_shown: bool) -> None:
    """Print every resolved setting under where it came from: flag, preset or default.

    What was chosen stands on a line of its own, the defaults flow; `-` is an empty value.
    """
    if not is_shown or cfg.train.log != "text":
        return
    chosen: dict[str, list[str]] = {}
    for name, value, origin in _list_origins(cfg):
        chosen.setdefault(origin, []).append(f"{name}={value}")
    defaults = chosen.pop("default", [])
    for origin, settings in chosen.items():
        click.echo(f"Settings by {origin}:", err=True)
        for text in settings:
            click.echo(f"  {text}", err=True)
    click.echo("Settings by default:", err=True)
    for line in textwrap.wrap(" ".join(defaults), 98, break_on_hyphens=False):
        click.echo(f"  {line}", err=True)


def _list_origins(cfg: RunConfig) -> Iterator[tuple[str, str, str]]:
    """Yield (section.name, value as text, origin) of every setting, in reading order."""
    ctx = click.get_current_context()
    preset: Preset | None = ctx.meta.get(PRESET_KEY)
    origins = {
        ParameterSource.COMMANDLINE: "flag",
        ParameterSource.DEFAULT_MAP: f"preset {preset.name}" if preset else "preset",
    }
    nested = cfg.to_nested()
    for one in iterate_settings():
        value = nested[one.section][one.name]
        source = ctx.get_parameter_source(one.name)
        shown = ",".join(map(str, value)) if isinstance(value, list) else value
        text = "-" if shown in (None, "") else str(shown)
        yield (
            f"{one.section}.{one.name}",
            text,
            origins.get(source, "default") if source else "default",
        )
