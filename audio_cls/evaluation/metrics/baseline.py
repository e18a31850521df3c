"""Majority baseline: the scores of a model that always predicts what is most frequent in training.

It is what scikit-learn's `DummyClassifier(strategy="most_frequent")` reaches: an accuracy means
little without it. Letters: N clips, L labels.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_cls.evaluation.metrics.probabilistic import average_precision
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.inference.aggregation import DECIMALS
from audio_cls.run_warnings import warn

FROM_TRAIN, FROM_THESE = "train", "these clips"

Ids = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]

logger = logging.getLogger(__name__)


def find_majority(labels: Ids | Floats) -> Ids | None:
    """Return the most frequent label of training clips.

    Args:
        labels: Ids (N,), or marks (N, L) where a clip may have several labels.

    Returns:
        The id, shape (), of equally frequent ones the smaller; or marks (L,): 1 for each label that
        more than half of the clips have. None without clips: those of a stream are not known.
    """
    if len(labels) == 0:
        return None
    if labels.ndim > 1:
        return np.asarray(labels.mean(axis=0) > 0.5, dtype=np.int64)
    return np.asarray(np.bincount(labels.astype(np.int64)).argmax())


def compute_baselines(labels: Ids, majority: Ids | None = None) -> dict[str, float]:
    """Return `majority_accuracy`, and for several labels per clip also `baseline_map`.

    `majority_accuracy` is the share of clips whose label is the majority (of several labels: all of
    them, as in subset accuracy). `baseline_map` is the mean average precision of a model that gives
    a label the same score for all clips: the mean share of clips that have a label.

    Args:
        labels: Of the evaluated clips: ids (N,), or marks (N, L).
        majority: What `find_majority` found in training; None: it is found in these clips.
    """
    same = labels == (find_majority(labels) if majority is None else majority)
    if labels.ndim == 1:
        return {"majority_accuracy": round(float(same.mean()), DECIMALS)}
    constant = average_precision(labels, np.zeros(labels.shape))
    return {
        "majority_accuracy": round(float(same.all(axis=1).mean()), DECIMALS),
        "baseline_map": round(constant, DECIMALS),
    }


def report_baselines(
    scores: Scores, names: Sequence[str], majority: Ids | None = None
) -> dict[str, Any]:
    """Return the baselines of results.json's `test`, and where the majority was counted.

    Returns:
        See `compute_baselines`; `majority_class`: the label, or the list of labels;
        `majority_from`: "train", or "these clips" where the training clips are not known.
    """
    found = find_majority(scores.labels) if majority is None else majority
    assert found is not None  # there are evaluated clips
    named: Any = (
        [name for name, mark in zip(names, found, strict=True) if mark]
        if scores.is_multilabel
        else names[int(found)]
    )
    return {
        **compute_baselines(scores.labels, found),
        "majority_class": named,
        "majority_from": FROM_THESE if majority is None else FROM_TRAIN,
    }


def read_majority(test: Mapping[str, Any], names: Sequence[str]) -> Ids | None:
    """Return the majority of training that a run's results.json noted; None where it did not.

    Args:
        test: The `test` part.
        names: The L labels of the scores.
    """
    named = test.get("majority_class")
    wanted = [named] if isinstance(named, str) else named
    if test.get("majority_from") != FROM_TRAIN or not isinstance(wanted, list):
        return None
    marks = np.isin(np.array(names), np.array(wanted, dtype=np.str_))
    if marks.sum() != len(wanted):
        return None
    return np.asarray(marks.argmax() if isinstance(named, str) else marks, dtype=np.int64)


def warn_of_constant_predictions(scores: Scores, names: Sequence[str]) -> None:
    """Warn where the predictions are the same for all clips although their labels are not."""
    predictions = scores.predictions
    is_constant = len(predictions) > 1 and (predictions == predictions[0]).all()
    if not is_constant or (scores.labels == scores.labels[0]).all():
        return
    said = "the same labels" if scores.is_multilabel else f"'{names[int(predictions[0])]}'"
    text = (
        f"The model predicts {said} for all {len(predictions)} clips: it does not tell the classes"
        " apart. Train for more epochs, try another --learning-rate, or use --class-weights"
        " balanced."
    )
    warn(logger, text)
