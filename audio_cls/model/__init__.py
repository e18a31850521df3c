"""Room 2: a checkpoint id becomes a classifier."""

from audio_cls.model.backbone import load_backbone, load_trained
from audio_cls.model.hearing import load_extractor, read_hearing
from audio_cls.model.note import (
    find_file,
    read_audio_settings,
    read_temperature,
    save_decision,
    save_temperature,
)

__all__ = [
    "find_file",
    "load_backbone",
    "load_extractor",
    "load_trained",
    "read_audio_settings",
    "read_hearing",
    "read_temperature",
    "save_decision",
    "save_temperature",
]
