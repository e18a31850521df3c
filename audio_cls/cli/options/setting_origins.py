"""Read where the settings of a command came from, and the option --verbose."""

from __future__ import annotations

import click
from click.core import ParameterSource

from audio_cls.cli.options.base_command import HELP_HEADING, HelpOption
from audio_cls.cli.options.commands import PRESET_KEY
from audio_cls.config import iterate_settings
from audio_cls.presets import Preset
from audio_cls.runs.setting_origins import Origin, SettingOrigins

VERBOSE_KEY = "audio_cls.verbose"  # where the context keeps --verbose

ORIGINS: dict[ParameterSource | None, Origin] = {
    ParameterSource.COMMANDLINE: "flag",
    ParameterSource.DEFAULT_MAP: "preset",
}


def _keep_verbose(ctx: click.Context, param: click.Parameter, value: bool) -> None:  # noqa: FBT001 (click calls it so)
    """Keep the value for `read_origins`: it is no setting of the run."""
    ctx.meta[VERBOSE_KEY] = value


VERBOSE = click.option(
    "--verbose",
    cls=HelpOption,
    heading=HELP_HEADING,
    is_common=False,
    is_flag=True,
    expose_value=False,
    callback=_keep_verbose,
    help="Print the value of every setting before training, not only of those that differ from"
    " their defaults.",
)


def read_origins() -> SettingOrigins:
    """Return the origins of the settings of the current command."""
    ctx = click.get_current_context()
    preset: Preset | None = ctx.meta.get(PRESET_KEY)
    sources = {one.name: ctx.get_parameter_source(one.name) for one in iterate_settings()}
    return SettingOrigins(
        preset=None if preset is None else preset.name,
        is_automatic=ctx.params.get("preset") is None,
        by_name={name: ORIGINS.get(source, "default") for name, source in sources.items()},
        is_verbose=ctx.meta.get(VERBOSE_KEY, False),
    )
