"""Match a data set's labels to a model's: by a mapping file, by name, or nearly by name."""

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
from audio_cls.errors import DatasetError, SettingError, list_names, suggest_name
from audio_cls.run_warnings import warn

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Match:
    """A data set's labels in a model's words."""

    labels: Labels  # with the model's names and ids
    unmatched: dict[str, int]  # label of the data set that the model does not know -> its clips
    as_unknown: dict[str, int]  # label that counts as `_unknown_` -> its clips


def match_labels(given: Labels, known: Sequence[str], mapping: Mapping[str, str | None]) -> Match:
    """Translate a data set's labels into a model's, by the map, by name, or nearly by name.

    Nearly: capitals, spaces, hyphens and underscores make no difference where that is unambiguous.
    A keyword spotter has a label `_unknown_`: all other words count as that, and recordings of
    noise as its `_silence_`, as in its training. For other models, clips whose label the model does
    not know cannot be judged: they are counted and left out, as are labels that the map sets to
    null. Of several labels a clip only the unknown ones are, and the clip if it has no other.

    Raises:
        SettingError: The map names a label that does not exist.
        DatasetError: No label matches.
    """
    _check_map(mapping, given.names, known)
    exact = {name: number for number, name in enumerate(known)}
    loose: dict[str, int] = {}
    for name, number in exact.items():
        loose[_loosen(name)] = UNUSABLE if _loosen(name) in loose else number
    target = []
    for name in given.names:
        said = mapping.get(name, name)
        number = exact.get(said, loose.get(_loosen(said), UNUSABLE)) if said else UNUSABLE
        target.append(number)
    if all(number == UNUSABLE for number in target):
        raise DatasetError(
            f"None of the data set's labels ({list_names(given.names)}) is one of the model's"
            f" ({list_names(known)}). Write a file of 'label of the data set: label of the model'"
            " lines and give it by --label-map."
        )
    free = [n for n, number in enumerate(target) if number == UNUSABLE]
    others = [n for n in free if given.targets is None and given.names[n] not in mapping]
    for place in others:
        silence = exact.get(SILENCE) if given.names[place] in SILENCE_LABELS else None
        target[place] = exact.get(UNKNOWN, UNUSABLE) if silence is None else silence
    clips = _count_clips(given)
    unmatched, as_unknown = (
        {given.names[n]: int(clips[n]) for n in free if target[n] in numbers and clips[n] > 0}
        for numbers in ([UNUSABLE], [exact.get(UNKNOWN)])
    )
    _tell(unmatched, as_unknown, [n for number, n in enumerate(known) if number not in target])
    return Match(_translate(given, target, tuple(known)), unmatched, as_unknown)


def _count_clips(given: Labels) -> NDArray[np.int64]:
    """Return the clips of each label over all splits, (L,)."""
    if given.targets is not None:
        whole = np.concatenate(list(given.targets.values()))
        return np.asarray(whole.sum(axis=0), dtype=np.int64)
    usable = np.concatenate([ids[ids != UNUSABLE] for ids in given.ids.values()])
    return np.bincount(usable, minlength=len(given.names))


def _translate(given: Labels, target: Sequence[int], known: tuple[str, ...]) -> Labels:
    """Return the clips' labels with the model's ids; `target` has one for each label."""
    lookup = np.array([*target, UNUSABLE], dtype=np.int64)  # the last is for UNUSABLE itself
    if given.targets is None:
        return Labels(given.column, known, {s: lookup[own] for s, own in given.ids.items()})
    ids, targets = {}, {}
    matched = [place for place, number in enumerate(target) if number != UNUSABLE]
    for split, marks in given.targets.items():
        targets[split] = np.zeros((len(marks), len(known)), dtype=np.float32)
        for place in matched:  # two labels of the data set may be one of the model's
            column = targets[split][:, target[place]]
            np.maximum(column, marks[:, place], out=column)
        firsts = np.where(targets[split].any(axis=1), targets[split].argmax(axis=1), UNUSABLE)
        was_bare = given.ids[split] == len(given.names)
        ids[split] = np.where(was_bare, len(known), firsts)
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
        text = " ".join(str(error).split())
        raise SettingError(f"--label-map {path} cannot be read: {text}. Check the file.") from error
    if not isinstance(content, dict) or not content:
        raise SettingError(
            f"--label-map {path} must hold 'label of the data set: label of the model' lines;"
            " null leaves a label's clips out."
        )
    return {str(key): None if value is None else str(value) for key, value in content.items()}


def _check_map(mapping: Mapping[str, Any], given: Sequence[str], known: Sequence[str]) -> None:
    """Refuse a map that names labels which are not there."""
    faults = [
        f"the {whose} has no label '{name}'; it has {list_names(names)}.{suggest_name(name, names)}"
        for whose, names, said in (
            ("data set", given, mapping.keys()),
            ("model", known, filter(None, mapping.values())),
        )
        for name in said
        if name not in names
    ]
    if faults:
        raise SettingError("--label-map: " + " And ".join(faults[:3]))


def _loosen(name: str) -> str:
    """Return a label without what spellings differ in.

    >>> _loosen("Hip-Hop") == _loosen("hip_hop")
    True
    """
    return re.sub(r"[\s_-]+", "", normalize_name(name)).casefold()


def _tell(
    unmatched: Mapping[str, int], as_unknown: Mapping[str, int], unused: Sequence[str]
) -> None:
    """Warn of labels without a counterpart."""
    for labels, text in (
        (unmatched, "The model does not know these labels; their clips are left out"),
        (as_unknown, f"These labels are no keywords of the model and count as '{UNKNOWN}'"),
    ):
        if labels:
            shown = list_names(f"{name} ({count} clips)" for name, count in labels.items())
            warn(logger, f"{text}: {shown}.")
    if unused:
        warn(logger, f"The data set lacks these labels of the model: {list_names(unused)}.")
