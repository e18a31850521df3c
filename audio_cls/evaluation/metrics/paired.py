"""Paired comparison of two models on the same clips: difference in accuracy or precision.

The 95 % interval of a difference is by group where there are enough groups, and never narrower than
the interval by clips. Letters: N clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_cls.evaluation.metrics.intervals import (
    Interval,
    Rows,
    choose_wider,
    difference_interval,
    group_rows,
    list_ungrouped,
    paired_interval,
    resampling_units,
)
from audio_cls.evaluation.metrics.probabilistic import mean_average_precision
from audio_cls.evaluation.metrics.scores import Scores

Groups = Sequence[str] | NDArray[np.str_]


@dataclass(frozen=True)
class Difference:
    """The difference of two models in a metric, the first minus the second."""

    value: float  # NaN where the metric is not defined
    interval: Interval | None  # 95 %


def compare_accuracy(scores: Scores, other: Scores, groups: Groups | None = None) -> Difference:
    """Return the difference in accuracy; if multi-label, in subset accuracy.

    Args:
        scores: Of the first model.
        other: Of the second one, for the same clips in the same order.
        groups: Of the clips, (N,), '' for none.
    """
    gained = scores.is_correct.astype(np.float64) - other.is_correct
    counts = int((gained > 0).sum()), int((gained < 0).sum())
    interval: Interval | None = paired_interval(*counts, len(gained))
    units, ungrouped = _choose_groups(len(gained), groups)
    if units is not None:
        by_group = difference_interval(lambda rows: float(gained[rows].mean()), units, ungrouped)
        interval = choose_wider(by_group, interval)
    return Difference(float(gained.mean()), interval)


def compare_precision(scores: Scores, other: Scores, groups: Groups | None = None) -> Difference:
    """Return the difference in mean average precision; see `compare_accuracy`."""

    def compute(rows: Rows) -> float:
        first, second = (
            mean_average_precision(part.targets[rows], part.probabilities[rows])
            for part in (scores, other)
        )
        return first - second

    num_clips = len(scores.targets)
    interval = difference_interval(compute, group_rows(num_clips, None))
    units, ungrouped = _choose_groups(num_clips, groups)
    if units is not None:
        interval = choose_wider(difference_interval(compute, units, ungrouped), interval)
    return Difference(compute(np.arange(num_clips)), interval)


def _choose_groups(num_clips: int, groups: Groups | None) -> tuple[list[Rows] | None, Rows]:
    """Return the rows of each group and those without one; None where there are too few groups."""
    units, note = resampling_units(num_clips, groups)
    is_grouped = groups is not None and note is None
    return units if is_grouped else None, list_ungrouped(groups)
