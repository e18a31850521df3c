"""Dataset of streamed clips: crops, or the reason why a clip cannot be used."""

from __future__ import annotations

import numpy as np

from audio_cls.data.clips.clips import Label
from audio_cls.data.loading.batch import Example
from audio_cls.data.loading.datasets import TrainingDataset
from audio_cls.data.loading.sampler import Key
from audio_cls.data.streaming.clips import StreamClips, UnlabelledError
from audio_cls.errors import AudioError


class StreamDataset(TrainingDataset):
    """One augmented crop of a streamed clip for each key (draw, clip number, weight)."""

    clips: StreamClips  # type: ignore[assignment]

    def __getitem__(self, key: Key) -> Example:
        """Return the crop of a key; for an unusable clip silence of weight 0, and the reason."""
        draw, number, _ = key
        try:
            return super().__getitem__(key)
        except (AudioError, UnlabelledError) as error:
            is_mixing = self.augmenter is not None and self.augmenter.is_mixing
            is_vector = is_mixing or self.clips.task.is_multilabel
            label: Label = np.zeros(len(self.clips.task.names), np.float32) if is_vector else 0
            bad_clip = self.clips.describe_bad_clip(number, error)
            return Example(np.zeros(self.longest, np.float32), label, number, 0.0, draw, bad_clip)
