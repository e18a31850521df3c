"""Weakest classes of tasks with many classes, and confusions within language families.

Both are parts of the `test` part of results.json. L labels, F families.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_cls.evaluation.metrics.intervals import wilson_interval
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.metrics.single_label import count_confusions, tabulate_classes
from audio_cls.evaluation.reports.class_ranking import rank_weakest
from audio_cls.evaluation.reports.language_families import find_families
from audio_cls.inference.aggregation import DECIMALS

MANY_CLASSES = 20  # with more, the table by class is too long to find the weakest
NUM_WEAKEST = 10

Row = dict[str, Any]
Ids = NDArray[np.int64]


def list_weakest(scores: Scores, names: Sequence[str]) -> list[Row]:
    """Return the classes with recall below 1, the lowest first.

    Returns:
        {label, recall, recall_ci95, support, taken_for, taken_for_count}, where `taken_for` is the
        most frequent wrong prediction. The order is that of `rank_weakest`.
    """
    matrix = count_confusions(scores.targets, scores.predictions, len(names))
    correct = matrix.diagonal()
    wrong = matrix - np.diag(correct)
    table = tabulate_classes(scores.targets, scores.predictions, names)
    ranked = rank_weakest(((name, table[name]) for name in names), "recall")
    rows = []
    for name, row in ranked[:NUM_WEAKEST]:
        label = names.index(name)
        interval = wilson_interval(int(correct[label]), row["support"])
        rows.append(
            {
                "label": name,
                "recall": row["recall"],
                "recall_ci95": [round(bound, DECIMALS) for bound in interval],
                "support": row["support"],
                "taken_for": names[int(wrong[label].argmax())],
                "taken_for_count": int(wrong[label].max()),
            }
        )
    return rows


def list_weakest_labels(table: Mapping[str, Row]) -> list[Row]:
    """Return the labels of a multi-label task with the lowest average precision, the lowest first.

    Args:
        table: From `tabulate_labels`.
    """
    ranked = rank_weakest(table.items(), "average_precision")
    kept = ("average_precision", "f1", "support")
    return [
        {"label": name, **{key: row[key] for key in kept}} for name, row in ranked[:NUM_WEAKEST]
    ]


def report_families(scores: Scores, names: Sequence[str]) -> Row | None:
    """Return confusions within and across language families; None for other labels.

    Returns:
        `family_accuracy`: share of clips predicted as a language of the true family;
        `num_mistakes`; `num_within_family`: of them, within the true family;
        `num_within_by_chance`: the expected number if wrong predictions were uniform over all other
        labels; `by_family`: {labels, num_examples, accuracy, family_accuracy, taken_for: {family:
        clips}} of each family that has clips, the largest first.
    """
    families = None if scores.is_multilabel else find_families(names)
    if families is None:
        return None
    is_correct, family_of = scores.is_correct, np.array(families)
    is_in_family = family_of[scores.targets] == family_of[scores.predictions]
    sizes = np.array([families.count(family) for family in families])
    by_chance = (sizes - 1)[scores.targets[~is_correct]] / (len(names) - 1)
    return {
        "family_accuracy": round(float(is_in_family.mean()), DECIMALS),
        "num_mistakes": int((~is_correct).sum()),
        "num_within_family": int((~is_correct & is_in_family).sum()),
        "num_within_by_chance": round(float(by_chance.sum()), 2),
        "by_family": _tabulate_families(scores, names, families, is_in_family),
    }


def _tabulate_families(
    scores: Scores, names: Sequence[str], families: Sequence[str], is_in_family: NDArray[np.bool_]
) -> dict[str, Row]:
    """Return one row for each family that has clips, the largest first."""
    order, matrix = count_families(scores, families)
    true, rows = np.array(families)[scores.targets], {}
    for row, family in enumerate(order):
        is_family = true == family
        if not is_family.any():
            continue
        others = np.argsort(-matrix[row], kind="stable")
        rows[family] = {
            "labels": [name for name, its in zip(names, families, strict=True) if its == family],
            "num_examples": int(is_family.sum()),
            "accuracy": round(float(scores.is_correct[is_family].mean()), DECIMALS),
            "family_accuracy": round(float(is_in_family[is_family].mean()), DECIMALS),
            "taken_for": {
                order[other]: int(matrix[row, other])
                for other in others
                if other != row and matrix[row, other]
            },
        }
    return rows


def count_families(scores: Scores, families: Sequence[str]) -> tuple[list[str], Ids]:
    """Return the families, the largest first, and the confusion matrix of families (F, F).

    Args:
        scores: Of the test clips.
        families: The family of each of the L labels.
    """
    known = sorted(set(families))
    family_of = np.array([known.index(family) for family in families])
    matrix = count_confusions(family_of[scores.targets], family_of[scores.predictions], len(known))
    order = np.argsort(-matrix.sum(axis=1), kind="stable")
    return [known[row] for row in order], matrix[np.ix_(order, order)]
