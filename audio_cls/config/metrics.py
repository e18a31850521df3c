"""Registry of the metrics in results.json: bounds, and whether larger is better.

The metrics themselves are computed in `audio_cls.evaluation`; this table needs no library, so that
tools that only read results.json can use it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MetricSpec:
    """Bounds and direction of a metric."""

    lowest: float = 0.0
    highest: float = 1.0
    lower_is_better: bool = False


AVERAGES = ("macro", "micro", "weighted")
METRIC_SPECS: Mapping[str, MetricSpec] = {
    "accuracy": MetricSpec(),  # multi-label: all labels right (subset accuracy)
    "balanced_accuracy": MetricSpec(),
    "uar": MetricSpec(),
    **{f"{kind}_{how}": MetricSpec() for kind in ("f1", "precision", "recall") for how in AVERAGES},
    "top3_accuracy": MetricSpec(),
    "top5_accuracy": MetricSpec(),
    "roc_auc": MetricSpec(),
    "map": MetricSpec(),
    "map_micro": MetricSpec(),
    "lwlrap": MetricSpec(),
    "eer": MetricSpec(lower_is_better=True),
    "hamming_loss": MetricSpec(lower_is_better=True),
    "ece": MetricSpec(lower_is_better=True),
    "log_loss": MetricSpec(highest=math.inf, lower_is_better=True),
    "loss": MetricSpec(highest=math.inf, lower_is_better=True),
}
# Values of a model that ignores the audio; not metrics of the trained model.
BASELINE_SPECS: Mapping[str, MetricSpec] = {
    "majority_accuracy": MetricSpec(),
    "baseline_map": MetricSpec(),
    # Of logistic regression on log-mel statistics, and what the trained model gains over it.
    "log_mel_accuracy": MetricSpec(),
    "log_mel_map": MetricSpec(),
    "log_mel_difference": MetricSpec(lowest=-1.0),
}
UNKNOWN_METRIC = MetricSpec(lowest=-math.inf, highest=math.inf)  # of an `evaluate` module


def find_metric_spec(key: str) -> MetricSpec:
    """Return bounds and direction of a metric or baseline; an `evaluate` module has no bounds."""
    return METRIC_SPECS.get(key) or BASELINE_SPECS.get(key, UNKNOWN_METRIC)


def select_metrics(
    part: Mapping[str, Any], chosen: str | None = None, *, with_baselines: bool = False
) -> dict[str, float]:
    """Return the metrics among the entries of results.json's `test` or `validation`.

    Counts (`num_examples`, `num_groups`), baselines (`majority_accuracy`), tables and intervals are
    not metrics. A metric that is undefined on these clips (null) is left out.

    Args:
        part: Name -> value.
        chosen: Key of the metric of `--metric`, which may be of another package.
        with_baselines: Return `BASELINE_SPECS` too.

    >>> select_metrics({"accuracy": 0.5, "num_groups": 8, "f1_macro": float("nan"), "mine": 2})
    {'accuracy': 0.5}
    """
    known = {*METRIC_SPECS, chosen, *(BASELINE_SPECS if with_baselines else ())}
    return {
        str(key): value
        for key, value in part.items()
        if key in known
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
    }
