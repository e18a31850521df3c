"""Two runs on the same clips.

Comes in: a finished run's folder or predictions.csv. Goes out: a part of results.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_cls.data.clips.metadata import ClipMetadata
from audio_cls.data.labels.label_text import join_names
from audio_cls.errors import RunFolderError, list_names
from audio_cls.evaluation.metrics.intervals import (
    Interval,
    Rows,
    choose_wider,
    difference_interval,
    group_rows,
    mcnemar_test,
    paired_interval,
    resampling_units,
)
from audio_cls.evaluation.metrics.probabilistic import mean_average_precision
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.reports.predictions_file import pick_names, read_predictions
from audio_cls.inference.aggregation import DECIMALS


def compare_runs(
    scores: Scores, names: Sequence[str], other: Path, metadata: ClipMetadata | None
) -> dict[str, Any]:
    """Return the `comparison` part of results.json: who is right where the two differ.

    Args:
        scores: Of this run.
        names: Its labels.
        other: The other run's folder, or its predictions.csv.
        metadata: Of the clips; with enough groups, the interval of the difference is by group, and
            never narrower than by clips. McNemar's test always takes clips for independent.

    Raises:
        RunFolderError: The other run did not judge these clips, or by other true labels.
    """
    path = other / "predictions.csv" if other.is_dir() else other
    theirs = _read_same(path, scores, names)
    their, own = theirs.is_correct, scores.is_correct
    gain = own.astype(np.float64) - their
    groups = None if metadata is None else metadata.groups
    units, note = resampling_units(len(own), groups)
    by_group = None if groups is None or note is not None else units
    counts = [int((own & ~their).sum()), int((their & ~own).sum())]
    interval: Interval | None = paired_interval(counts[0], counts[1], len(own))
    if by_group is not None:
        drawn = difference_interval(lambda some: float(gain[some].mean()), by_group)
        interval = choose_wider(drawn, interval)
    return {
        "other": path.parent.name if path.name == "predictions.csv" else path.name,
        "accuracy_other": round(float(their.mean()), DECIMALS),
        "accuracy_difference": round(float(gain.mean()), DECIMALS),
        "accuracy_difference_ci95": interval and [round(bound, DECIMALS) for bound in interval],
        "only_this_right": counts[0],
        "only_other_right": counts[1],
        "both_right": int((own & their).sum()),
        "both_wrong": int((~own & ~their).sum()),
        "mcnemar_p": round(mcnemar_test(*counts), DECIMALS),
        **({"note": note} if note else {}),
        **(_compare_rankings(scores, theirs, by_group) if scores.is_multilabel else {}),
    }


def _compare_rankings(
    scores: Scores, theirs: Scores, by_group: Sequence[Rows] | None
) -> dict[str, Any]:
    """Return by how much the mean average precision of two runs on the same clips differs."""

    def gain(rows: Rows) -> float:
        own, other = (
            mean_average_precision(some.targets[rows], some.probabilities[rows])
            for some in (scores, theirs)
        )
        return own - other

    interval = difference_interval(gain, group_rows(len(scores.targets), None))
    if by_group is not None:
        interval = choose_wider(difference_interval(gain, by_group), interval)
    return {
        "map_other": round(mean_average_precision(theirs.targets, theirs.probabilities), DECIMALS),
        "map_difference": round(gain(np.arange(len(scores.targets))), DECIMALS),
        "map_difference_ci95": interval and [round(bound, DECIMALS) for bound in interval],
    }


def _read_same(path: Path, scores: Scores, names: Sequence[str]) -> Scores:
    """Return another run's scores of these clips, in this order; refuse other clips or truths."""
    theirs, their_names = read_predictions(path)
    place = {str(name): row for row, name in enumerate(theirs.ids)}
    missing = [str(name) for name in scores.ids if str(name) not in place]
    if missing:
        raise RunFolderError(
            f"'{path}' lacks {len(missing)} of these {len(scores.ids)} clips (first: {missing[0]})."
            " Evaluate both on the same --dataset and --split, then compare the two folders."
        )
    rows = np.array([place[str(name)] for name in scores.ids])
    theirs = replace(
        theirs,
        ids=theirs.ids[rows],
        targets=theirs.targets[rows],
        probabilities=theirs.probabilities[rows],
    )
    own_truth, their_truth = _name_truth(scores, names), _name_truth(theirs, their_names)
    differing = scores.ids[own_truth != their_truth]
    if len(differing):
        raise RunFolderError(
            f"'{path}' has other true labels for {len(differing)} clips"
            f" ({list_names(differing[:3])}). Evaluate both with the same --label-map."
        )
    if scores.is_multilabel and set(names) != set(their_names):
        raise RunFolderError(
            f"'{path}' knows other labels ({list_names(set(names) ^ set(their_names))}): two"
            " multi-label runs are compared label by label. Give one with the same labels."
        )
    if not scores.is_multilabel:
        return theirs
    columns = [their_names.index(name) for name in names]
    return replace(
        theirs,
        targets=theirs.targets[:, columns],
        probabilities=theirs.probabilities[:, columns],
        thresholds=theirs.label_thresholds[columns],
    )


def _name_truth(scores: Scores, names: Sequence[str]) -> NDArray[np.str_]:
    """Return the true label of each clip in words, (N,); several in the order of their spelling."""
    if not scores.is_multilabel:
        return np.array(names)[scores.targets]
    order = np.argsort(np.array(names))
    spelled = [names[place] for place in order]
    return np.array([join_names(pick_names(spelled, m)) for m in scores.targets[:, order]])
