"""Label mapping: a data set's labels -> a model's, by a mapping file or by name."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from audio_cls.data.keyword_spotting.relabel import SILENCE, SILENCE_LABELS, UNKNOWN
from audio_cls.data.labels.label_text import normalize_name
from audio_cls.data.labels.labels import UNUSABLE, Labels
from audio_cls.errors import (
    DatasetError,
    SettingError,
    count_of,
    describe_error,
    list_names,
    suggest_name,
)
from audio_cls.run_warnings import warn

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Match:
    """A data set's labels as labels of a model."""

    labels: Labels  # with the model's names and ids
    unmatched: dict[str, int]  # label that the model does not have -> its clips
    as_unknown: dict[str, int]  # label that counts as `_unknown_` -> its clips


def match_labels(given: Labels, known: Sequence[str], mapping: Mapping[str, str | None]) -> Match:
    """Return a data set's labels as labels of a model, by the mapping, else by name.

    Case, spaces, hyphens and underscores are ignored where that is unambiguous. For a keyword
    spotter, which has a label `_unknown_`, all other words count as `_unknown_`, and recordings of
    noise as `_silence_`, as in its training. For other models, clips with a label that the model
    does not have are counted and left out, as are those with a label that the mapping sets to null.
    If multi-label, such labels are left out, and clips that have no other label.

    Args:
        given: The labels of the data set.
        known: The labels of the model.
        mapping: Label of the data set -> label of the model, or None to leave it out.

    Raises:
        SettingError: The mapping names a label that does not exist.
        DatasetError: No label matches.
    """
    target = find_targets(given.names, known, mapping)
    exact = {name: number for number, name in enumerate(known)}
    free = [n for n, number in enumerate(target) if number == UNUSABLE]
    others = [n for n in free if given.targets is None and given.names[n] not in mapping]
    for number in others:
        silence = exact.get(SILENCE) if given.names[number] in SILENCE_LABELS else None
        target[number] = exact.get(UNKNOWN, UNUSABLE) if silence is None else silence
    clips = _count_clips(given)
    unmatched, as_unknown = (
        {given.names[n]: int(clips[n]) for n in free if target[n] in numbers and clips[n] > 0}
        for numbers in ([UNUSABLE], [exact.get(UNKNOWN)])
    )
    _warn_of_unmatched(
        unmatched, as_unknown, [n for number, n in enumerate(known) if number not in target]
    )
    return Match(_translate(given, target, tuple(known)), unmatched, as_unknown)


def find_targets(
    given: Sequence[str], known: Sequence[str], mapping: Mapping[str, str | None]
) -> list[int]:
    """Return the number of the label of the model for each label of a data set.

    Args:
        given: The labels of the data set.
        known: The labels of the model.
        mapping: See `match_labels`.

    Returns:
        `UNUSABLE` for a label that the model does not have, or that the mapping leaves out.

    Raises:
        SettingError: The mapping names a label that does not exist.
        DatasetError: No label matches.
    """
    _check_map(mapping, given, known)
    exact = {name: number for number, name in enumerate(known)}
    normalized: dict[str, int] = {}
    for name, number in exact.items():
        normalized[_normalize(name)] = UNUSABLE if _normalize(name) in normalized else number
    target = []
    for name in given:
        wanted = mapping.get(name, name)
        number = (
            exact.get(wanted, normalized.get(_normalize(wanted), UNUSABLE)) if wanted else UNUSABLE
        )
        target.append(number)
    if all(number == UNUSABLE for number in target):
        raise DatasetError(
            f"None of the data set's labels ({list_names(given)}) is one of the model's"
            f" ({list_names(known)}). Write a file with one 'label of the data set: label of the"
            " model' line per label, and give it with --label-map."
        )
    return target


def _count_clips(given: Labels) -> NDArray[np.int64]:
    """Return the clips of each label over all splits, (L,)."""
    if given.targets is not None:
        whole = np.concatenate(list(given.targets.values()))
        return np.asarray(whole.sum(axis=0), dtype=np.int64)
    usable = np.concatenate([ids[ids != UNUSABLE] for ids in given.ids.values()])
    return np.bincount(usable, minlength=len(given.names))


def _translate(given: Labels, target: Sequence[int], known: tuple[str, ...]) -> Labels:
    """Return the clips' labels as ids of the model; `target` has the id for each given label."""
    lookup = np.array([*target, UNUSABLE], dtype=np.int64)  # the last is for UNUSABLE
    if given.targets is None:
        return Labels(given.column, known, {s: lookup[ids] for s, ids in given.ids.items()})
    ids, targets = {}, {}
    matched = [place for place, number in enumerate(target) if number != UNUSABLE]
    for split, given_targets in given.targets.items():
        targets[split] = np.zeros((len(given_targets), len(known)), dtype=np.float32)
        for place in matched:  # two labels of the data set may be the same label of the model
            column = targets[split][:, target[place]]
            np.maximum(column, given_targets[:, place], out=column)
        firsts = np.where(targets[split].any(axis=1), targets[split].argmax(axis=1), UNUSABLE)
        has_no_label = given.ids[split] == len(given.names)
        ids[split] = np.where(has_no_label, len(known), firsts)
    return Labels(given.column, known, ids, targets)


def load_label_map(path: Path | None) -> dict[str, str | None]:
    """Read `--label-map`: YAML or JSON, label of the data set -> label of the model or null.

    Raises:
        SettingError: The file cannot be read or is not such a mapping.
    """
    if path is None:
        return {}
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        text = describe_error(error)
        raise SettingError(f"--label-map {path} cannot be read: {text}. Check the file.") from error
    if not isinstance(content, dict) or not content:
        raise SettingError(
            f"--label-map {path} must hold 'label of the data set: label of the model' lines;"
            " null leaves a label's clips out."
        )
    return {str(key): None if value is None else str(value) for key, value in content.items()}


def _check_map(mapping: Mapping[str, Any], given: Sequence[str], known: Sequence[str]) -> None:
    """Refuse a mapping with labels that do not exist."""
    faults = [
        f"the {whose} has no label '{name}'; it has {list_names(names)}.{suggest_name(name, names)}"
        for whose, names, used in (
            ("data set", given, mapping.keys()),
            ("model", known, filter(None, mapping.values())),
        )
        for name in used
        if name not in names
    ]
    if faults:
        raise SettingError("--label-map: " + " And ".join(faults[:3]))


def _normalize(name: str) -> str:
    """Return a label without case, spaces, hyphens and underscores.

    >>> _normalize("Hip-Hop") == _normalize("hip_hop")
    True
    """
    return re.sub(r"[\s_-]+", "", normalize_name(name)).casefold()


def _warn_of_unmatched(
    unmatched: Mapping[str, int], as_unknown: Mapping[str, int], unused: Sequence[str]
) -> None:
    """Warn of labels that only the data set or only the model has."""
    for labels, text in (
        (unmatched, "The model does not know these labels; their clips are left out"),
        (as_unknown, f"These labels are not keywords of the model and count as '{UNKNOWN}'"),
    ):
        if labels:
            shown = (f"{name} ({count_of(count, 'clip')})" for name, count in labels.items())
            warn(logger, f"{text}: {list_names(shown)}.")
    if unused:
        warn(logger, f"The data set lacks these labels of the model: {list_names(unused)}.")
