"""Class weights: values of scikit-learn and torch, for any split of a step."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from tiny_runs import make_config, set_up, write_quiet_checkpoint
from torch.nn import functional
from word_sounds import write_words

from audio_cls.config import DataConfig, OptimConfig
from audio_cls.data.keyword_spotting.sampling import make_epoch_subset, take_epoch
from audio_cls.data.loading.sampler import DistributedBatchSampler, SamplingSpec, StepShape
from audio_cls.errors import SettingError
from audio_cls.training.optim.class_weights import (
    check_weights,
    compute_class_weights,
    compute_clip_weights,
    compute_pos_weights,
    compute_sampling_weights,
    load_weights,
    make_loss,
)

NAMES = ("a", "b", "c")
IDS = np.array([0] * 12 + [1] * 6 + [2] * 2)
MARKS = np.array([[1, 0, 0]] * 10 + [[1, 1, 0]] * 4 + [[0, 1, 1]] + [[0, 0, 0]] * 5, np.float32)


def test_balanced_weights_are_scikit_learns() -> None:
    expected = compute_class_weight("balanced", classes=np.arange(3), y=IDS)
    np.testing.assert_allclose(compute_class_weights(IDS, NAMES, "balanced"), expected)
    with_absent = compute_class_weights(IDS, (*NAMES, "d"), "balanced")
    np.testing.assert_allclose(with_absent, [*expected, 1])


@pytest.mark.parametrize(
    ("name", "text"),
    [("w.csv", "label,weight\nb,3\na,0.5\n"), ("w.csv", "b,3\na,0.5\n"), ("w.yaml", "b: 3\na: .5")],
)
def test_weights_are_read_from_a_file_and_are_1_for_other_labels(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    assert load_weights(tmp_path / name, NAMES).tolist() == [0.5, 3, 1]


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("w.csv", "bb,3\n", "no label 'bb'.*Did you mean b"),
        ("w.yaml", "a: -1", "weight of 'a' is -1"),
        ("w.yaml", "a: yes", "weight of 'a' is True"),
        ("w.csv", "a,1,2\n", "cannot be read"),
        ("w.yaml", "- a", "cannot be read"),
        (None, "", r"cannot be read \(No such file or directory\)"),
    ],
)
def test_an_invalid_file_of_weights_is_refused(
    tmp_path: Path, name: str | None, text: str, fault: str
) -> None:
    path = tmp_path / (name or "missing.yaml")
    if name:
        path.write_text(text)
    with pytest.raises(SettingError, match=fault):
        load_weights(path, NAMES)


def test_labels_that_a_file_of_weights_lacks_are_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    (tmp_path / "w.yaml").write_text("b: 3")
    cfg = OptimConfig(class_weights=str(tmp_path / "w.yaml"))
    check_weights(cfg, is_multilabel=False, names=NAMES)
    make_loss(IDS, NAMES, cfg)
    assert caplog.text.count("have weight 1: a, c.") == 1


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("shape", [(20, 1, 1), (3, 2, 2), (5, 4, 1), (10, 1, 2)])
def test_a_weighted_step_is_the_weighted_mean_of_torch_for_any_split(
    shape: tuple[int, int, int], smoothing: float
) -> None:
    cfg = OptimConfig(class_weights="balanced", label_smoothing=smoothing)
    logits, targets = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)), IDS
    losses = make_loss(IDS, NAMES, cfg)(logits, torch.tensor(IDS))
    weights, step_size = compute_clip_weights(IDS, NAMES, cfg), StepShape(*shape).clips
    totals: dict[int, float] = collections.defaultdict(float)
    clips: dict[int, list[int]] = collections.defaultdict(list)
    for rank in range(shape[2]):
        order = DistributedBatchSampler(
            20, StepShape(*shape), rank=rank, seed=0, spec=SamplingSpec(clip_weights=weights)
        )
        batches = list(order)
        for step in range(order.steps_per_epoch):
            for _ in range(order.num_micro_batches(step)):
                for _, number, weight in batches.pop(0):
                    totals[step] += float(losses[number]) * weight
                    clips[step] += [number] if weight else []
    assert len(totals) == -(-20 // step_size)
    for step, own in clips.items():
        expected = functional.cross_entropy(
            logits[own],
            torch.tensor(targets[own]),
            weight=torch.tensor(compute_class_weights(IDS, NAMES, "balanced"), dtype=torch.float32),
            label_smoothing=smoothing,
        )
        assert totals[step] == pytest.approx(float(expected), rel=1e-5)


def draw_epochs(draws: np.ndarray | None, epochs: int, num_clips: int = 20) -> list[list[int]]:
    """Return the clips of each epoch."""
    order = DistributedBatchSampler(
        num_clips, StepShape(4, 1, 1), rank=0, seed=1, spec=SamplingSpec(sampling_weights=draws)
    )
    clips = []
    for epoch in range(epochs):
        order.set_epoch(epoch)
        clips.append([clip for batch in order for _, clip, _ in batch])
    return clips


def test_the_balanced_sampler_draws_all_classes_equally_often() -> None:
    draws = compute_sampling_weights(IDS, OptimConfig(sampler="balanced"))
    epochs = draw_epochs(draws, 6)
    for epoch in epochs:
        counts = np.bincount(IDS[epoch])
        assert len(epoch) == 20 and counts.min() >= 6 and counts.max() <= 7
    assert epochs[0] != epochs[1] and epochs == draw_epochs(draws, 6)
    assert np.bincount(IDS[draw_epochs(None, 1)[0]]).tolist() == [12, 6, 2]
    often = np.bincount(np.concatenate(epochs), minlength=20)
    assert often[:12].max() <= 6  # 6.7 draws over 12 clips: no clip twice in an epoch


def test_a_clip_drawn_again_has_another_crop() -> None:
    order = DistributedBatchSampler(
        20,
        StepShape(4, 1, 1),
        rank=0,
        seed=1,
        spec=SamplingSpec(
            sampling_weights=compute_sampling_weights(IDS, OptimConfig(sampler="balanced"))
        ),
    )
    order.set_epoch(3)
    keys = [(hearing, clip) for batch in order for hearing, clip, _ in batch]
    assert len(set(keys)) == len(keys) == 20
    assert min(hearing for hearing, _ in keys) == 3


@pytest.mark.parametrize("shape", [(2, 1, 2), (1, 2, 2), (1, 4, 1)])
def test_balanced_sampling_is_distributed_and_resumed_like_uniform_sampling(
    shape: tuple[int, int, int],
) -> None:
    draws = compute_sampling_weights(IDS, OptimConfig(sampler="balanced"))
    alone = draw_epochs(draws, 1)[0]
    steps: dict[int, list[int]] = collections.defaultdict(list)
    for rank in range(shape[2]):
        order = DistributedBatchSampler(
            20, StepShape(*shape), rank=rank, seed=1, spec=SamplingSpec(sampling_weights=draws)
        )
        order.load_state_dict({"epoch": 0, "step": 2})
        batches = list(order)
        for step in range(2, 5):
            for _ in range(order.num_micro_batches(step)):
                steps[step] += [clip for _, clip, weight in batches.pop(0) if weight]
    for step, own in steps.items():
        assert sorted(own) == sorted(alone[4 * step : 4 * step + 4])


def test_the_balanced_sampler_draws_rare_labels_more_often_if_multi_label() -> None:
    draws = compute_sampling_weights(MARKS, OptimConfig(sampler="balanced"))
    assert draws is not None and draws[14] > draws[10] > draws[0]
    drawn = np.concatenate(draw_epochs(draws, 20))
    before, after = MARKS.mean(axis=0), MARKS[drawn].mean(axis=0)
    assert after[2] / after[0] > 3 * before[2] / before[0]


def test_pos_weight_is_negatives_over_positives_up_to_the_cap(
    caplog: pytest.LogCaptureFixture,
) -> None:
    marks = np.zeros((100, 3), np.float32)
    marks[:50, 0], marks[:20, 1], marks[:2, 2] = 1, 1, 1
    with caplog.at_level("INFO"):
        assert compute_pos_weights(marks, NAMES, "auto").tolist() == [1, 4, 20]  # type: ignore[union-attr]
    assert "capped at 20 for 1 label (c)" in caplog.text
    assert compute_pos_weights(marks, NAMES, "2.5").tolist() == [2.5] * 3  # type: ignore[union-attr]
    assert compute_pos_weights(marks, NAMES, "none") is None


def test_weights_of_another_task_are_refused() -> None:
    with pytest.raises(SettingError, match="--pos-weight auto instead"):
        make_loss(MARKS, NAMES, OptimConfig(class_weights="balanced"))
    with pytest.raises(SettingError, match="--class-weights balanced instead"):
        make_loss(IDS, NAMES, OptimConfig(pos_weight="auto"))
    with pytest.raises(SettingError, match="--pos-weight 0 is not possible"):
        OptimConfig(pos_weight="0")


def test_the_settings_reach_the_loss() -> None:
    logits, targets = torch.tensor([[2.0, 0, 0], [0, 1, 0]]), torch.tensor([0, 1])
    plain = make_loss(IDS, NAMES, OptimConfig())(logits, targets)
    focal = make_loss(IDS, NAMES, OptimConfig(loss="focal", focal_gamma=1.0))(logits, targets)
    right = torch.exp(-plain)
    torch.testing.assert_close(focal, (1 - right) * plain)
    marks = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
    once, twice = (
        make_loss(MARKS, NAMES, OptimConfig(pos_weight=how))(logits, marks) for how in ("1", "2")
    )
    assert (twice > once).all()


SPOTTED = np.repeat([0, 1, 2], [40, 60, 500])  # yes, no, _unknown_
SPOT_NAMES = ("yes", "no", "_unknown_")


def test_balanced_sampling_balances_the_clips_of_an_epoch() -> None:
    """An epoch has 40 and 60 clips of keywords and 10 unknown ones, drawn equally often."""
    cfg = DataConfig(unknown_share=0.1)
    plan = make_epoch_subset(SPOTTED, SPOT_NAMES, cfg)
    assert plan is not None and len(plan) == 110
    draws = compute_sampling_weights(
        SPOTTED, OptimConfig(sampler="balanced"), take_epoch(SPOTTED, SPOT_NAMES, cfg)
    )
    order = DistributedBatchSampler(
        len(plan), StepShape(10, 1, 1), rank=0, seed=3, spec=SamplingSpec(plan, draws)
    )
    drawn = [number for batch in order for _, number, _ in batch]
    assert np.abs(np.bincount(SPOTTED[drawn]) - 110 / 3).max() < 1.5


def test_balanced_class_weights_are_scikit_learns_on_the_clips_of_an_epoch() -> None:
    epoch = take_epoch(SPOTTED, SPOT_NAMES, DataConfig(unknown_share=0.1))
    expected = compute_class_weight(
        "balanced", classes=np.arange(3), y=np.repeat([0, 1, 2], [40, 60, 10])
    )
    cfg = OptimConfig(class_weights="balanced")
    weights = compute_clip_weights(SPOTTED, SPOT_NAMES, cfg, epoch)
    np.testing.assert_allclose(weights, expected[SPOTTED])
    logits, targets = torch.randn(3, 3), torch.tensor([0, 1, 2])
    stock = functional.cross_entropy(logits, targets, reduction="none") * torch.tensor(expected)
    losses = make_loss(epoch, SPOT_NAMES, cfg)(logits, targets)
    torch.testing.assert_close(losses, stock.to(losses.dtype))


def test_a_run_balances_the_clips_of_an_epoch(tmp_path: Path) -> None:
    """16 clips of each keyword and 16 unknown ones, drawn from 48, are an epoch."""
    words = write_words(tmp_path / "words", seconds=0.3)
    changes = {"keywords": ("yes", "no"), "unknown_share": 0.5, "sampler": "balanced"}
    checkpoint = write_quiet_checkpoint(tmp_path / "model")
    run = set_up(make_config(words, checkpoint, tmp_path / "run", **changes))
    pieces: Any = run.loader.dataset
    labels = pieces.clips.labels
    assert np.bincount(labels).tolist() == [16, 16, 48]
    drawn = [number for batch in run.sampler for _, number, weight in batch if weight]
    assert np.bincount(labels[drawn]).tolist() == [16, 16, 16]
