"""Presets: YAML files with settings of ready-made recipes."""

from audio_cls.presets.loader import (
    Preset,
    describe_presets,
    find_preset_for,
    list_presets,
    load_preset,
    parse_preset,
)

__all__ = [
    "Preset",
    "describe_presets",
    "find_preset_for",
    "list_presets",
    "load_preset",
    "parse_preset",
]
