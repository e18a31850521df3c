"""Losses, on logits whose loss is computed by hand or by torch."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from audio_cls.training.optim.losses import binary_cross_entropy_per_clip, cross_entropy_per_clip


def test_the_loss_is_minus_the_log_probability_of_the_label() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)], [0.0, math.log(3.0)]])
    losses = cross_entropy_per_clip(logits, torch.tensor([0, 1]))
    assert losses.tolist() == pytest.approx([math.log(4.0), math.log(4.0 / 3.0)])


def test_smoothing_spreads_a_share_over_all_labels() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.5]])
    log_p = logits.log_softmax(-1)[0]
    expected = -(0.7 * log_p[1] + 0.3 * log_p.mean())
    smoothed = cross_entropy_per_clip(logits, torch.tensor([1]), label_smoothing=0.3)
    assert smoothed.item() == pytest.approx(expected.item())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_losses_are_float32_and_one_per_clip(dtype: torch.dtype) -> None:
    logits = torch.randn(5, 3).to(dtype)
    losses = cross_entropy_per_clip(logits, torch.tensor([0, 1, 2, 0, 1]))
    assert losses.shape == (5,)
    assert losses.dtype == torch.float32


def test_an_empty_batch_has_no_losses_and_still_a_gradient() -> None:
    logits = torch.zeros(0, 3, requires_grad=True)
    losses = cross_entropy_per_clip(logits, torch.zeros(0, dtype=torch.int64))
    assert losses.shape == (0,)
    losses.sum().backward()  # type: ignore[no-untyped-call]


def test_the_mean_equals_the_mean_over_uneven_parts() -> None:
    logits, targets = torch.randn(7, 4), torch.randint(4, (7,))
    parts = torch.cat(
        [
            cross_entropy_per_clip(logits[:5], targets[:5]),
            cross_entropy_per_clip(logits[5:], targets[5:]),
        ]
    )
    torch.testing.assert_close(parts.mean(), cross_entropy_per_clip(logits, targets).mean())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_soft_targets_is_the_mean_over_their_labels(
    smoothing: float,
) -> None:
    logits = torch.randn(6, 4)
    first, second = torch.tensor([0, 1, 2, 3, 0, 1]), torch.tensor([1, 1, 0, 2, 3, 2])
    share = torch.tensor([0.0, 0.2, 0.5, 0.7, 0.9, 1.0])
    shares = torch.zeros(6, 4)
    shares[torch.arange(6), first] += share
    shares[torch.arange(6), second] += 1 - share
    alone = [
        cross_entropy_per_clip(logits, labels, label_smoothing=smoothing)
        for labels in (first, second)
    ]
    mixed = cross_entropy_per_clip(logits, shares, label_smoothing=smoothing)
    assert mixed.shape == (6,)
    torch.testing.assert_close(mixed, share * alone[0] + (1 - share) * alone[1])


def test_soft_targets_in_half_precision_have_float32_losses() -> None:
    shares = torch.tensor([[0.25, 0.75]], dtype=torch.float16)
    losses = cross_entropy_per_clip(torch.zeros(1, 2, dtype=torch.float16), shares)
    assert losses.dtype == torch.float32
    assert losses.item() == pytest.approx(math.log(2.0))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_focal_gamma_0_and_no_weights_are_the_losses_of_torch(
    smoothing: float,
) -> None:
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    targets = torch.tensor([0, 1, 2, 3, 0, 1])
    nearly = cross_entropy_per_clip(logits, targets, label_smoothing=smoothing, focal_gamma=1e-9)
    torch.testing.assert_close(
        nearly, cross_entropy_per_clip(logits, targets, label_smoothing=smoothing)
    )
    marks = (logits > 0.3).float().roll(1, 0)
    weight = torch.tensor([1.0, 2, 3, 4])
    expected = functional.binary_cross_entropy_with_logits(
        logits,
        marks * (1 - smoothing) + smoothing / 2,
        pos_weight=weight,
        reduction="none",
    ).mean(dim=1)
    found = binary_cross_entropy_per_clip(
        logits, marks, label_smoothing=smoothing, pos_weight=weight
    )
    torch.testing.assert_close(found, expected)


def test_focal_losses_reduce_the_loss_of_confident_correct_clips() -> None:
    logits = torch.tensor([[4.0, 0.0], [0.0, 4.0]])
    targets = torch.tensor([0, 0])  # the first is right, the second wrong
    plain, focal = (
        cross_entropy_per_clip(logits, targets, focal_gamma=gamma) for gamma in (0.0, 2.0)
    )
    assert focal[0] / plain[0] < 1e-3 and focal[1] / plain[1] > 0.9
    marks = functional.one_hot(targets, 2).float()
    plain, focal = (
        binary_cross_entropy_per_clip(logits, marks, focal_gamma=gamma) for gamma in (0.0, 2.0)
    )
    assert focal[0] / plain[0] < 0.3 and focal[1] / plain[1] > 0.5


def test_the_focal_loss_of_soft_targets_is_the_mean_over_their_labels() -> None:
    logits = torch.randn(1, 3, generator=torch.Generator().manual_seed(2))
    weight = torch.tensor([1.0, 2, 5])
    alone = [
        cross_entropy_per_clip(logits, torch.tensor([label]), class_weights=weight, focal_gamma=1.5)
        for label in (0, 2)
    ]
    mixed = cross_entropy_per_clip(
        logits, torch.tensor([[0.3, 0, 0.7]]), class_weights=weight, focal_gamma=1.5
    )
    torch.testing.assert_close(mixed, 0.3 * alone[0] + 0.7 * alone[1])


@pytest.mark.parametrize("loss", [cross_entropy_per_clip, binary_cross_entropy_per_clip])
def test_focal_gradients_are_finite_at_probability_1(
    loss: Callable[..., Tensor],
) -> None:
    logits = torch.tensor([[300.0, -300.0]], requires_grad=True)
    loss(logits, torch.tensor([[1.0, 0.0]]), focal_gamma=0.5).sum().backward()
    assert logits.grad is not None and torch.isfinite(logits.grad).all()
