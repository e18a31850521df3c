"""Paired comparison of two runs on the same clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_cls.data.clips.metadata import ClipMetadata
from audio_cls.data.labels.label_text import join_names
from audio_cls.errors import RunFolderError, count_of, list_names
from audio_cls.evaluation.metrics.intervals import mcnemar_test, resampling_units
from audio_cls.evaluation.metrics.paired import Difference, compare_accuracy, compare_precision
from audio_cls.evaluation.metrics.probabilistic import mean_average_precision
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.reports.predictions_file import read_predictions, select_names
from audio_cls.inference.aggregation import DECIMALS


def compare_runs(
    scores: Scores, names: Sequence[str], other: Path, metadata: ClipMetadata | None
) -> dict[str, Any]:
    """Return the `comparison` part of results.json: the difference in accuracy, and its test.

    Args:
        scores: Of this run.
        names: Names of its labels.
        other: The folder of the other run, or its predictions.csv.
        metadata: Of the clips; with enough groups, the interval of the difference is by group, and
            never narrower than by clips. McNemar's test always treats clips as independent.

    Raises:
        RunFolderError: The other run has not all of these clips, or other true labels for them.
    """
    path = other / "predictions.csv" if other.is_dir() else other
    other_scores = _read_same_clips(path, scores, names)
    this_correct, other_correct = scores.is_correct, other_scores.is_correct
    groups = None if metadata is None else metadata.groups
    _, note = resampling_units(len(this_correct), groups)
    counts = [
        int((this_correct & ~other_correct).sum()),
        int((~this_correct & other_correct).sum()),
    ]
    found = {
        "other": path.parent.name if path.name == "predictions.csv" else path.name,
        "accuracy_other": round(float(other_correct.mean()), DECIMALS),
        **_report(compare_accuracy(scores, other_scores, groups), "accuracy"),
        "only_this_right": counts[0],
        "only_other_right": counts[1],
        "both_right": int((this_correct & other_correct).sum()),
        "both_wrong": int((~this_correct & ~other_correct).sum()),
        "mcnemar_p": round(mcnemar_test(*counts), DECIMALS),
        **({"note": note} if note else {}),
    }
    if scores.is_multilabel:
        map_other = mean_average_precision(other_scores.targets, other_scores.probabilities)
        found["map_other"] = round(map_other, DECIMALS)
        found |= _report(compare_precision(scores, other_scores, groups), "map")
    return found


def _report(difference: Difference, key: str) -> dict[str, Any]:
    """Return the rounded difference in a metric and its interval, for results.json."""
    interval = difference.interval
    return {
        f"{key}_difference": round(difference.value, DECIMALS),
        f"{key}_difference_ci95": interval and [round(bound, DECIMALS) for bound in interval],
    }


def _read_same_clips(path: Path, scores: Scores, names: Sequence[str]) -> Scores:
    """Return the other run's scores of the clips in `scores`, in this order.

    Raises:
        RunFolderError: It has not all of the clips, or other labels.
    """
    found, found_names = read_predictions(path)
    row_of = {str(name): row for row, name in enumerate(found.ids)}
    missing = [str(name) for name in scores.ids if str(name) not in row_of]
    if missing:
        raise RunFolderError(
            f"'{path}' lacks {len(missing)} of these {len(scores.ids)} clips (first: {missing[0]})."
            " Evaluate both on the same --dataset and --split, then compare the two folders."
        )
    rows = np.array([row_of[str(name)] for name in scores.ids])
    found = replace(
        found,
        ids=found.ids[rows],
        targets=found.targets[rows],
        probabilities=found.probabilities[rows],
    )
    these, others = _name_targets(scores, names), _name_targets(found, found_names)
    differing = scores.ids[these != others]
    if len(differing):
        raise RunFolderError(
            f"'{path}' has other true labels for {count_of(len(differing), 'clip')}"
            f" ({list_names(differing[:3])}). Evaluate both with the same --label-map."
        )
    if scores.is_multilabel and set(names) != set(found_names):
        raise RunFolderError(
            f"'{path}' has other labels ({list_names(set(names) ^ set(found_names))}), and two"
            " multi-label runs are compared label by label. Give a run with the same labels."
        )
    if not scores.is_multilabel:
        return found
    columns = [found_names.index(name) for name in names]
    return replace(
        found,
        targets=found.targets[:, columns],
        probabilities=found.probabilities[:, columns],
        thresholds=found.label_thresholds[columns],
    )


def _name_targets(scores: Scores, names: Sequence[str]) -> NDArray[np.str_]:
    """Return the true label of each clip by name, (N,); several joined in alphabetical order."""
    if not scores.is_multilabel:
        return np.array(names)[scores.targets]
    order = np.argsort(np.array(names))
    sorted_names = [names[label] for label in order]
    return np.array(
        [join_names(select_names(sorted_names, row)) for row in scores.targets[:, order]]
    )
