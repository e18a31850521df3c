"""Redaction of results.json by an allow-list of keys.

Numbers and booleans are published under any key that is an identifier. A text, and a table whose
keys are names, is published only where `TEXTS` and `TABLES` list it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from audio_cls.config import EvalConfig
from audio_cls.demo_data import BUILTIN
from audio_cls.errors import count_of
from audio_cls.publishing.redaction.names import NameMasker, choose_names_by_settings, names_group
from audio_cls.publishing.redaction.settings import PLAIN_FOLD, publish_command, publish_settings
from audio_cls.publishing.redaction.text import redact_paths, redact_text, to_base_name
from audio_cls.publishing.run_record import RunRecord, Tree, load_run
from audio_cls.runs.results import RunResults

NUMBER = re.compile(r"[-+]?(?:[\d.]+(?:e[-+]?\d+)?|nan|inf)?", re.IGNORECASE)  # as a CSV cell
PLAIN_NAME = re.compile(r"[\w-]{1,80}", re.ASCII)
# Part of results.json -> keys of texts, or of lists of texts, that are published.
TEXTS: Mapping[str, tuple[str, ...]] = {
    "": ("labels", "date", "warnings", "user_transforms"),
    "dataset": (
        "config", "license", "audio_column", "label_column", "problem_type", "language",
        "revision",
    ),
    "model": ("revision", "license"),
    "candidates": ("reason", "chosen_on"),
    "candidates.rows": ("name", "note"),
    "test": ("untested_labels", "majority_class", "majority_from"),
    "test.intervals": ("drawn", "accuracy", "others", "note", "at_least"),
    "test.top_confusions": ("label", "prediction"),
    "test.confident_mistakes": ("label", "prediction"),
    "test.weakest_classes": ("label", "taken_for"),
    "test.families.by_family.*": ("labels",),
    "baseline": ("name", "metric"),
    "probe": ("metric", "scored_on"),
    "comparison": ("note",),
    "calibration": ("note", "fitted_on", "reached_limit"),
    "split_check": ("verdict", "checked"),
    "split_check.not_checked": ("*",),
    "timing.energy": ("country", "meter"),
    "samples": ("file", "label"),
    "hardware": ("device", "mixed_precision"),
    "versions": ("*",),
}  # fmt: skip
# Objects, and lists of objects, that are published; `*` stands for keys that are labels, lengths
# or rates.
TABLES = frozenset(
    {
        "dataset", "dataset.duplicates", "dataset.near_duplicates", "model",
        "candidates", "candidates.rows", "candidates.rows.metrics", "candidates.rows.settings",
        "validation", "refit", "test", "test.per_class", "test.per_class.*", "test.intervals",
        "test.top_confusions", "test.confident_mistakes", "test.weakest_classes", "test.families",
        "test.families.by_family", "test.families.by_family.*",
        "test.families.by_family.*.taken_for", "test.by_duration", "test.by_duration.*",
        "test.by_sampling_rate", "test.by_sampling_rate.*", "test.detection",
        "test.detection.points", "baseline", "probe", "probe.layers", "calibration",
        "comparison", "timing", "timing.energy", "bad_audio", "samples", "hardware", "versions",
        "split_check", "split_check.not_checked",
        "split_check.num_clips", "split_check.repeated_in_split", "split_check.shared",
        "split_check.shared.*", "split_check.grouped_estimate",
    }
)  # fmt: skip
ANY_KEY = frozenset(
    {
        "test.per_class", "test.families.by_family", "test.families.by_family.*.taken_for",
        "test.by_duration", "test.by_sampling_rate", "split_check.shared",
    }
)  # fmt: skip
LABEL_TEXTS = frozenset(
    {"labels", "label", "prediction", "taken_for", "untested_labels", "majority_class"}
)
CLIP_ROWS = ("test.confident_mistakes", "samples")  # rows with the id of a clip
ROLES = ("train", "validation", "test")
# Origins of a split, as data/splits/splits.py writes them; group names are replaced by their
# number.
GROUPS = re.compile(
    r"groups? (?P<names>.*) of (?P<source>column '[^']*'|the clips' names)", re.DOTALL
)
FOLD = re.compile(r"fold (?P<names>.*) of column '(?P<column>[^']*)'", re.DOTALL)
LISTED = re.compile(r"listed at (?P<place>.*?)(?P<rest> \(sha256 [0-9a-f]+\))?", re.DOTALL)


def make_public(record: RunRecord, names: NameMasker) -> RunRecord:
    """Return a redacted copy of a run's record, which card and evaluation results are made of."""
    hub_ids = [record.dataset_hub_id, record.model_hub_id]
    settings = publish_settings(record.settings, hub_ids, with_groups=names.with_groups)
    command = record.record.get("command") or ""
    kept: dict[str, Any] = {
        "command": publish_command(str(command), settings, with_groups=names.with_groups),
        "versions": _publish_part(record.record.get("versions") or {}, "versions", names),
        "commit": redact_text(str(record.record.get("commit") or "")),
    }
    return replace(
        record,
        results=RunResults.from_json(publish_results(record, settings, names)),
        settings=settings,
        record={key: kept[key] for key in record.record if kept.get(key)},
        summary=[{k: v for k, v in row.items() if NUMBER.fullmatch(v)} for row in record.summary],
        figures=[name for name in record.figures if names.publishes(f"figures/{name}")],
    )


def load_public_run(run: Path) -> RunRecord:
    """Read a finished run's folder, redacted by the run's settings.

    Raises:
        RunFolderError: See `load_run`.
    """
    record = load_run(run)
    return make_public(record, choose_names_by_settings(record))


def publish_results(
    record: RunRecord, settings: Mapping[str, Tree], names: NameMasker
) -> dict[str, Any]:
    """Return the redacted content of results.json, in the order of the original.

    Args:
        record: The run.
        settings: Its redacted settings.
        names: Which names of clips and groups are published.
    """
    results = record.results.to_json()
    public: dict[str, Any] = _publish_part(results, "", names)
    for part, hub_id in (("dataset", record.dataset_hub_id), ("model", record.model_hub_id)):
        if part in results:
            public[part] |= _publish_source(results[part], hub_id)
    if record.results.dataset.split:
        public["dataset"]["split"] = publish_splits(results["dataset"]["split"], names)
    by_group = record.results.test.get("by_group")
    if isinstance(by_group, Mapping):
        public["test"]["by_group"] = _publish_groups(by_group, names)
    if record.results.command is not None:
        public["command"] = publish_command(
            record.results.command, settings, with_groups=names.with_groups
        )
    if record.results.metric is not None:
        public["metric"] = EvalConfig(metric=record.results.metric).metric_key
    ordered: dict[str, Any] = _sort_like(public, results)
    return ordered


def _publish_part(part: Any, place: str, names: NameMasker) -> Any:  # noqa: ANN401 (any JSON value)
    """Return an object of results.json, or a list of objects, without keys that are not listed."""
    if isinstance(part, list):
        return [_publish_part(row, place, names) for row in part if isinstance(row, Mapping)]
    public: dict[str, Any] = {}
    for key, value in part.items() if isinstance(part, Mapping) else ():
        inner = f"{place}.{'*' if place in ANY_KEY else key}".lstrip(".")
        is_listed = place in ANY_KEY or PLAIN_NAME.fullmatch(str(key))
        if place in CLIP_ROWS and key == "id":
            public[key] = names.show_clip(str(value))
        elif inner in TABLES and isinstance(value, Mapping | list):
            public[key] = _publish_part(value, inner, names)
        elif _is_text_allowed(place, str(key)) and isinstance(value, str | list):
            public[key] = _publish_texts(value, str(key))
        elif is_listed and _is_number(value):
            public[key] = value
    return public


def _is_text_allowed(place: str, key: str) -> bool:
    """Return whether a text is published under a key of a part."""
    allowed = TEXTS.get(place, ())
    return key in allowed or "*" in allowed


def _publish_texts(value: Any, key: str) -> Any:  # noqa: ANN401 (a text or a list of texts)
    """Redact a text or a list of texts; labels are kept: `/m/04rlf` is a label, not a path."""
    if isinstance(value, list):
        return [_publish_texts(one, key) for one in value if isinstance(one, str)]
    return str(value) if key in LABEL_TEXTS else redact_text(value)


def _is_number(value: object) -> bool:
    """Return whether a value is a number, a boolean, null or a list of numbers."""
    if isinstance(value, list):
        return all(isinstance(one, int | float) or one is None for one in value)
    return value is None or isinstance(value, int | float)


def _publish_source(source: Tree, hub_id: str | None) -> dict[str, Any]:
    """Return the id and name of a data set or model: its Hub id, else a path's last part."""
    public: dict[str, Any] = {}
    for key in ("id", "name"):
        value = source.get(key)
        if isinstance(value, str):
            is_known = hub_id is not None or value.startswith(BUILTIN)
            public[key] = redact_paths(value) if is_known else to_base_name(value)
    return public | ({} if hub_id else {"is_local": True})


def publish_splits(splits: Tree, names: NameMasker) -> dict[str, Any]:
    """Return the redacted `dataset.split`: numbers, names of given splits, and origins."""
    public: dict[str, Any] = {}
    texts: Mapping[str, Callable[[str], str]] = {
        "name": redact_paths,
        "method": redact_text,
        "origin": lambda text: publish_origin(text, names),
    }
    for role in ROLES:
        part = splits.get(role)
        if isinstance(part, Mapping):
            public[role] = {
                key: texts[key](str(value)) if key in texts and value is not None else value
                for key, value in part.items()
                if key in texts or (PLAIN_NAME.fullmatch(str(key)) and _is_number(value))
            }
    return public


def publish_origin(origin: str, names: NameMasker) -> str:
    """Return how a split was made, without paths and with the number of groups for their names.

    >>> publish_origin("group ann, bob of column 'speaker'", NameMasker())
    "2 groups of column 'speaker'"
    >>> publish_origin("group ann of the clips' names", NameMasker())
    "1 group of the clips' names"
    >>> publish_origin("listed at /home/ann/lists (sha256 0123456789ab)", NameMasker())
    'listed at lists (sha256 0123456789ab)'
    >>> publish_origin("fold 2, 3 of column 'fold'", NameMasker())
    "fold 2, 3 of column 'fold'"
    """
    listed = LISTED.fullmatch(origin)
    if listed:
        return f"listed at {to_base_name(listed['place'])}{listed['rest'] or ''}"
    found = None if names.with_groups else GROUPS.search(origin)
    if found:
        count = _count_names(found["names"])
        text = f"{count_of(count, 'group')} of {found['source']}"
        origin = origin[: found.start()] + text + origin[found.end() :]
    fold = None if names.with_groups else FOLD.search(origin)
    if fold and not all(map(PLAIN_FOLD.fullmatch, re.split(r", | and ", fold["names"]))):
        text = f"fold \"not named\" of column '{fold['column']}'"
        origin = origin[: fold.start()] + text + origin[fold.end() :]
    if any(names_group(origin, group) for group in names.groups):
        return "chosen by group"
    return redact_text(origin)


def _count_names(names: str) -> int:
    """Return the number of names in a list that `list_names` wrote."""
    shown, _, more = names.partition(" and ")
    rest = re.match(r"(\d+) more", more)
    return shown.count(",") + 1 + (int(rest[1]) if rest else 0)


def _publish_groups(by_group: Tree, names: NameMasker) -> dict[str, Any]:
    """Return the table by group, with numbered groups unless their names are published."""
    rows = [
        (str(name), {key: value for key, value in row.items() if _is_number(value)})
        for name, row in by_group.items()
        if isinstance(row, Mapping)
    ]
    return {
        name if names.with_groups else f"group {number}": row
        for number, (name, row) in enumerate(rows, start=1)
    }


def _sort_like(public: Any, original: Any) -> Any:  # noqa: ANN401 (any JSON value)
    """Sort the keys of every object as in the original."""
    if not (isinstance(public, dict) and isinstance(original, Mapping)):
        return public
    places = {key: place for place, key in enumerate(original)}
    ordered = sorted(public, key=lambda key: places.get(key, len(places)))
    return {key: _sort_like(public[key], original.get(key)) for key in ordered}
