"""Window scoring: windows -> batches -> logits -> the probabilities of each clip.

Evaluation and `Classifier` both use it, so that a file has the same scores in both. The scores of a
clip do not depend on the other clips: windows share a batch only where padding cannot change a
score. Letters: N clips, L labels, T samples.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from audio_cls.audio.augmentation.spec_augment import Encode
from audio_cls.config import AudioConfig
from audio_cls.data.loading.batch import Batch
from audio_cls.data.loading.datasets import WindowDataset
from audio_cls.data.loading.length_buckets import group_windows
from audio_cls.data.loading.loaders import make_evaluation_loader
from audio_cls.distributed import Accelerator
from audio_cls.distributed.processes import gather_rows
from audio_cls.inference.aggregation import aggregate_windows
from audio_cls.inference.forward import compute_logits
from audio_cls.models.audio_model import AudioModel
from audio_cls.progress import show_progress

Floats = NDArray[np.float64]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoringSettings:
    """How a model scores clips."""

    encode: Encode
    equal_lengths: bool  # only windows of one length share a batch: padding would change scores
    audio: AudioConfig
    batch_size: int  # windows of one forward pass
    is_multilabel: bool = False
    num_workers: int = 0  # processes that load windows; 0: none but this one

    @classmethod
    def from_model(
        cls, audio_model: AudioModel, audio: AudioConfig, batch_size: int, num_workers: int = 0
    ) -> ScoringSettings:
        """Return the settings that a model needs."""
        processor = audio_model.processor
        return cls(
            processor,
            equal_lengths=not processor.input_spec.pads_safely,
            audio=audio,
            batch_size=batch_size,
            is_multilabel=audio_model.is_multilabel,
            num_workers=num_workers,
        )


def score_windows(
    model: nn.Module,
    windows: WindowDataset,
    settings: ScoringSettings,
    accelerator: Accelerator | None = None,
) -> Floats:
    """Score all windows of all clips, and aggregate them for each clip.

    Args:
        model: The classifier in evaluation mode.
        windows: The windows of N clips.
        settings: How the model scores clips.
        accelerator: Each of its processes scores a part of the windows and gets all results; call
            on every process, with the model on the accelerator's device. Progress is shown. None:
            this process scores all windows.

    Returns:
        Probabilities, (N, L) float64, not rounded; not finite where the model's output is not.
    """
    lengths = [stop - start for _, start, stop in windows.windows]
    batches = group_windows(lengths, settings.batch_size, equal_lengths=settings.equal_lengths)
    if accelerator is not None:
        batches = _select_own_batches(batches, accelerator)
    loader: Iterable[Batch] = make_evaluation_loader(
        windows, settings.encode, batches, settings.num_workers
    )
    device = next(model.parameters()).device
    if accelerator is not None:
        loader = show_progress(loader, len(batches), "Evaluation", logger)
        device = accelerator.device
    logits: dict[int, Floats] = {}  # window number -> (L,)
    for batch in loader:
        output = compute_logits(model, batch.to(device).inputs)
        logits.update(zip(batch.numbers.tolist(), output, strict=True))
    if accelerator is not None:
        logits = dict(gather_rows(list(logits.items())))
    return _aggregate_clips(windows, logits, settings)


def _select_own_batches(batches: list[list[int]], accelerator: Accelerator) -> list[list[int]]:
    """Return the batches of this process; all processes get the same number, some one twice.

    Equal numbers matter to wrappers that exchange weights in every forward pass (FSDP, ZeRO-3).
    """
    num_processes: int = accelerator.num_processes
    padded = batches + batches[:1] * (-len(batches) % num_processes)
    return padded[accelerator.process_index :: num_processes]


def _aggregate_clips(
    windows: WindowDataset, logits: dict[int, Floats], settings: ScoringSettings
) -> Floats:
    """Aggregate the logits of the windows of each clip; return (N, L)."""
    by_clip: list[list[Floats]] = [[] for _ in range(len(windows.clips.lengths))]
    for number, (clip, _, _) in enumerate(windows.windows):
        by_clip[clip].append(logits[number])
    how, is_multilabel = settings.audio.aggregate, settings.is_multilabel
    return np.stack(
        [aggregate_windows(np.stack(rows), how, is_multilabel=is_multilabel) for rows in by_clip]
    )
