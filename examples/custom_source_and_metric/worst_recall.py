"""A metric for --metric, as a module of the library evaluate: the lowest recall of a class."""

from __future__ import annotations

import datasets
import evaluate
from sklearn.metrics import recall_score


class WorstRecall(evaluate.Metric):  # type: ignore[misc] # untyped
    """The recall of the class that is recognised worst, of the classes that have clips."""

    def _info(self) -> evaluate.MetricInfo:
        """Return the names and types of what `_compute` gets."""
        label_id = datasets.Value("int64")
        features = datasets.Features({"predictions": label_id, "references": label_id})
        return evaluate.MetricInfo(
            description="", citation="", inputs_description="", features=features
        )

    def _compute(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        """Return one number, under the name of this file."""
        recalls = recall_score(
            references, predictions, labels=sorted(set(references)), average=None
        )
        return {"worst_recall": float(min(recalls))}
