"""Room 1: a data set id becomes batches of waves. Knows nothing of models."""

from audio_cls.data.describe import describe_data
from audio_cls.data.facts import read_clip_facts
from audio_cls.data.labels import read_labels
from audio_cls.data.lineup import pool_clips
from audio_cls.data.prepare import prepare_clips
from audio_cls.data.single import prepare_split
from audio_cls.data.source import load_source
from audio_cls.data.source_checks import warn_of_source
from audio_cls.data.splits import make_splits

__all__ = [
    "describe_data",
    "load_source",
    "make_splits",
    "pool_clips",
    "prepare_clips",
    "prepare_split",
    "read_clip_facts",
    "read_labels",
    "warn_of_source",
]
