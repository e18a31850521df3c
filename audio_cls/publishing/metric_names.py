"""Names of the metrics on the Hub and in the card, and recognition of a metric by such names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audio_cls.config.metrics import AVERAGES

MAX_NAME = 60  # characters of a name in an untrusted card
# Words that name another metric: "Top 5 accuracy" is not "accuracy".
QUALIFIERS = frozenset(
    {
        "top", "balanced", "macro", "micro", "weighted", "unweighted", "binary", "class", "loss",
        "subset",
    }
)  # fmt: skip


@dataclass(frozen=True)
class MetricName:
    """Hub id, title and arguments of a metric."""

    hub_type: str  # id at hf.co/metrics where there is one
    title: str
    args: Mapping[str, Any] | None = None


METRIC_NAMES: Mapping[str, MetricName] = {
    "accuracy": MetricName("accuracy", "Accuracy"),
    "balanced_accuracy": MetricName("balanced_accuracy", "Balanced accuracy"),
    **{
        f"{kind}_{average}": MetricName(
            kind, f"{average.capitalize()} {title}", {"average": average}
        )
        for kind, title in (("f1", "F1"), ("precision", "precision"), ("recall", "recall"))
        for average in AVERAGES
    },
    "map": MetricName("mean_average_precision", "Mean average precision", {"average": "macro"}),
    "map_micro": MetricName(
        "mean_average_precision", "Micro average precision", {"average": "micro"}
    ),
    "lwlrap": MetricName("lwlrap", "Label-weighted label-ranking average precision"),
    "hamming_loss": MetricName("hamming_loss", "Hamming loss"),
    "uar": MetricName("recall", "Unweighted average recall (UAR)", {"average": "macro"}),
    "roc_auc": MetricName("roc_auc", "ROC AUC"),
    "log_loss": MetricName("log_loss", "Log loss"),
    "eer": MetricName("eer", "Equal error rate"),
    "ece": MetricName("ece", "Expected calibration error"),
    "loss": MetricName("loss", "Loss"),
}


SUBSET = MetricName("accuracy", "Subset accuracy", {"subset": True})  # all labels of a clip right


def name_metric(key: str, *, is_multilabel: bool = False) -> MetricName:
    """Return a metric's names; one that is not in the table is named by its key.

    >>> name_metric("top3_accuracy").title
    'Top3 accuracy'
    """
    if is_multilabel and key == "accuracy":
        return SUBSET
    return METRIC_NAMES.get(key) or MetricName(key, key.replace("_", " ").capitalize())


def is_same_metric(one: Mapping[str, Any], metric: str) -> bool:
    """Return whether an entry of model-index is the metric.

    >>> is_same_metric({"type": "accuracy", "name": "Top 5 Accuracy"}, "accuracy")
    False
    """
    wanted = name_metric(metric)
    kind, name = one.get("type"), one.get("name")
    words = _split_words(name) if isinstance(name, str) else set()
    allowed = _split_words(wanted.title) | _split_words(metric)
    if isinstance(kind, str) and kind.lower() in (metric, wanted.hub_type):
        args = one.get("args") if isinstance(one.get("args"), Mapping) else {}
        average = args.get("average") if isinstance(args, Mapping) else None
        named = words | ({str(average)} if isinstance(average, str) else set())
        return named & QUALIFIERS <= allowed & QUALIFIERS and _has_average(wanted, named)
    return bool(words) and words in (_split_words(wanted.title), _split_words(metric))


def _has_average(wanted: MetricName, words: set[str]) -> bool:
    """Return whether the average that the metric needs (macro, micro) is among the words.

    Mean average precision without a word is the macro average.
    """
    average = (wanted.args or {}).get("average")
    is_plain = (wanted.hub_type, average) == ("mean_average_precision", "macro")
    return average is None or average in words or is_plain


def _split_words(name: str) -> set[str]:
    """Return the words of a name in lower case."""
    return set(re.findall("[a-z]+|[0-9]+", name[:MAX_NAME].lower()))
