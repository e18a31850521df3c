"""Command classes: presets as defaults, suggestions for unknown options."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import click

from audio_cls.cli.console import is_first_process, show_error
from audio_cls.config import RENAMED_SETTINGS, flag_name, iterate_settings
from audio_cls.errors import AudioClsError
from audio_cls.interrupts import EXIT_INTERRUPTED, exit_on_interrupt
from audio_cls.presets import Preset, find_preset_for, load_preset

PRESET_KEY = "audio_cls.preset"  # where the context keeps the preset in force


class OneLineErrors(click.Command):
    """Mix-in for commands and groups: usage errors are one line, with exit code 2."""

    def main(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """Run the command."""
        try:
            options["standalone_mode"] = False
            with exit_on_interrupt(is_shown=is_first_process()):
                return super().main(*args, **options)
        except click.UsageError as error:
            show_error(error.format_message())
            raise SystemExit(2) from None
        except click.Abort:
            raise SystemExit(EXIT_INTERRUPTED) from None


class OneLineCommand(OneLineErrors):
    """A command that answers a mistyped flag by one line and exit code 2."""


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
        args = [_rename_flag(word) for word in args]
        typed, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        try:
            preset = _find_preset(typed.get("preset"), typed.get("dataset"))
        except AudioClsError as error:
            raise click.UsageError(str(error), ctx) from error
        if preset is not None:
            values = preset.choose_values(typed.get("dataset"))
            values |= preset.choose_folder(typed.get("resume"))
            own = {param.name for param in self.params if param.name in self.settings}
            own -= _list_strange(preset, typed)
            _check_typed(preset.name, values, typed, ctx)
            if preset.comes_with_model and "augment" in own:
                _check_transforms(preset.name, values, typed, ctx)
            ctx.default_map = {name: value for name, value in values.items() if name in own}
        ctx.meta[PRESET_KEY] = preset
        return super().parse_args(ctx, args)


def _rename_flag(word: str) -> str:
    """Return a word of the command line, a former flag replaced by its name of today."""
    flag, equals, value = word.partition("=")
    name = RENAMED_SETTINGS.get(flag.removeprefix("--").replace("-", "_"))
    if not flag.startswith("--") or name is None:
        return word
    click.echo(f"Deprecated: {flag} is now {flag_name(name)}; the old name goes.", err=True)
    return f"{flag_name(name)}{equals}{value}"


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


def _check_transforms(
    preset: str, values: Mapping[str, Any], typed: Mapping[str, Any], ctx: click.Context
) -> None:
    """Refuse --augment from a preset that comes with a model: it runs the code that it names."""
    names = values.get("augment") or ()
    if names and typed.get("augment") is None:
        given = names if isinstance(names, str) else ",".join(map(str, names))
        raise click.UsageError(
            f"{preset} asks for --augment {given}, which runs code of that name, and it is of a run"
            " or comes with a model: such a preset cannot allow that. Read the code, then type"
            f" --augment {given} yourself; or leave it out by --augment ''.",
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
    special = preset.datasets.get(str(chosen), {})
    return {"dataset_config", "dataset_revision"} - special.keys() if is_other else set()
