"""What travels to the Hub: the files of a run folder that belong there, fit to be seen by anybody.

Comes in: a run folder. Goes out: path in the repository -> content. It is a list of what may go, so
that optimizer states, logs with host names and forgotten files stay; texts lose this machine's
folders and tokens on the way. RUN itself is only read.
"""

from __future__ import annotations

import csv
import logging
import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import yaml

from audio_cls.config import HubConfig
from audio_cls.errors import RunFolderError, hide_tokens, list_names
from audio_cls.publishing.card import render_card
from audio_cls.publishing.names import Names, choose_names
from audio_cls.publishing.privacy import hide_in_file
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
LOGS = "logs/**/events.out.tfevents.*"  # what --report-to tensorboard leaves in the run folder
SHORTEST_PRIVATE = 5  # letters; shorter ones stand in numbers by chance
PUBLIC_LOGS = "runs/events.out.tfevents."  # and what it is called in the repository, with a number
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
logger = logging.getLogger(__name__)

SAFE_NAME = re.compile(r"[\w.-]+", re.ASCII)


def gather_files(
    run: Path, repo_id: str, cfg: HubConfig, secrets: tuple[str, ...] = ()
) -> dict[str, bytes | Path]:
    """Collect what is published: path in the repository -> content, or the file that holds it.

    Args:
        run: The run folder.
        repo_id: Where it goes; the card names it, unless somebody edited the card.
        cfg: Which names are published, and whether the curves are.
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
    names = choose_names(run, cfg)
    for pattern in (*PUBLIC_FILES, *name_code(record.model)):
        for path in sorted(run.glob(pattern)):
            if _is_ours(run, path):
                name = path.relative_to(run).as_posix()
                files[name] = _read_public(path, name, secrets, names)
    return files | (gather_logs(run, secrets) if cfg.push_logs else {})


def gather_logs(run: Path, secrets: tuple[str, ...] = ()) -> dict[str, bytes | Path]:
    """Collect TensorBoard's files by number: their own names hold the machine's and a process's.

    A file that holds a token, the machine's name or a folder of this machine stays, with a warning.
    """
    private = [*secrets, socket.gethostname(), str(Path.home()), str(run.resolve().parent)]
    private = [text for text in private if len(text) >= SHORTEST_PRIVATE]
    files: dict[str, bytes | Path] = {}
    for path in sorted(run.glob(LOGS), key=lambda path: path.name):
        content = path.read_bytes() if path.resolve().is_relative_to(run.resolve()) else None
        if content is None or any(text.encode() in content for text in private):
            logger.warning("A file of curves is not published: it names this machine, or a token.")
            continue
        files[f"{PUBLIC_LOGS}{len(files) + 1:04d}"] = content
    if not files:
        logger.warning("There are no curves to publish: train with --report-to tensorboard.")
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
        for pattern in (*PUBLIC_FILES, f"{PUBLIC_LOGS}*")
    )


def name_code(config: Mapping[str, object]) -> list[str]:
    """Return the code files that a trusted model was trained with, as its config.json names them.

    >>> name_code({"pooled_head": {"code": ["modeling_mine.py", "../secret.py", "notes.txt"]}})
    ['modeling_mine.py']
    """
    note = config.get("pooled_head")
    names = note.get("code") if isinstance(note, Mapping) else None
    return [
        name
        for name in (names if isinstance(names, list) else [])
        if isinstance(name, str) and SAFE_NAME.fullmatch(name) and name.endswith(".py")
    ]


def _is_ours(run: Path, path: Path) -> bool:
    """Return whether a path is a plainly named file within the run folder, links followed."""
    return (
        path.is_file()
        and SAFE_NAME.fullmatch(path.name) is not None
        and path.resolve().is_relative_to(run.resolve())
    )


def _read_public(
    path: Path, name: str, secrets: tuple[str, ...], names: Names | None = None
) -> bytes | Path:
    """Return a text file's content fit to be published, and the path of any other file."""
    if path.suffix not in TEXT_SUFFIXES:
        return path
    try:
        text = path.read_bytes().decode()
        text = names.hide(name, text) if names is not None else text
        return hide_in_file(name, text, secrets).encode()
    except (ValueError, csv.Error, yaml.YAMLError) as error:
        raise RunFolderError(
            f"'{path}' cannot be read as {path.suffix[1:]} in UTF-8. Mend or remove it, then"
            " publish again."
        ) from error
