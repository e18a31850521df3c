"""Redaction of a run's CSV files, lists of clips and model configuration.

Columns and keys are published by allow-lists. A file without anything to redact is published byte
for byte.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from audio_cls.publishing.redaction.names import NameMasker
from audio_cls.publishing.redaction.results import NUMBER
from audio_cls.publishing.run_record import is_repo_id

LABEL_KEYS = frozenset({"id2label", "label2id", "thresholds", "labels"})  # of config.json
# a text of config.json that is neither path nor sentence
WORD = re.compile(r"[\w.+-]{1,80}", re.ASCII)
REASON = re.compile(r"[^:]*(?:: [\d.]+ ?[a-z]{0,3}$)?")  # a detail is published if it is a number

Cell = Callable[[str, NameMasker], str]


def _show_id(cell: str, names: NameMasker) -> str:
    return names.show_clip(cell) if cell else cell


def _show_text(cell: str, _: NameMasker) -> str:
    return cell


def _show_number(cell: str, _: NameMasker) -> str:
    return cell if NUMBER.fullmatch(cell) else ""


def _show_reason(cell: str, _: NameMasker) -> str:
    found = REASON.match(cell)
    return found[0].strip() if found else ""


_IDS: Mapping[str, Cell] = {"id": _show_id, "same_as": _show_id, "like": _show_id}
_PARTS: Mapping[str, Cell] = {
    "split": _show_text,
    "same_as_split": _show_text,
    "like_split": _show_text,
    "same_label": _show_text,
}
# Table -> how each of its columns is redacted; "*" stands for all others, which are left out where
# it is missing.
COLUMNS: Mapping[str, Mapping[str, Cell]] = {
    "summary.csv": {"*": _show_number},
    "predictions.csv": {
        "id": _show_id, "label": _show_text, "prediction": _show_text, "*": _show_number,
    },
    "bad_audio.csv": {**_IDS, "reason": _show_reason},
    "duplicates.csv": {**_IDS, **_PARTS},
    "near_duplicates.csv": {**_IDS, **_PARTS, "likeness": _show_number},
}  # fmt: skip


def publish_table(name: str, text: str, names: NameMasker) -> str:
    """Return the redacted content of a CSV file.

    Args:
        name: Its path in the run folder, one of `COLUMNS`.
        text: Its content.
        names: Which names of clips are published.
    """
    rows = list(csv.reader(io.StringIO(text, newline="")))
    if not rows:
        return text
    rules, header = COLUMNS[name], rows[0]
    firsts = [c if header.index(c) == i else "*" for i, c in enumerate(header)]
    kept = [(i, rules.get(column, rules.get("*"))) for i, column in enumerate(firsts)]
    clean = [[column for column, (_, rule) in zip(rows[0], kept, strict=True) if rule]]
    for row in rows[1:]:
        clean.append([rule(row[i], names) for i, rule in kept if rule and i < len(row)])
    if clean == rows:
        return text
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(clean)
    return out.getvalue()


def publish_list(text: str, names: NameMasker) -> str:
    """Return a redacted list of clip ids."""
    shown = [names.show_clip(line) for line in text.splitlines()]
    return text if shown == text.splitlines() else "".join(f"{line}\n" for line in shown)


def publish_model_config(text: str) -> str:
    """Return config.json, or a similar file, without texts that may be a path or a sentence."""
    tree = json.loads(text)
    clean = _publish_config_part(tree)
    return text if clean == tree else json.dumps(clean, indent=2, ensure_ascii=False) + "\n"


def _publish_config_part(part: Any) -> Any:  # noqa: ANN401 (any JSON value)
    """Return a part of a configuration without texts that are not published."""
    if isinstance(part, list):
        return [_publish_config_part(one) for one in part if _is_plain("", one)]
    if not isinstance(part, Mapping):
        return part
    public: dict[str, Any] = {}
    for key, value in part.items():
        if key in LABEL_KEYS:
            public[key] = value
        elif isinstance(value, Mapping | list):
            public[key] = _publish_config_part(value)
        elif _is_plain(str(key), value):
            public[key] = value
    return public


def _is_plain(key: str, value: object) -> bool:
    """Return whether a value is not a text, or a single word, or certainly a repository id.

    A key such as `_name_or_path` has the folder from which a model was loaded.
    """
    if not isinstance(value, str) or WORD.fullmatch(value):
        return True
    return not key.endswith("path") and is_repo_id(value)


def publish_text(name: str, text: str, names: NameMasker) -> str:
    """Return the redacted content of one of the run's tables, lists or model files.

    Raises:
        ValueError, csv.Error: The file does not have the format of its name.
    """
    place = PurePosixPath(name)
    if place.suffix == ".csv":
        return publish_table(name, text, names)
    if place.parts[0] == "splits":
        return publish_list(text, names)
    return publish_model_config(text)
