"""Choice of one of several models by their validation losses, with the one-standard-error rule.

The rule takes the simplest model that is not clearly worse than the best one (Breiman and others,
Classification and Regression Trees, 1984, section 3.4.3). The standard error is that of the paired
difference, since all models are scored on the same clips. Where clips have groups, such as
speakers, each group counts equally: the clips of one group are not independent. N clips, G groups.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_cls.evaluation.metrics.base import Floats
from audio_cls.evaluation.metrics.intervals import MIN_GROUPS, group_rows, list_ungrouped
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.inference.aggregation import MIN_PROBABILITY

Groups = NDArray[np.str_] | None  # (N,) as text, '' for none; None: clips have no groups


@dataclass(frozen=True)
class Candidate:
    """A model that can be chosen."""

    name: str
    complexity: int  # a model of smaller complexity is simpler
    losses: Floats  # of each validation clip, (N,)


@dataclass(frozen=True)
class Comparison:
    """A candidate next to the one with the lowest loss."""

    loss: float  # mean, see `mean_loss`
    difference: float  # to the lowest loss; 0 for that one
    standard_error: float  # of the difference


def clip_losses(scores: Scores) -> Floats:
    """Return the log loss of each clip, (N,); its mean is `log_loss` of all clips.

    Multi-label: the mean of the binary cross-entropy over the labels.
    """
    true, given = scores.targets, scores.probabilities
    if true.ndim > 1:
        given = np.where(true > 0, given, 1 - given)
        return np.asarray(-np.log(np.maximum(given, MIN_PROBABILITY)).mean(axis=1))
    chosen = given[np.arange(len(true)), true]
    return np.asarray(-np.log(np.maximum(chosen, MIN_PROBABILITY)))


def clip_weights(num_clips: int, groups: Groups) -> Floats:
    """Return the share of each clip in a mean over groups, (N,); they sum to 1.

    A clip without a group, such as generated silence, counts as a group of its own.

    >>> clip_weights(3, np.array(["a", "a", "b"])).tolist()
    [0.25, 0.25, 0.5]
    """
    units = [*group_rows(num_clips, groups), *(np.array([n]) for n in list_ungrouped(groups))]
    weights = np.zeros(num_clips)
    for rows in units:
        weights[rows] = 1 / (len(units) * len(rows))
    return weights


def mean_loss(losses: Floats, groups: Groups) -> float:
    """Return the mean over groups of the mean loss of their clips; without groups, over clips."""
    return float(losses @ clip_weights(len(losses), groups))


def standard_error(values: Floats, groups: Groups) -> float:
    """Return the standard error of `mean_loss` of some values, such as differences of losses.

    Groups are the sample; with fewer than `MIN_GROUPS` of them clips are, because the spread of so
    few is too uncertain.

    Args:
        values: One per clip, (N,).
        groups: Of the clips.

    Returns:
        0 for one clip.
    """
    weights = clip_weights(len(values), groups)
    units = group_rows(len(values), groups)
    if groups is not None and len(units) >= MIN_GROUPS:
        units += [np.array([row]) for row in list_ungrouped(groups)]
    else:
        units = group_rows(len(values), None)
    if len(units) < 2:
        return 0.0
    centred = weights * (values - float(values @ weights))
    sums = np.array([centred[rows].sum() for rows in units])
    return math.sqrt(float((sums**2).sum()) * len(units) / (len(units) - 1))


def choose_candidate(
    candidates: Sequence[Candidate], groups: Groups
) -> tuple[int, list[Comparison], str]:
    """Choose the simplest candidate within one standard error of the lowest validation loss.

    Of equally simple ones, the one with the lower loss is chosen.

    Args:
        candidates: At least one, scored on the same clips.
        groups: Of these clips.

    Returns:
        Number of the chosen candidate, a comparison for each one, and the reason as a sentence.
    """
    losses = [mean_loss(one.losses, groups) for one in candidates]
    best = int(np.argmin(losses))
    compared = [
        Comparison(
            loss,
            loss - losses[best],
            standard_error(one.losses - candidates[best].losses, groups),
        )
        for one, loss in zip(candidates, losses, strict=True)
    ]
    close = [n for n, one in enumerate(compared) if one.difference <= one.standard_error]
    chosen = min(close, key=lambda n: (candidates[n].complexity, losses[n]))
    if chosen == best:
        is_simplest = all(one.complexity >= candidates[best].complexity for one in candidates)
        end = "" if is_simplest else "; no simpler one is within one standard error"
        return chosen, compared, f"It has the lowest log loss of the candidates{end}."
    one = compared[chosen]
    reason = (
        f"It is the simplest within one standard error: its log loss is"
        f" {one.difference:.4f} above the lowest ({candidates[best].name}), with a standard error"
        f" of {one.standard_error:.4f}."
    )
    return chosen, compared, reason
