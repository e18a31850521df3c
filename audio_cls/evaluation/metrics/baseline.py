"""Majority baseline: the metrics of a model that always predicts the most frequent label.

The same as scikit-learn's `DummyClassifier(strategy="most_frequent")`: an accuracy means little
without it. Letters: N clips, L labels.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_cls.config import OptimConfig
from audio_cls.data.inspection.suggestions import BALANCED
from audio_cls.evaluation.metrics.base import Ids
from audio_cls.evaluation.metrics.probabilistic import mean_average_precision
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.inference.aggregation import DECIMALS
from audio_cls.run_warnings import warn

LabelArray = Ids | NDArray[np.float32]  # ids (N,) or targets (N, L), as `Clips.labels`

FROM_TRAIN, FROM_THESE = "train", "these clips"

logger = logging.getLogger(__name__)


def find_majority(labels: LabelArray) -> Ids | None:
    """Return the most frequent label.

    Args:
        labels: Of training clips: ids (N,), or targets (N, L) if multi-label.

    Returns:
        The id, shape (), the smallest one of equally frequent ones; or targets (L,): 1 for each
        label that more than half of the clips have. None without clips, as those of a streamed
        split are not known.
    """
    if len(labels) == 0:
        return None
    if labels.ndim > 1:
        return np.asarray(labels.mean(axis=0) > 0.5, dtype=np.int64)
    return np.asarray(np.bincount(labels.astype(np.int64)).argmax())


def compute_baselines(labels: Ids, majority: Ids | None = None) -> dict[str, float]:
    """Return `majority_accuracy`, and if multi-label also `baseline_map`.

    `majority_accuracy` is the share of clips whose label is the majority (multi-label: all labels,
    as in subset accuracy). `baseline_map` is the mean average precision of a model that gives a
    label the same score for all clips: the mean share of clips that have a label.

    Args:
        labels: Of the evaluated clips: ids (N,), or targets (N, L).
        majority: From `find_majority`, of training; None: of the evaluated clips.
    """
    is_same = labels == (find_majority(labels) if majority is None else majority)
    if labels.ndim == 1:
        return {"majority_accuracy": round(float(is_same.mean()), DECIMALS)}
    constant = mean_average_precision(labels, np.zeros(labels.shape))
    return {
        "majority_accuracy": round(float(is_same.all(axis=1).mean()), DECIMALS),
        "baseline_map": round(constant, DECIMALS),
    }


def report_baselines(
    scores: Scores, names: Sequence[str], majority: Ids | None = None
) -> dict[str, Any]:
    """Return the baselines for the `test` part of results.json, and which label is the majority.

    Returns:
        See `compute_baselines`; `majority_class`: the label, or the list of labels;
        `majority_from`: "train", or "these clips" where the training clips are not known.
    """
    found = find_majority(scores.targets) if majority is None else majority
    assert found is not None  # there are evaluated clips
    named: Any = (
        [name for name, is_target in zip(names, found, strict=True) if is_target]
        if scores.is_multilabel
        else names[int(found)]
    )
    return {
        **compute_baselines(scores.targets, found),
        "majority_class": named,
        "majority_from": FROM_THESE if majority is None else FROM_TRAIN,
    }


def read_majority(test: Mapping[str, Any], names: Sequence[str]) -> Ids | None:
    """Return the majority in training that a run's results.json has; None where it has none.

    Args:
        test: The `test` part of results.json.
        names: Names of the L labels of the scores.
    """
    named = test.get("majority_class")
    wanted = [named] if isinstance(named, str) else named
    if test.get("majority_from") != FROM_TRAIN or not isinstance(wanted, list):
        return None
    targets = np.isin(np.array(names), np.array(wanted, dtype=np.str_))
    if targets.sum() != len(wanted):
        return None
    return np.asarray(targets.argmax() if isinstance(named, str) else targets, dtype=np.int64)


def compute_chance_loss(labels: LabelArray, train_labels: LabelArray) -> float:
    """Return the log loss of always predicting the class shares of the training clips.

    Args:
        labels: Of the evaluated clips: ids (N,), or targets (N, L); at least one.
        train_labels: Of the training clips, of the same kind.
    """
    targets = labels.astype(np.int64)
    if labels.ndim > 1:
        shares = train_labels.mean(axis=0)
    else:
        num_labels = 1 + int(max(labels.max(), train_labels.max()))
        shares = np.bincount(train_labels.astype(np.int64), minlength=num_labels)
        shares = shares / len(train_labels)
    ids = np.arange(len(labels)).astype(np.str_)
    return Scores(ids, targets, np.tile(shares, (len(labels), 1))).loss


def warn_if_above_chance(loss: float, labels: LabelArray, train_labels: LabelArray) -> None:
    """Warn where the validation log loss of a model is above that of the class shares.

    Args:
        loss: Of the model, the mean over the validation clips.
        labels: Of the validation clips.
        train_labels: Of the training clips.
    """
    chance = compute_chance_loss(labels, train_labels)
    if loss <= chance:
        return
    text = (
        f"The validation log loss of the model, {loss:.4f}, is above {chance:.4f}, that of a model"
        " that gives each class its share of the training clips and does not use the audio: its"
        " probabilities are not reliable. The validation clips may differ from the training"
        " clips, for example in speakers or recordings: train on clips of more of them, and give"
        " --group-column, so that --method auto and probe choose by groups. Also check the labels,"
        " or try another --model."
    )
    warn(logger, text)


def advise_training(optim: OptimConfig, labels: LabelArray, *, is_probe: bool) -> str:
    """Return what to try where a trained model predicts the same for all clips.

    Only options that the training did not have are named.

    Args:
        optim: Of the training.
        labels: Of the training clips: ids (N,), or targets (N, L).
        is_probe: The model is a linear probe.
    """
    if is_probe:
        return "Try another --model, or add training clips."
    is_multilabel = labels.ndim > 1
    counts = labels.sum(axis=0) if is_multilabel else np.bincount(labels.astype(np.int64))
    counts = counts[counts > 0]
    is_unequal = len(counts) and counts.max() > BALANCED * counts.min()
    settings = (optim.sampler, optim.class_weights, optim.pos_weight)
    advice = "Train for more epochs, or try another --learning-rate"
    if is_unequal and settings == ("uniform", "none", "none"):
        option = "--pos-weight auto" if is_multilabel else "--class-weights balanced"
        advice += f" or {option}, since the numbers of clips of the classes are unequal"
    return f"{advice}."


def warn_of_constant_predictions(
    scores: Scores, names: Sequence[str], advice: str | None = None
) -> None:
    """Warn where the predictions are the same for all clips although their labels differ.

    Args:
        scores: Of a model.
        names: Names of the L labels.
        advice: What to try, see `advise_training`; None: the model was evaluated, not trained.
    """
    predictions = scores.predictions
    is_constant = len(predictions) > 1 and (predictions == predictions[0]).all()
    if not is_constant or (scores.targets == scores.targets[0]).all():
        return
    predicted = "the same labels" if scores.is_multilabel else f"'{names[int(predictions[0])]}'"
    advice = advice or (
        "Check that these clips and their labels are like those that it was trained on; if they"
        " are, use another model."
    )
    text = (
        f"The model predicts {predicted} for all {len(predictions)} clips: it does not"
        f" distinguish the classes. {advice}"
    )
    warn(logger, text)
