"""Ranking of the weakest classes, for results.json, the card and the closing lines of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Scored = tuple[str, Mapping[str, Any]]  # a class, and its scores in `per_class` of results.json


def choose_class_score(*, is_multilabel: bool) -> str:
    """Return the key of the score that ranks classes."""
    return "average_precision" if is_multilabel else "recall"


def rank_weakest(classes: Iterable[Scored], key: str) -> list[Scored]:
    """Return the classes whose score is below 1, the lowest first.

    Classes without clips have no score and are left out. With equal scores, the class with more
    clips comes first, then the earlier one.

    Args:
        classes: The classes in the order of the labels.
        key: The score, see `choose_class_score`.

    >>> table = {"a": {"recall": 0.5, "support": 2}, "b": {"recall": 0.5, "support": 4}}
    >>> [name for name, _ in rank_weakest(table.items(), "recall")]
    ['b', 'a']
    """
    weak = [
        (name, row)
        for name, row in classes
        if row.get("support") and isinstance(row.get(key), int | float) and row[key] < 1
    ]
    return sorted(weak, key=lambda pair: (pair[1][key], -pair[1]["support"]))


def list_untested(test: Mapping[str, Any]) -> list[str]:
    """Return the classes without clips.

    Args:
        test: Part `test` of results.json.
    """
    return [name for name, row in test.get("per_class", {}).items() if row.get("support") == 0]
