"""Short names of data sets and models, from ids of the Hub, paths and addresses.

Imports nothing heavy: the run folder is checked by them before torch is imported.
"""

from __future__ import annotations

import re
from pathlib import Path

TABLE_SUFFIXES = (".parquet", ".arrow", ".csv", ".tsv", ".json", ".jsonl")


def is_url(dataset: str) -> bool:
    """Return whether a data set id is a URL.

    >>> is_url("hf://datasets/ashraq/esc50"), is_url("ashraq/esc50")
    (True, False)
    """
    return dataset.startswith(("hf://", "http://", "https://"))


def name_dataset(dataset: str) -> str:
    r"""Return the short name of a data set id: an id of the Hub, a path of any system, or a URL.

    >>> name_dataset("owner/set"), name_dataset(r"D:\clips\emodb.csv"), name_dataset("builtin:demo")
    ('set', 'emodb', 'demo')
    """
    if is_url(dataset):
        dataset = re.split(r"[?#]", dataset)[0]
    elif re.fullmatch(r"[./\\]*", dataset):
        dataset = str(Path(dataset).resolve())
    name = read_base_name(dataset)
    suffix = next((end for end in TABLE_SUFFIXES if name.lower().endswith(end)), "")
    return name[: len(name) - len(suffix)] or name


def read_base_name(path: str) -> str:
    """Return the part of a path, URL or id after the last slash, backslash or colon."""
    return re.split(r"[/\\:]", path.rstrip("/\\"))[-1]
