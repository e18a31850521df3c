"""Description of the test clips: a split of the data set, or a part of one.

It states whether the clips are exactly those of a supplied split, fold or list, and names them. A
part that the run held out itself is never named like the split it was taken from.
"""

from __future__ import annotations

import re
from typing import Any

from audio_cls.publishing.run_record import MAX_FRONT_MATTER, RunRecord, single_line
from audio_cls.runs.results import SplitDescription

# Origin of clips that `audio-cls evaluate` took from one of the run's lists.
LIST_OF_RUN = re.compile(r"the run's (?:own )?(?P<role>\w+) clips \((?P<origin>.*)\)", re.DOTALL)
HELD_OUT = "held-out part of"  # followed by the split it was taken from
VALIDATION = "validation part of"
PARTS = (HELD_OUT, VALIDATION, "part of")
_FOLD = re.compile(r"fold (?P<fold>.+) of column '.*'", re.DOTALL)
_LISTED = re.compile(r"listed at (?P<place>.*?)(?: \(sha256 [0-9a-f]+\))?", re.DOTALL)
_CUT = re.compile(r"cut from|\bby seed\b|\bgroups?\b")


def read_part(record: RunRecord, role: str) -> SplitDescription:
    """Return the entry of results.json about one role's clips; empty where there is none."""
    return record.results.dataset.split.get(role, SplitDescription())


def is_given(record: RunRecord, role: str = "test") -> bool:
    """Return whether the clips are exactly a supplied split, fold or list.

    Runs of earlier versions do not record it: it is derived from the origin of the clips, else from
    the names of the splits.
    """
    part = read_part(record, role)
    if part.is_given is not None:
        return part.is_given
    if record.settings.get("data", {}).get("max_eval_samples") and role != "train":
        return False
    origin = read_origin(record, role)
    if origin:
        is_listed = _LISTED.fullmatch(origin) is not None
        return re.match(r"split '", origin) is not None or is_listed or bool(_FOLD.match(origin))
    return role == "train" or part.name is None or part.name != read_part(record, "train").name


def is_cut_by_run(record: RunRecord, role: str = "test") -> bool:
    """Return whether the run itself held out the clips, at random or by group."""
    if is_given(record, role):
        return False
    origin = read_origin(record, role)
    return not origin or _CUT.search(origin) is not None


def is_grouped(record: RunRecord) -> bool:
    """Return whether all clips of a group (a speaker, a recording) are in one split."""
    is_recorded = record.results.dataset.is_split_by_group
    if is_recorded is not None:
        return is_recorded
    data = record.settings.get("data", {})
    is_set = data.get("group_column") or data.get("group_pattern")
    is_in_origin = re.search(r"by group|\bgroups?\b", read_origin(record, "test")) is not None
    return bool(is_set or is_in_origin or record.results.test.get("num_groups"))


def read_origin(record: RunRecord, role: str) -> str:
    """Return how the clips of a role were chosen; of validation where both are the same clips."""
    origin = read_part(record, role).origin or ""
    if origin == "the validation clips again":
        return read_origin(record, "validation")
    listed = LIST_OF_RUN.fullmatch(origin)
    return single_line(listed["origin"] if listed else origin, MAX_FRONT_MATTER)


def read_split_name(record: RunRecord, role: str) -> str:
    """Return the name of a role's clips: of a split, else a description.

    Args:
        record: The run.
        role: "train", "validation" or "test".
    """
    part = read_part(record, role)
    name, origin = part.name or role, read_origin(record, role)
    if role == "train" and not origin:
        return single_line(name, MAX_FRONT_MATTER)
    shown = name if is_given(record, role) and not origin else name_part(origin, name, role)
    if role == "train":
        return single_line(name if shown.startswith(PARTS) else shown, MAX_FRONT_MATTER)
    if not is_given(record, role) and shown == name:
        shown = f"part of {name}"
    return single_line(shown, MAX_FRONT_MATTER)


def name_part(origin: str, name: str, role: str = "test") -> str:
    """Return the name of a part of a data set by its origin.

    Args:
        origin: As data/splits/splits.py writes it; empty where it is not known.
        name: The given split that the clips come from.
        role: "train", "validation" or "test": which of several lists it is.

    >>> name_part("split 'test'", "test"), name_part("fold 1 of column 'fold'", "train")
    ('test', 'fold 1')
    >>> name_part("cut from 'train' (stratified, 0.1, seed 42)", "train")
    'held-out part of train'
    >>> name_part("listed at gtzan-fault-filtered (sha256 404c6ae0693d)", "train")
    'test list of gtzan-fault-filtered'
    >>> name_part("keywords with unknown words and silence by share, from: split 'test'", "test")
    'part of test'
    """
    if re.fullmatch(r"(?:all of )?split '.*'(?:, streamed| \(another .*\))?", origin):
        return name
    fold = _FOLD.fullmatch(origin)
    if fold:
        return f"fold {fold['fold']}"
    listed = _LISTED.fullmatch(origin)
    if listed:
        return f"{role} list of {listed['place']}"
    if not origin or _CUT.search(origin):
        source = re.search(r"cut from '(.*?)'", origin)
        kind = VALIDATION if "validation" in (role, name) else HELD_OUT
        return f"{kind} {source[1] if source else name}"
    return f"part of {name}"


def add_article(name: str) -> str:
    """Return a part's name for use within a sentence.

    >>> add_article("held-out part of train"), add_article("test")
    ('a held-out part of train', 'test')
    """
    return f"a {name}" if name.startswith(PARTS) else name


def describe_part(record: RunRecord, role: str = "test") -> str:
    """Return one line on how the clips of a role were chosen, as far as it is recorded."""
    origin = read_origin(record, role)
    if origin:
        return origin
    part, data = read_part(record, role), record.settings.get("data", {})
    method: Any = "by group" if is_grouped(record) else data.get("split_method") or "stratified"
    seed = "" if method == "hash" else f", seed {data.get('split_seed', 42)}"
    return single_line(f"cut from {part.name!r} ({method}{seed})", MAX_FRONT_MATTER)
