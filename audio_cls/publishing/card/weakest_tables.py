"""Tables of the card for many classes: the weakest ones, and confusions by language family.

Made from `weakest_classes` and `families` in results.json; empty for runs without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audio_cls.errors import quote_comma
from audio_cls.publishing.card.markdown import Markdown, escape, to_number, to_sentence
from audio_cls.publishing.run_record import RunRecord

NUM_CONFUSED = 2  # most frequent confusions that are named
MIN_LANGUAGES = 10  # with fewer, a table by language family shows nothing new

Row = list[object]


def make_weakest_header(record: RunRecord) -> list[str]:
    """Return the titles of the table of the weakest classes."""
    if record.is_multilabel:
        return ["label", "average precision", "F1", "test clips"]
    return ["class", "recall (95 %)", "test clips", "most often predicted as"]


def make_weakest_rows(record: RunRecord) -> list[Row]:
    """Return one row for each of the weakest classes, the weakest first."""
    rows: list[Row] = []
    for one in _read_rows(record.results.test.get("weakest_classes")):
        support = to_number(one.get("support"))
        if record.is_multilabel:
            scores = (to_number(one.get(key)) for key in ("average_precision", "f1"))
            rows.append([one.get("label"), *scores, support])
            continue
        bounds = one.get("recall_ci95")
        cell = to_number(one.get("recall"))
        if isinstance(bounds, list) and len(bounds) == 2:
            cell += f" ({to_number(bounds[0])} to {to_number(bounds[1])})"
        confused = to_sentence("{} ({})", one.get("taken_for"), one.get("taken_for_count"))
        rows.append([one.get("label"), cell, support, confused])
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
        shown = ", ".join(
            f"{quote_comma(escape(other))} ({escape(count)})" for other, count in others
        )
        rows.append(
            [
                name,
                str(len(labels)) if isinstance(labels, list) else "",
                to_number(one.get("num_examples")),
                to_number(one.get("accuracy")),
                to_number(one.get("family_accuracy")),
                Markdown(shown),
            ]
        )
    return rows


def make_family_note(record: RunRecord) -> Markdown:
    """Return the number of errors within the family, and the number expected by chance."""
    families = _read_families(record)
    if not families:
        return Markdown("")
    return to_sentence(
        "Accuracy of the language family: {}. Errors within the family: {} of {}; it would be {} if"
        " errors were spread evenly over all other languages.",
        to_number(families.get("family_accuracy")),
        families.get("num_within_family"),
        families.get("num_mistakes"),
        families.get("num_within_by_chance"),
    )


def has_families(record: RunRecord) -> bool:
    """Return whether there are enough languages for a table by family."""
    return bool(_read_families(record))


def _read_families(record: RunRecord) -> Mapping[str, Any]:
    """Return the entry on language families; empty for other tasks and for few languages."""
    families = record.results.test.get("families")
    table = families.get("by_family") if isinstance(families, Mapping) else None
    rows = table.values() if isinstance(table, Mapping) else ()
    labels = [one.get("labels") for one in rows if isinstance(one, Mapping)]
    num_languages = sum(len(names) for names in labels if isinstance(names, list))
    return families if num_languages >= MIN_LANGUAGES and families else {}


def _read_rows(given: object) -> list[Mapping[str, Any]]:
    """Return the objects of a list."""
    return [one for one in given if isinstance(one, Mapping)] if isinstance(given, list) else []
