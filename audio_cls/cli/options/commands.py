"""SettingsCommand: a command whose settings may come from a preset."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import click

from audio_cls.cli.console import echo_stderr, is_first_process
from audio_cls.cli.options.base_command import BaseCommand
from audio_cls.config import RENAMED_SETTINGS, flag_name, iterate_settings
from audio_cls.config.base import RENAMED_UNTIL
from audio_cls.errors import AudioClsError
from audio_cls.presets import Preset, find_preset_for, load_preset

NO_PRESET = "none"  # value of --preset: no preset, also where the data set has one
PRESET_KEY = "audio_cls.preset"  # where the context keeps the preset in force


class SettingsCommand(BaseCommand):
    """A command whose settings may come from a preset."""

    def __init__(self, *args: Any, settings: Collection[str] = (), **options: Any) -> None:  # noqa: ANN401
        """Make the command.

        Args:
            args: See `click.Command`.
            settings: The names of its options that are settings; empty for all settings. Another
                option may have the name of a setting: a preset does not change it.
            options: See `click.Command`.
        """
        super().__init__(*args, **options)
        self.settings = settings or {one.name for one in iterate_settings()}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Find the preset before the flags are parsed, and use its values as their defaults."""
        args = [_rename_flag(word) for word in args]
        typed, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        try:
            preset = _find_preset(typed.get("preset"), typed.get("dataset"))
        except AudioClsError as error:
            raise click.UsageError(str(error), ctx) from error
        if preset is not None:
            values = preset.choose_values(typed.get("dataset"))
            values |= preset.choose_folder(typed.get("resume"))
            used = {param.name for param in self.params if param.name in self.settings}
            used -= preset.list_unrelated(typed.get("dataset"))
            _check_typed(preset.name, values, typed, ctx)
            if preset.comes_with_model and "augment" in used:
                _check_transforms(preset.name, values, typed, ctx)
            ctx.default_map = {name: value for name, value in values.items() if name in used}
        ctx.meta[PRESET_KEY] = preset
        return super().parse_args(ctx, args)


def _rename_flag(word: str) -> str:
    """Return a word of the command line; a former flag is replaced by its new name."""
    flag, equals, value = word.partition("=")
    name = RENAMED_SETTINGS.get(flag.removeprefix("--").replace("-", "_"))
    if not flag.startswith("--") or name is None:
        return word
    if is_first_process():
        echo_stderr(
            f"Deprecated: {flag} is now {flag_name(name)}; release {RENAMED_UNTIL} removes the old"
            " name."
        )
    return f"{flag_name(name)}{equals}{value}"


def _check_typed(
    preset: str, values: Mapping[str, Any], typed: Mapping[str, Any], ctx: click.Context
) -> None:
    """Refuse --trust-remote-code from a preset: it must be given on the command line."""
    name = "trust_remote_code"
    wants = str(values.get(name, False)).lower() not in ("false", "no", "off", "0", "f", "n")
    if wants and typed.get(name) is None:
        raise click.UsageError(
            f"{preset} sets {flag_name(name)}, which runs code from the model's repository; a"
            f" preset cannot allow that. Read the code, then add {flag_name(name)} to the command.",
            ctx,
        )


def _check_transforms(
    preset: str, values: Mapping[str, Any], typed: Mapping[str, Any], ctx: click.Context
) -> None:
    """Refuse --augment from a preset that comes with a model, since it runs code."""
    names = values.get("augment") or ()
    if names and typed.get("augment") is None:
        given = names if isinstance(names, str) else ",".join(map(str, names))
        raise click.UsageError(
            f"{preset} sets --augment {given}, which runs the code of that name; a preset from a"
            " run or from a model's folder cannot allow that. Read the code, then add"
            f" --augment {given} to the command, or --augment '' to train without it.",
            ctx,
        )


def _find_preset(name: str | None, dataset: str | None) -> Preset | None:
    """Return the preset that was given, else the one for this data set; None for "none"."""
    if name == NO_PRESET:
        return None
    if name is not None:
        return load_preset(name)
    return find_preset_for(dataset) if dataset is not None else None
