"""What travels to the Hub: the files of a run folder that belong there, fit to be seen by anybody.

Comes in: a run folder. Goes out: path in the repository -> content. It is a list of what may go, so
that optimizer states, logs with host names and forgotten files stay; texts lose this machine's
folders and tokens on the way. RUN itself is only read.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import yaml

from audio_cls.errors import RunFolderError, list_names
from audio_cls.publishing.card import render_card
from audio_cls.publishing.privacy import hide_in_file, hide_tokens
from audio_cls.publishing.record import load_run

WEIGHTS = ("model*.safetensors", "adapter_model.safetensors")
PUBLIC_FILES = (
    *WEIGHTS,
    "config.json",
    "adapter_config.json",
    "model.safetensors.index.json",
    "preprocessor_config.json",
    "processor_config.json",
    "results.json",
    "run_config.yaml",
    "summary.csv",
    "predictions.csv",
    "bad_audio.csv",
    "duplicates.csv",
    "near_duplicates.csv",
    "splits/*.txt",
    "figures/*.png",
    "samples/*.wav",
    ".eval_results/*.yaml",
)
TEXT_SUFFIXES = (".json", ".yaml", ".csv", ".txt")
# What there is before the end; the rest of PUBLIC_FILES tells of a finished run.
EARLY_FILES = (*WEIGHTS, "*config.json", "model.safetensors.index.json", "run_config.yaml")
EARLY_CARD = """\
---
library_name: transformers
pipeline_tag: audio-classification
tags: [audio-classification, audio_cls]
---

# {name}

The training of this model is going on. These are its best weights so far; what they are worth is \
told here when it has ended.
"""
SAFE_NAME = re.compile(r"[\w.-]+", re.ASCII)


def gather_files(run: Path, repo_id: str, secrets: tuple[str, ...] = ()) -> dict[str, bytes | Path]:
    """Collect what is published: path in the repository -> content, or the file that holds it.

    Args:
        run: The run folder.
        repo_id: Where it goes; the card names it, unless somebody edited the card.
        secrets: Tokens in use on this machine.

    Raises:
        RunFolderError: The folder holds no finished run, or a file that is not what its name says.
    """
    record = load_run(run)
    if not any(path.is_file() for pattern in WEIGHTS for path in run.glob(pattern)):
        raise RunFolderError(
            f"'{run}' holds no weights ({list_names(WEIGHTS)}): a finished run does."
            " Give the folder that train.py named as --output-dir."
        )
    readme = run / "README.md"
    card, written = render_card(record, repo_id), None
    if readme.is_file():
        written = readme.read_text("utf-8")
    if written is not None and written != render_card(record):
        card = written  # somebody edited it
    files: dict[str, bytes | Path] = {"README.md": hide_tokens(card, secrets).encode()}
    for pattern in PUBLIC_FILES:
        for path in sorted(run.glob(pattern)):
            if _is_ours(run, path):
                name = path.relative_to(run).as_posix()
                files[name] = _read_public(path, name, secrets)
    return files


def gather_early_files(
    run: Path, repo_id: str, secrets: tuple[str, ...] = ()
) -> dict[str, bytes | Path]:
    """Collect what a run that still trains can show: its best model, and a card that says so.

    Args:
        run: The run folder, or a copy of it.
        repo_id: Where it goes.
        secrets: Tokens in use on this machine.
    """
    card = EARLY_CARD.format(name=repo_id.rpartition("/")[2])
    files: dict[str, bytes | Path] = {"README.md": card.encode()}
    for pattern in EARLY_FILES:
        for path in sorted(run.glob(pattern)):
            if _is_ours(run, path):
                files[path.name] = _read_public(path, path.name, secrets)
    return files


def find_stale(there: Iterable[str], files: Mapping[str, object]) -> list[str]:
    """List the files of an earlier run that this one does not have; others' files are none.

    >>> find_stale(["run_config.yaml", "figures/old.png", "notes.md"], {"run_config.yaml": 1})
    ['figures/old.png']
    """
    names = set(there)
    if "run_config.yaml" not in names:
        return []  # what is there did not come from here
    return sorted(name for name in names - files.keys() if is_public(name))


def is_public(name: str) -> bool:
    """Return whether a path in the repository is one that a run publishes."""
    path = PurePosixPath(name)
    return any(
        path.match(pattern) and len(path.parts) == len(PurePosixPath(pattern).parts)
        for pattern in PUBLIC_FILES
    )


def _is_ours(run: Path, path: Path) -> bool:
    """Return whether a path is a plainly named file within the run folder, links followed."""
    return (
        path.is_file()
        and SAFE_NAME.fullmatch(path.name) is not None
        and path.resolve().is_relative_to(run.resolve())
    )


def _read_public(path: Path, name: str, secrets: tuple[str, ...]) -> bytes | Path:
    """Return a text file's content fit to be published, and the path of any other file."""
    if path.suffix not in TEXT_SUFFIXES:
        return path
    try:
        text = path.read_bytes().decode()
        return hide_in_file(name, text, secrets).encode()
    except (ValueError, csv.Error, yaml.YAMLError) as error:
        raise RunFolderError(
            f"'{path}' cannot be read as {path.suffix[1:]} in UTF-8. Mend or remove it, then"
            " publish again."
        ) from error
