"""Metric: a plain function with a key.

`evaluate.load("accuracy")` downloads code from the Hub; these metrics need no network. Letters: N
clips, L labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]  # label ids (N,), or targets (N, L): 1 where a clip has a label
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """A metric of this package."""

    key: str  # its name in results.json; its bounds are in `config.METRIC_SPECS`
    function: Callable[[Ids, Any], float]  # (true, predicted or probabilities) -> value, or NaN
    uses_probabilities: bool = False  # (N, L), instead of predicted labels
    min_labels: int = 2
    max_labels: int | None = None  # None: no limit

    def suits(self, num_labels: int) -> bool:
        """Return whether the metric is defined for a task with this number of labels."""
        return self.min_labels <= num_labels <= (self.max_labels or num_labels)


def make_averages(average_function: Callable[..., float]) -> list[Metric]:
    """Return the macro, micro and weighted averages of F1, precision and recall.

    Args:
        average_function: (true, predicted, kind, average) -> value.
    """
    return [
        Metric(f"{kind}_{average}", partial(average_function, kind=kind, average=average))
        for kind in ("f1", "precision", "recall")
        for average in ("macro", "micro", "weighted")
    ]
