"""File naming schemes of well-known data sets: label and group of a clip from its file name."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

NO_HASH = "_nohash_"  # in file names of Speech Commands, after the speaker


@dataclass(frozen=True)
class NamingScheme:
    """Regular expressions for the file names of a data set; they are searched in clip ids."""

    name: str
    label_pattern: str
    group_pattern: str


SCHEMES = (
    NamingScheme("EmoDB", r"(?:^|/)\d\d[ab]\d\d([A-Z])[a-z]?\b", r"(?:^|/)(\d\d)[ab]\d\d[A-Z]"),
    NamingScheme("RAVDESS", r"(?:^|/)\d\d-\d\d-(\d\d)(?:-\d\d){4}\b", r"(?:^|/)(?:\d\d-){6}(\d\d)"),
    NamingScheme("CREMA-D", r"(?:^|/)\d{4}_[A-Z]{3}_([A-Z]{3})_", r"(?:^|/)(\d{4})_[A-Z]{3}_"),
    NamingScheme("SAVEE", r"(?:^|/)[A-Z]{2}[_/]([a-z]{1,2})\d\d\b", r"(?:^|/)([A-Z]{2})[_/][a-z]"),
    NamingScheme("ESC-50", r"(?:^|/)\d-\d+-[A-Z]-(\d+)\b", r"(?:^|/)\d-(\d+)-[A-Z]-"),
    NamingScheme("UrbanSound8K", r"(?:^|/)\d+-(\d)-\d+-\d+\b", r"(?:^|/)(\d+)-\d-\d+-\d+\b"),
    NamingScheme("FSDD", r"(?:^|/)(\d)_[a-z]+_\d+\b", r"(?:^|/)\d_([a-z]+)_\d+\b"),
)
# A word for a person, with a number: speaker12_x.wav, Actor_03/x.wav.
NUMBERED = r"(?i)(?:speaker|spk|actor|subject|patient|participant|singer)[ _-]?(\d+)"

# A part of the file name, first or second between _ or -: anna_yes_1.wav, 3_anna_yes.wav.
NAME_PARTS = tuple(
    rf"{start}([^/{mark}]+){mark}[^/]*$" for mark in ("_", "-") for start in ("", mark)
)


def suggest_label_pattern(names: Sequence[str]) -> str:
    """Return a sentence with the flags that read label and group from file names, or nothing.

    Args:
        names: Clip ids.
    """
    for scheme in SCHEMES:
        labels = search_all(scheme.label_pattern, names)
        if len(set(labels)) > 1 and search_all(scheme.group_pattern, names):
            flags = ["--label-pattern", scheme.label_pattern]
            flags += ["--group-pattern", scheme.group_pattern]
            return (
                f" The files are named as in {scheme.name}: label and group are found in their"
                f" names by {shlex.join(flags)}"
            )
    return ""


def search_all(pattern: str, ids: Sequence[str]) -> list[str]:
    """Return what the first (...) of a pattern matches in each id; empty if one has no match."""
    expression, texts = re.compile(pattern), []
    for name in ids:
        match = expression.search(name)
        if match is None:
            return []
        texts.append(match[1])
    return texts
