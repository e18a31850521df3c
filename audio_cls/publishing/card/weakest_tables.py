"""Tables of the card for many classes: the weakest ones, and confusions by language family.

They are made from results.json's `weakest_classes` and `families`; empty for runs without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audio_cls.publishing.card.markdown import Markdown, escape, to_number, to_sentence
from audio_cls.publishing.run_record import RunRecord

NUM_CONFUSED = 2  # most frequent confusions that are named

Row = list[object]


def make_weakest_header(record: RunRecord) -> list[str]:
    """Return the titles of the table of the weakest classes."""
    if record.is_multilabel:
        return ["label", "average precision", "F1", "test clips"]
    return ["class", "recall (95 %)", "test clips", "most often taken for"]


def make_weakest_rows(record: RunRecord) -> list[Row]:
    """Return one row for each of the weakest classes, the weakest first."""
    rows: list[Row] = []
    for one in _read_rows(record.results.test.get("weakest_classes")):
        support = Markdown(to_number(one.get("support")))
        if record.is_multilabel:
            scores = (Markdown(to_number(one.get(key))) for key in ("average_precision", "f1"))
            rows.append([one.get("label"), *scores, support])
            continue
        bounds = one.get("recall_ci95")
        cell = to_number(one.get("recall"))
        if isinstance(bounds, list) and len(bounds) == 2:
            cell += f" ({to_number(bounds[0])} to {to_number(bounds[1])})"
        taken = to_sentence("{} ({})", one.get("taken_for"), one.get("taken_for_count"))
        rows.append([one.get("label"), Markdown(cell), support, taken])
    return rows


def make_family_rows(record: RunRecord) -> list[Row]:
    """Return one row per language family: languages, clips, accuracies, top confusions."""
    table = _read_families(record).get("by_family")
    rows: list[Row] = []
    for name, one in table.items() if isinstance(table, Mapping) else ():
        if not isinstance(one, Mapping):
            continue
        labels, taken = one.get("labels"), one.get("taken_for")
        others = list(taken.items())[:NUM_CONFUSED] if isinstance(taken, Mapping) else []
        shown = ", ".join(f"{escape(other)} ({escape(count)})" for other, count in others)
        rows.append(
            [
                name,
                Markdown(str(len(labels)) if isinstance(labels, list) else "-"),
                Markdown(to_number(one.get("num_examples"))),
                Markdown(to_number(one.get("accuracy"))),
                Markdown(to_number(one.get("family_accuracy"))),
                Markdown(shown or "-"),
            ]
        )
    return rows


def make_family_note(record: RunRecord) -> Markdown:
    """Return how many errors stay within the family, and how many would by chance."""
    families = _read_families(record)
    if not families:
        return Markdown("")
    return to_sentence(
        "The answer is of the right family for {} of the clips. Of {} wrong answers {} name a"
        " language of the same family; {} would, if they fell on all other languages alike.",
        Markdown(to_number(families.get("family_accuracy"))),
        families.get("num_mistakes"),
        families.get("num_within_family"),
        families.get("num_within_by_chance"),
    )


def _read_families(record: RunRecord) -> Mapping[str, Any]:
    """Return the entry on language families; empty for other tasks."""
    families = record.results.test.get("families")
    return families if isinstance(families, Mapping) else {}


def _read_rows(given: object) -> list[Mapping[str, Any]]:
    """Return the objects of a list."""
    return [one for one in given if isinstance(one, Mapping)] if isinstance(given, list) else []
