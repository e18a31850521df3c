"""Clips -> windows -> logits -> one row of probabilities a clip, from any number of processes.

A clip's scores do not depend on its neighbours: windows share a batch only where padding cannot
change a score. They do not depend on the number of processes or the batch size either: what is
gathered is keyed by window, and probabilities are rounded to six decimals before anything is
computed from them, so that predictions.csv holds exactly what the metrics saw.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from audio_cls.audio.augmentation.spec_augment import Encode
from audio_cls.config import AudioConfig, RunConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.data.loading.datasets import WindowDataset
from audio_cls.data.loading.length_buckets import group_windows
from audio_cls.data.loading.loaders import make_evaluation_loader
from audio_cls.distributed import Accelerator
from audio_cls.distributed.hardware import choose_num_workers
from audio_cls.distributed.processes import gather_rows
from audio_cls.evaluation.metrics.scores import DECIMALS, Scores
from audio_cls.inference.aggregation import aggregate_windows
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.inference_settings import read_thresholds
from audio_cls.progress import show_progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scorer:
    """How a model is heard out."""

    accelerator: Accelerator
    encode: Encode
    equal_lengths: bool  # True for models whose scores padding would change
    audio: AudioConfig
    batch_size: int
    num_workers: int
    labels: tuple[str, ...]  # names of the L logits
    is_multilabel: bool = False
    thresholds: NDArray[np.float64] | None = None  # of the labels, (L,), where some were tuned

    def score(self, model: nn.Module, clips: Clips) -> Scores:
        """Score every clip once. Call on every process; each gets the whole result.

        Args:
            model: The classifier, on the accelerator's device, prepared or not.
            clips: The clips of one split.
        """
        windows = WindowDataset(clips, self.audio)
        own = self._share_out(windows)
        loader = make_evaluation_loader(windows, self.encode, own, self.num_workers)
        bare = self.accelerator.unwrap_model(model, keep_fp32_wrapper=True)
        was_training = bare.training
        bare.eval()
        rows: dict[int, NDArray[np.float64]] = {}
        with torch.inference_mode():
            for batch in show_progress(loader, len(own), "Evaluation", logger):
                logits = bare(**batch.to(self.accelerator.device).inputs).logits
                scores = logits.float().cpu().numpy().astype(np.float64)
                rows.update(zip(batch.numbers.tolist(), scores, strict=True))
        bare.train(was_training)
        return self._merge(windows, dict(gather_rows(list(rows.items()))))

    def _share_out(self, windows: WindowDataset) -> list[list[int]]:
        """Return this process's batches; each process gets as many, by repeating one if need be.

        Equal counts matter to wrappers that exchange weights in every forward pass (FSDP, ZeRO-3).
        """
        lengths = [stop - start for _, start, stop in windows.windows]
        batches = group_windows(lengths, self.batch_size, equal_lengths=self.equal_lengths)
        num_processes = self.accelerator.num_processes
        batches += batches[:1] * (-len(batches) % num_processes)
        return batches[self.accelerator.process_index :: num_processes]

    def _merge(self, windows: WindowDataset, rows: dict[int, NDArray[np.float64]]) -> Scores:
        """Bring the windows of each clip together."""
        clips = windows.clips
        of_clip: list[list[NDArray[np.float64]]] = [[] for _ in range(len(clips))]
        for number, (clip, _, _) in enumerate(windows.windows):
            of_clip[clip].append(rows[number])
        merge = functools.partial(
            aggregate_windows, how=self.audio.aggregate, is_multilabel=self.is_multilabel
        )
        exact = np.stack([merge(np.stack(logits)) for logits in of_clip])
        labels = clips.labels.astype(np.int64)
        return Scores(clips.ids, labels, exact.round(DECIMALS), self.thresholds)


def make_scorer(backbone: AudioModel, cfg: RunConfig, accelerator: Accelerator) -> Scorer:
    """Make the scorer that a backbone and the settings ask for."""
    return Scorer(
        accelerator,
        backbone.encoder,
        equal_lengths=not backbone.encoder.traits.pads_safely,
        audio=cfg.audio,
        batch_size=cfg.eval.eval_batch_size,
        num_workers=choose_num_workers(cfg.train.num_workers),
        labels=backbone.labels,
        is_multilabel=backbone.is_multilabel,
        thresholds=read_thresholds(backbone),
    )
