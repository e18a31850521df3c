"""Scorer: runs a model over the windows of a split, on all processes, and returns `Scores`.

Scores do not depend on the number of processes or the batch size: what is gathered has the number
of its window as key. Probabilities are rounded to six decimals before anything is computed from
them, so that predictions.csv holds exactly what the metrics are computed from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from audio_cls.config import RunConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.data.loading.datasets import WindowDataset
from audio_cls.distributed import Accelerator
from audio_cls.distributed.hardware import choose_num_workers
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.inference.aggregation import DECIMALS
from audio_cls.inference.scoring import ScoringSettings, score_windows
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.inference_settings import read_thresholds


@dataclass(frozen=True)
class Scorer:
    """Runs a model over the windows of a split and aggregates them for each clip."""

    accelerator: Accelerator
    settings: ScoringSettings
    labels: tuple[str, ...]  # names of the L logits
    thresholds: NDArray[np.float64] | None = None  # of the labels, (L,), where some were tuned

    def score(
        self, model: nn.Module, clips: Clips, *, windows: Literal["one", "all"] = "all"
    ) -> Scores:
        """Score every clip once. Call on every process; each gets the whole result.

        Args:
            model: The classifier, on the accelerator's device, prepared or not.
            clips: The clips of one split.
            windows: Of each clip: all, or the middle one alone.
        """
        unwrapped = self.accelerator.unwrap_model(model, keep_fp32_wrapper=True)
        was_training = unwrapped.training
        unwrapped.eval()
        dataset = WindowDataset(clips, self.settings.audio, is_only_middle=windows == "one")
        probabilities = score_windows(unwrapped, dataset, self.settings, self.accelerator)
        unwrapped.train(was_training)
        labels = clips.labels.astype(np.int64)
        return Scores(clips.ids, labels, probabilities.round(DECIMALS), self.thresholds)

    def has_long_clips(self, clips: Clips) -> bool:
        """Return whether a clip has more than one window."""
        return len(WindowDataset(clips, self.settings.audio)) > len(clips)


def make_scorer(audio_model: AudioModel, cfg: RunConfig, accelerator: Accelerator) -> Scorer:
    """Make the scorer for a model and the settings of a run."""
    num_workers = choose_num_workers(cfg.train.num_workers)
    return Scorer(
        accelerator,
        ScoringSettings.from_model(audio_model, cfg.audio, cfg.eval.eval_batch_size, num_workers),
        labels=audio_model.labels,
        thresholds=read_thresholds(audio_model),
    )
