"""What is doubtful about a data set before its clips are split, as warnings of a training."""

from __future__ import annotations

from audio_cls.config import RunConfig
from audio_cls.data.labels.labels import Labels
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.data.unused_columns import warn_of_unused_columns
from audio_cls.models.contamination import warn_if_pretrained_on


def warn_of_source(dataset: LoadedDataset, labels: Labels, cfg: RunConfig) -> None:
    """Warn when the checkpoint was trained on this data set, and of columns that are not used."""
    warn_if_pretrained_on(dataset, cfg.model)
    warn_of_unused_columns(dataset, labels, cfg.data)
