"""Window scoring by hand, and the same numbers for a file in evaluation and in `Classifier`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_runs import make_config, set_up, write_quiet_checkpoint

from audio_cls.audio.waveform import Wave
from audio_cls.audio.windows import cut_wave
from audio_cls.config import AudioConfig, Hertz
from audio_cls.data.clips.clips import Label
from audio_cls.data.loading.datasets import WindowDataset
from audio_cls.evaluation.scorer import make_scorer
from audio_cls.inference.classifier import Classifier
from audio_cls.inference.scoring import ScoringSettings, score_windows
from audio_cls.models.inference_settings import AGGREGATES
from audio_cls.training.loop import train


class SumModel(torch.nn.Module):
    """Logits of a window: the sum of its samples, and 0."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))
        self.batches: list[tuple[int, ...]] = []

    def forward(self, waves: torch.Tensor) -> SimpleNamespace:
        """Return the logits, (B, 2)."""
        self.batches.append(tuple(waves.shape))
        sums = waves.sum(dim=1)
        return SimpleNamespace(logits=torch.stack([sums, torch.zeros_like(sums)], dim=1))


def encode(waves: list[Wave]) -> dict[str, torch.Tensor]:
    """Pad waves with zeros at the end."""
    return {
        "waves": torch.nn.utils.rnn.pad_sequence([torch.as_tensor(w) for w in waves]).T.contiguous()
    }


@dataclass(frozen=True)
class WaveClip:
    """One waveform in memory, in the form of a data set with one clip."""

    wave: Wave  # (T,)
    sampling_rate: Hertz

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Return the number of samples, (1,)."""
        return np.array([len(self.wave)])

    def read_label(self, number: int) -> Label:
        """Return 0: the label is not known, and no score depends on it."""
        return 0

    def read_wave(self, number: int, start: int, stop: int) -> Wave:
        """Copy samples start to stop; past its end the wave is repeated."""
        return cut_wave(self.wave, start, stop)


@pytest.mark.parametrize("equal_lengths", [True, False])
def test_a_clip_is_scored_by_the_mean_logits_of_its_windows(equal_lengths: bool) -> None:  # noqa: FBT001
    # 1 Hz, windows of 2 s: samples 1 + 2, 3 + 4 and the last window 4 + 5; their mean sum is 19/3.
    model, audio = SumModel(), AudioConfig(max_seconds=2, hop_seconds=2)
    settings = ScoringSettings(encode, equal_lengths, audio, batch_size=2)
    clip = WaveClip(np.array([1, 2, 3, 4, 5], np.float32) / 10, 1)
    found = score_windows(model, WindowDataset(clip, audio), settings)
    share = 1 / (1 + np.exp(-19 / 30))
    assert found.shape == (1, 2)
    assert found[0] == pytest.approx([share, 1 - share], abs=1e-7)
    assert model.batches == [(2, 2), (1, 2)]


def test_a_file_has_the_same_scores_in_evaluation_and_in_the_classifier(
    tone_folder: Path, tmp_path: Path
) -> None:
    """Exactly the same: one clip, several windows, the same batches."""
    checkpoint = write_quiet_checkpoint(tmp_path / "checkpoint")
    cfg = make_config(tone_folder, checkpoint, tmp_path / "run", max_steps=2, max_seconds=0.15)
    run = set_up(cfg)
    train(run)
    classifier = Classifier.from_pretrained(tmp_path / "run", calibrate=False)
    clips = run.loader.dataset.clips
    for aggregate in AGGREGATES:
        audio = replace(cfg.audio, aggregate=aggregate)
        classifier.model_input = replace(classifier.model_input, audio=audio)
        changed = replace(cfg, audio=audio)
        scorer = make_scorer(classifier.audio_model, changed, run.accelerator)
        for row in range(3):
            part = slice(row, row + 1)
            one = replace(
                clips,
                rows=clips.rows[part],
                labels=clips.labels[part],
                ids=clips.ids[part],
                lengths=clips.lengths[part],
            )
            expected = scorer.score(classifier.model, one).probabilities[0]
            (prediction,) = classifier([tone_folder / str(one.ids[0])])
            assert prediction.scores is not None
            assert list(prediction.scores.values()) == expected.tolist()
