"""Weight averaging: interpolation of two models, and greedy averaging of the epochs of one.

Interpolation follows Wortsman and others 2022 (WiSE-FT, arXiv:2109.01903), greedy averaging the
same group (model soups, arXiv:2203.05482, recipe 1). Both need models of one architecture that
start from the same weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

State = Mapping[str, Tensor]  # weights by name, as `state_dict()` returns them


def interpolate_weights(first: State, second: State, alpha: float) -> dict[str, Tensor]:
    """Return (1 - alpha) * first + alpha * second, for each weight.

    Computed in float64 and returned in the number format of `first`. Tensors of whole numbers,
    such as counters, are those of `second`.

    Args:
        first: Weights at alpha 0.
        second: Weights at alpha 1, with the same names and shapes.
        alpha: From 0 to 1.

    Raises:
        ValueError: The two have other names or shapes.
    """
    shapes = [{name: tuple(one.shape) for name, one in state.items()} for state in (first, second)]
    if shapes[0] != shapes[1]:
        raise ValueError("the two models have weights of other names or shapes")
    return {
        name: ((1 - alpha) * weight.double() + alpha * second[name].double()).to(weight.dtype)
        if weight.is_floating_point()
        else second[name]
        for name, weight in first.items()
    }


def average_weights(states: Iterable[State]) -> dict[str, Tensor]:
    """Return the mean of some weights of the same names and shapes, of which two are in memory.

    Raises:
        ValueError: There are none, or see `interpolate_weights`.
    """
    return average_greedily(states, lambda _: 0.0)[0]


def average_greedily(
    states: Iterable[State], compute_loss: Callable[[State], float]
) -> tuple[dict[str, Tensor], list[int]]:
    """Average weights, each of which joins only if the loss of the average does not rise.

    Two sets of weights are in memory at a time, besides those that `states` holds.

    Args:
        states: Weights of the same names and shapes, the best first; at least one.
        compute_loss: Loss of a model with these weights, such as the log loss on validation.

    Returns:
        The mean of the weights that joined, and their places in `states`.

    Raises:
        ValueError: There are none, or see `interpolate_weights`.
    """
    average: dict[str, Tensor] = {}
    joined: list[int] = []
    lowest = float("inf")
    for place, state in enumerate(states):
        trial = dict(state)
        if joined:
            trial = interpolate_weights(average, state, 1 / (len(joined) + 1))
        loss = compute_loss(trial)
        if not joined or loss <= lowest:
            average, lowest = trial, loss
            joined.append(place)
    if not joined:
        raise ValueError("there are no weights to average")
    return average, joined
