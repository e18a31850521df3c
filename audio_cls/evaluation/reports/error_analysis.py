"""Error analysis: confused labels, confident mistakes, accuracy by duration, group and rate.

All of them are parts of the `test` part of results.json.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_cls.data.clips.metadata import ClipMetadata
from audio_cls.evaluation.metrics.intervals import wilson_interval
from audio_cls.evaluation.metrics.multi_label import score_labels
from audio_cls.evaluation.metrics.probabilistic import average_precisions
from audio_cls.evaluation.metrics.scores import Scores

NUM_CONFUSIONS = 20
NUM_MISTAKES = 20
NUM_GROUPS = 100  # in the table, those with the lowest accuracy first
DURATION_EDGES = (1, 2, 3, 5, 10, 20, 30, 60)  # seconds between buckets
SCORE_DECIMALS = 4  # of values computed from probabilities, whose last digits are noise

Row = dict[str, Any]


def list_confusions(scores: Scores, names: Sequence[str]) -> list[Row]:
    """Return the most frequent mistakes, {label, prediction, count}; ties in label order."""
    pairs = Counter(
        (int(true), int(predicted))
        for true, predicted in zip(scores.targets, scores.predictions, strict=True)
        if true != predicted
    )
    ranked = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))[:NUM_CONFUSIONS]
    return [
        {"label": names[true], "prediction": names[predicted], "count": count}
        for (true, predicted), count in ranked
    ]


def list_mistakes(scores: Scores, names: Sequence[str]) -> list[Row]:
    """Return the most confident wrong predictions: their labels are worth a check.

    `row` is the row of predictions.csv, from 1: an id may be replaced before publishing.

    Multi-label: one row for each wrong clip-label pair; `label` is a missed label, `prediction` a
    label that the clip does not have, and the other one is empty.
    """
    if scores.is_multilabel:
        return _list_wrong_pairs(scores, names)
    confidence = scores.probabilities.max(axis=1).round(SCORE_DECIMALS)
    wrong = np.flatnonzero(scores.targets != scores.predictions)
    ranked = sorted(wrong, key=lambda row: (-confidence[row], str(scores.ids[row])))
    return [
        {
            "id": str(scores.ids[row]),
            "row": int(row) + 1,
            "label": names[scores.targets[row]],
            "prediction": names[scores.predictions[row]],
            "confidence": float(confidence[row]),
        }
        for row in ranked[:NUM_MISTAKES]
    ]


def _list_wrong_pairs(scores: Scores, names: Sequence[str]) -> list[Row]:
    """Return the wrong clip-label pairs, the most confident first."""
    confidence = np.where(scores.targets > 0, 1 - scores.probabilities, scores.probabilities)
    confidence = confidence.round(SCORE_DECIMALS)
    wrong = np.argwhere(scores.targets != scores.predictions)
    ranked = sorted(
        wrong, key=lambda pair: (-confidence[tuple(pair)], str(scores.ids[pair[0]]), pair[1])
    )
    return [
        {
            "id": str(scores.ids[row]),
            "row": int(row) + 1,
            "label": names[label] if scores.targets[row, label] else "",
            "prediction": "" if scores.targets[row, label] else names[label],
            "confidence": float(confidence[row, label]),
        }
        for row, label in ranked[:NUM_MISTAKES]
    ]


def tabulate_labels(scores: Scores, names: Sequence[str]) -> dict[str, Row]:
    """Return {label name: scores} of a multi-label task.

    A label without clips comes last; it has no average_precision and its other scores are None,
    because it is not tested.
    """
    columns = dict(
        zip(
            ("precision", "recall", "f1"),
            score_labels(scores.targets, scores.predictions),
            strict=True,
        )
    )
    precisions = average_precisions(scores.targets > 0, scores.probabilities)
    support = scores.targets.sum(axis=0)
    table: dict[str, Row] = {}
    for label in np.argsort(support == 0, kind="stable").tolist():
        has_clips = support[label] > 0
        table[names[label]] = {
            **{k: round(float(v[label]), 6) if has_clips else None for k, v in columns.items()},
            "support": int(support[label]),
            "threshold": round(float(scores.label_thresholds[label]), 6),
        }
        if has_clips:
            precision = round(float(precisions[label]), SCORE_DECIMALS)
            table[names[label]]["average_precision"] = precision
    return table


def accuracy_by_metadata(scores: Scores, metadata: ClipMetadata) -> dict[str, Any]:
    """Return accuracy by duration, by sampling rate and, where there are groups, by group.

    Clips without a group (''), such as generated silence, are no group.
    """
    is_correct = scores.is_correct
    tables: dict[str, Any] = {
        "by_duration": _tabulate_durations(is_correct, metadata.seconds),
        "by_sampling_rate": {
            f"{rate} Hz" if rate else "unknown": _score_part(
                is_correct[metadata.sampling_rates == rate]
            )
            for rate in np.unique(metadata.sampling_rates)
        },
    }
    if metadata.groups is not None:
        has_group = metadata.groups != ""
        tables["num_groups"] = len(np.unique(metadata.groups[has_group]))
        tables["by_group"] = _tabulate_groups(is_correct[has_group], metadata.groups[has_group])
    return tables


def _tabulate_durations(
    is_correct: NDArray[np.bool_], seconds: NDArray[np.float64]
) -> dict[str, Row]:
    """Return the accuracy of the duration buckets that have clips, the shortest first."""
    buckets = np.searchsorted(DURATION_EDGES, seconds, side="right")
    return {_name_bucket(int(b)): _score_part(is_correct[buckets == b]) for b in np.unique(buckets)}


def _name_bucket(number: int) -> str:
    """Return the name of a bucket.

    >>> _name_bucket(0), _name_bucket(1), _name_bucket(8)
    ('below 1 s', '1 to 2 s', '60 s and more')
    """
    if number == 0:
        return f"below {DURATION_EDGES[0]} s"
    if number == len(DURATION_EDGES):
        return f"{DURATION_EDGES[-1]} s and more"
    return f"{DURATION_EDGES[number - 1]} to {DURATION_EDGES[number]} s"


def _tabulate_groups(is_correct: NDArray[np.bool_], groups: NDArray[np.str_]) -> dict[str, Row]:
    """Return accuracy by group, the lowest first."""
    names, number = np.unique(groups, return_inverse=True)
    counts = np.bincount(number)
    shares = np.bincount(number, weights=is_correct) / counts
    order = np.lexsort((names, -counts, shares))[:NUM_GROUPS]
    return {str(names[group]): _score_part(is_correct[number == group]) for group in order}


def _score_part(is_correct: NDArray[np.bool_]) -> Row:
    """Return the number of clips of a part, its accuracy and Wilson's interval."""
    interval = wilson_interval(int(is_correct.sum()), len(is_correct))
    return {
        "num_examples": len(is_correct),
        "accuracy": round(float(is_correct.mean()), 6),
        "accuracy_ci95": [round(bound, 6) for bound in interval],
    }
