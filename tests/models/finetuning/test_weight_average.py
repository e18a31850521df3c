"""Averages of weights against numbers computed by hand."""

from __future__ import annotations

import pytest
import torch

from audio_cls.models.finetuning.weight_average import (
    State,
    average_greedily,
    interpolate_weights,
)


def _state(*values: float) -> dict[str, torch.Tensor]:
    """Return weights: two numbers, and a counter of a normalization layer."""
    return {"weight": torch.tensor(values), "count": torch.tensor(int(10 * values[0]))}


def test_interpolation_is_linear_and_keeps_whole_numbers() -> None:
    found = interpolate_weights(_state(1.0, 2.0), _state(3.0, -2.0), 0.25)
    assert found["weight"].tolist() == [1.5, 1.0]  # 0.75 * 1 + 0.25 * 3, 0.75 * 2 - 0.25 * 2
    assert found["weight"].dtype == torch.float32
    assert found["count"].item() == 30


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_the_ends_of_the_interpolation_are_the_models(alpha: float) -> None:
    ends = _state(0.1, 0.7), _state(0.3, -0.2)
    found = interpolate_weights(*ends, alpha)
    assert torch.equal(found["weight"], ends[int(alpha)]["weight"])


def test_models_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="other names or shapes"):
        interpolate_weights({"weight": torch.zeros(2)}, {"weight": torch.zeros(3)}, 0.5)


def test_greedy_average_takes_what_does_not_raise_the_loss() -> None:
    """The loss is the distance of the first weight to 2.

    1 alone: 1. With 4 it is the mean 2.5: 0.5, joins. With 10, the mean of three is 5: 3, does not.
    With 1, the mean of the three is 2: 0, joins.
    """
    trials: list[float] = []

    def loss(state: State) -> float:
        trials.append(round(float(state["weight"][0]), 6))
        return abs(trials[-1] - 2)

    states = [_state(value, 0.0) for value in (1.0, 4.0, 10.0, 1.0)]
    average, joined = average_greedily(states, loss)
    assert trials == [1.0, 2.5, 5.0, 2.0]
    assert joined == [0, 1, 3]
    assert average["weight"].tolist() == pytest.approx([2.0, 0.0])


def test_nothing_to_average_is_refused() -> None:
    with pytest.raises(ValueError, match="no weights"):
        average_greedily([], lambda _: 0.0)
