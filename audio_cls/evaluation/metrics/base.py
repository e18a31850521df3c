"""Metric: a plain function with a key, and its form as an `evaluate.Metric`.

`evaluate.load("accuracy")` downloads code from the Hub; these metrics need no network, and can be
combined with others (`evaluate.combine`). Letters: N clips, L labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import datasets
import evaluate
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

    @property
    def input_name(self) -> str:
        """Return what `evaluate` calls the second argument of the function."""
        return "prediction_scores" if self.uses_probabilities else "predictions"

    def suits(self, num_labels: int) -> bool:
        """Return whether the metric is defined for a task with this number of labels."""
        return self.min_labels <= num_labels <= (self.max_labels or num_labels)


class OfflineMetric(evaluate.Metric):  # type: ignore[misc] # untyped upstream
    """A `Metric` as an `evaluate.Metric` that needs no network."""

    def __init__(self, metric: Metric, *, is_multilabel: bool = False) -> None:
        """Keep what is added in memory: nothing is written and no process waits for another.

        Args:
            metric: What is computed.
            is_multilabel: Of targets (N, L) instead of label ids (N,).
        """
        self.metric, self.is_multilabel = metric, is_multilabel
        super().__init__(keep_in_memory=True)

    def _info(self) -> evaluate.MetricInfo:
        ids, floats = datasets.Value("int64"), datasets.Value("float64")
        true = datasets.Sequence(ids) if self.is_multilabel else ids
        given = datasets.Sequence(floats) if self.metric.uses_probabilities else true
        return evaluate.MetricInfo(
            description=self.metric.key,
            citation="",
            features=datasets.Features({self.metric.input_name: given, "references": true}),
            inputs_description="references and predictions: label ids (N,), or 0 and 1 (N, L) if"
            " multi-label; prediction_scores: probabilities (N, L).",
        )

    def _compute(self, references: Sequence[Any], **given: Any) -> dict[str, float]:  # noqa: ANN401
        """Compute the metric; the inputs of other metrics of the same `combine` are ignored."""
        values = np.array(given[self.metric.input_name])
        return {self.metric.key: self.metric.function(np.array(references), values)}


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
