"""Data sets prepared as a run does it: loaded, labelled, split and decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from hub_datasets import load

from audio_cls.config import DataConfig
from audio_cls.data.labels.labels import Labels, parse_labels
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.data.prepare import PreparedClips, prepare_clips
from audio_cls.data.splits.clip_index import ClipIndex, build_clip_index
from audio_cls.data.splits.splits import Splits, make_splits


class Prepared(NamedTuple):
    """A data set, and its splits before and after decoding."""

    cfg: DataConfig
    source: LoadedDataset
    labels: Labels
    index: ClipIndex
    splits: Splits
    clips: PreparedClips


def prepare(dataset: str | Path, sampling_rate: int = 16_000, **settings: Any) -> Prepared:  # noqa: ANN401
    """Load, split and decode a data set by these settings."""
    cfg, source = DataConfig(dataset=str(dataset), **settings), load(dataset, **settings)
    labels = parse_labels(source, cfg)
    index = build_clip_index(source, labels, cfg)
    splits = make_splits(index, cfg)
    clips = prepare_clips(source, labels, index, splits, sampling_rate, cfg)
    return Prepared(cfg, source, labels, index, splits, clips)


def ids_of(clips: PreparedClips) -> dict[str, set[str]]:
    """Return the ids of each split."""
    return {role: set(map(str, part.ids)) for role, part in clips.items()}
