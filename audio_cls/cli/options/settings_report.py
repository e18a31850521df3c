"""Print the settings in force and where each came from."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import click
from click.core import ParameterSource

from audio_cls.cli.options.commands import PRESET_KEY
from audio_cls.config import RunConfig, iterate_settings
from audio_cls.presets import Preset


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
