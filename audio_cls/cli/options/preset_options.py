"""Options --preset, --list-presets and --show-preset, which need no heavy import."""

from __future__ import annotations

import click

from audio_cls.cli.options.base_command import HELP_HEADING, HelpOption
from audio_cls.errors import AudioClsError
from audio_cls.presets import describe_presets, load_preset


def _show_presets(ctx: click.Context, param: click.Parameter, value: str | bool | None) -> None:  # noqa: FBT001 (click calls it so)
    """Print the table of presets, or the file of one, and exit."""
    if not value or ctx.resilient_parsing:
        return
    try:
        text = describe_presets() if value is True else load_preset(str(value)).text
    except AudioClsError as error:
        raise click.UsageError(str(error), ctx) from error
    click.echo(text.rstrip("\n"))
    ctx.exit()


PRESET = click.option(
    "--preset",
    cls=HelpOption,
    is_common=True,
    metavar="NAME|FILE|none",
    help="Settings to start from: a shipped preset or a YAML file; flags take precedence. Default:"
    " the preset of the data set, if there is one; none: no preset.",
)
LIST_PRESETS = click.option(
    "--list-presets",
    cls=HelpOption,
    heading=HELP_HEADING,
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_presets,
    help="List the shipped presets and exit.",
)
SHOW_PRESET = click.option(
    "--show-preset",
    cls=HelpOption,
    heading=HELP_HEADING,
    metavar="NAME|FILE",
    is_eager=True,
    expose_value=False,
    callback=_show_presets,
    help="Print a preset and exit.",
)
