"""Tasks of many classes: which are heard worst, and whether languages are confused in the family.

Comes in: `Scores` and the labels. Goes out: parts of results.json's `test`. L labels, F families.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_cls.evaluation.metrics.intervals import wilson_interval
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.metrics.single_label import count_confusions
from audio_cls.evaluation.reports.language_families import find_families
from audio_cls.inference.aggregation import DECIMALS

MANY_CLASSES = 20  # above it, the table by class is too long to see the worst in
NUM_WEAKEST = 10

Row = dict[str, Any]
Ids = NDArray[np.int64]


def list_weakest(scores: Scores, names: Sequence[str]) -> list[Row]:
    """Return the classes with the lowest recall, the worst first; those without a mistake are none.

    Returns:
        {label, recall, recall_ci95, support, taken_for, taken_for_count}, where `taken_for` is the
        most frequent wrong answer. Of equal recall, the class of more clips comes first.
    """
    matrix = count_confusions(scores.targets, scores.predictions, len(names))
    right, support = matrix.diagonal(), matrix.sum(axis=1)
    wrong = matrix - np.diag(right)
    recall = right / np.maximum(support, 1)
    faulty = np.flatnonzero(right < support)
    ranked = sorted(faulty.tolist(), key=lambda label: (recall[label], -support[label], label))
    return [
        {
            "label": names[label],
            "recall": round(float(recall[label]), DECIMALS),
            "recall_ci95": [
                round(bound, DECIMALS)
                for bound in wilson_interval(int(right[label]), int(support[label]))
            ],
            "support": int(support[label]),
            "taken_for": names[int(wrong[label].argmax())],
            "taken_for_count": int(wrong[label].max()),
        }
        for label in ranked[:NUM_WEAKEST]
    ]


def list_weakest_labels(table: Mapping[str, Row]) -> list[Row]:
    """Return the labels of a multi-label task with the lowest average precision, the worst first.

    Args:
        table: Label -> its scores, as `tabulate_labels` gives them; labels without a clip have no
            average precision and are left out.
    """
    ranked = [(name, row) for name, row in table.items() if row.get("average_precision", 1.0) < 1]
    ranked.sort(key=lambda pair: (pair[1]["average_precision"], -pair[1]["support"]))
    kept = ("average_precision", "f1", "support")
    return [
        {"label": name, **{key: row[key] for key in kept}} for name, row in ranked[:NUM_WEAKEST]
    ]


def report_families(scores: Scores, names: Sequence[str]) -> Row | None:
    """Return how languages are confused within and across families; None for other labels.

    Returns:
        `family_accuracy`: clips whose answer is of the right family; `num_mistakes`,
        `num_within_family`, and `num_within_by_chance`: as many would stay in the family if wrong
        answers fell on all other labels alike; `by_family`: {labels, num_examples, accuracy,
        family_accuracy, taken_for: {family: clips}} of each that has clips, the largest first.
    """
    families = None if scores.is_multilabel else find_families(names)
    if families is None:
        return None
    is_correct, family_of = scores.is_correct, np.array(families)
    is_near = family_of[scores.targets] == family_of[scores.predictions]
    sizes = np.array([families.count(family) for family in families])
    by_chance = (sizes - 1)[scores.targets[~is_correct]] / (len(names) - 1)
    return {
        "family_accuracy": round(float(is_near.mean()), DECIMALS),
        "num_mistakes": int((~is_correct).sum()),
        "num_within_family": int((~is_correct & is_near).sum()),
        "num_within_by_chance": round(float(by_chance.sum()), 2),
        "by_family": _tabulate_families(scores, names, families, is_near),
    }


def _tabulate_families(
    scores: Scores, names: Sequence[str], families: Sequence[str], is_near: NDArray[np.bool_]
) -> dict[str, Row]:
    """Return a row for each family that has clips, the largest first."""
    order, matrix = count_families(scores, families)
    true, rows = np.array(families)[scores.targets], {}
    for place, family in enumerate(order):
        own = true == family
        if not own.any():
            continue
        said = np.argsort(-matrix[place], kind="stable")
        rows[family] = {
            "labels": [name for name, one in zip(names, families, strict=True) if one == family],
            "num_examples": int(own.sum()),
            "accuracy": round(float(scores.is_correct[own].mean()), DECIMALS),
            "family_accuracy": round(float(is_near[own].mean()), DECIMALS),
            "taken_for": {
                order[at]: int(matrix[place, at])
                for at in said
                if at != place and matrix[place, at]
            },
        }
    return rows


def count_families(scores: Scores, families: Sequence[str]) -> tuple[list[str], Ids]:
    """Return the families, those with most clips first, and clips by true and said family (F, F).

    Args:
        scores: A row a clip.
        families: Of each of the L labels.
    """
    known = sorted(set(families))
    place = np.array([known.index(family) for family in families])
    matrix = count_confusions(place[scores.targets], place[scores.predictions], len(known))
    order = np.argsort(-matrix.sum(axis=1), kind="stable")
    return [known[at] for at in order], matrix[np.ix_(order, order)]
