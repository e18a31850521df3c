"""Files of a run folder that are published: path in the repository -> content.

Files, columns, settings and results are published by allow-lists; optimizer states, other files,
folders of this machine, group names and tokens are in none of them. RUN itself is only read.
"""

from __future__ import annotations

import csv
import json
import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import yaml

from audio_cls.config import HubConfig
from audio_cls.errors import RunFolderError, redact_tokens
from audio_cls.publishing.card.written_card import choose_card
from audio_cls.publishing.eval_results import ENTRIES, make_entry, name_entry_file, to_entry_text
from audio_cls.publishing.hub.tensorboard import PUBLIC_LOGS, gather_curves
from audio_cls.publishing.redaction.names import NameMasker, choose_names, read_groups
from audio_cls.publishing.redaction.results import make_public
from audio_cls.publishing.redaction.tables import publish_text
from audio_cls.publishing.run_record import RunRecord, load_run
from audio_cls.runs.run_files import CARD, RUN_FILES, WEIGHTS

# The card is checked first, and entries of .eval_results are made from the results.
PUBLIC_FILES = tuple(one.name for one in RUN_FILES if one.published and one.name != CARD)
TEXT_SUFFIXES = (".json", ".yaml", ".csv", ".txt")
# Files that exist during training.
EARLY_FILES = (WEIGHTS, "*config.json", "model.safetensors.index.json", "run_config.yaml")
EARLY_CARD = """\
---
library_name: transformers
pipeline_tag: audio-classification
tags: [audio-classification, audio_cls]
---

# {name}

This model is still in training. The repository has its best weights so far; results follow when \
training has ended.
"""
logger = logging.getLogger(__name__)

SAFE_NAME = re.compile(r"[\w.-]+", re.ASCII)


def gather_files(
    run: Path, repo_id: str, cfg: HubConfig, secrets: tuple[str, ...] = ()
) -> dict[str, bytes | Path]:
    """Return what is published: path in the repository -> content, or the file with it.

    Args:
        run: The run folder.
        repo_id: The repository; the card names it, unless the card was edited.
        cfg: Which names are published, the texts of the card, and whether TensorBoard logs are.
        secrets: Tokens in use on this machine.

    Raises:
        RunFolderError: The folder has no finished run, or a file without the format of its name.
    """
    record = load_run(run)
    if not any(path.is_file() for path in run.glob(WEIGHTS)):
        raise RunFolderError(
            f"'{run}' has no weights ({WEIGHTS}) of a finished run. Give the --output-dir of a"
            " finished training."
        )
    names = choose_names(run, cfg.publish_ids, record.settings)
    if names.numbers is not None and cfg.publish_ids == "clips":
        logger.warning(
            "Names of clips contain those of their groups, or may contain them: both are"
            " published as numbers. --publish-ids all publishes the names."
        )
    public = make_public(record, names)
    card = choose_card(record, names, repo_id, cfg)
    files: dict[str, bytes | Path] = {CARD: redact_tokens(card, secrets).encode()}
    for pattern in (*PUBLIC_FILES, *list_code_files(record.model)):
        for path in sorted(run.glob(pattern)):
            name = path.relative_to(run).as_posix()
            is_file = _is_in_run(run, path) and path.parent.name != ENTRIES
            if is_file and names.publishes(name):
                files[name] = _read_public(path, name, secrets, names, public)
    entry = make_entry(public)
    if entry is not None:
        files[name_entry_file(entry)] = redact_tokens(to_entry_text(entry), secrets).encode()
    return files | (gather_curves(run) if cfg.push_logs else {})


def gather_early_files(
    run: Path, repo_id: str, cfg: HubConfig, secrets: tuple[str, ...] = ()
) -> dict[str, bytes | Path]:
    """Return what is published of a run in training: its best model, and a card that states it.

    Args:
        run: The run folder, or a copy of it.
        repo_id: The repository.
        cfg: Which names are published.
        secrets: Tokens in use on this machine.
    """
    record = load_run(run, is_finished=False)
    names = NameMasker(cfg.publish_ids == "all", read_groups(record.settings))
    public = make_public(record, names)
    card = EARLY_CARD.format(name=repo_id.rpartition("/")[2])
    files: dict[str, bytes | Path] = {CARD: card.encode()}
    for pattern in EARLY_FILES:
        for path in sorted(run.glob(pattern)):
            if _is_in_run(run, path):
                files[path.name] = _read_public(path, path.name, secrets, names, public)
    return files


def find_stale(there: Iterable[str], files: Mapping[str, object]) -> list[str]:
    """List the published files of an earlier run that this one does not have.

    >>> find_stale(["run_config.yaml", "figures/old.png", "notes.md"], {"run_config.yaml": 1})
    ['figures/old.png']
    """
    names = set(there)
    if "run_config.yaml" not in names:
        return []  # the repository has no run of audio_cls
    return sorted(name for name in names - files.keys() if is_public(name))


def is_public(name: str) -> bool:
    """Return whether a run publishes a file under this path."""
    path = PurePosixPath(name)
    return any(
        path.match(pattern) and len(path.parts) == len(PurePosixPath(pattern).parts)
        for pattern in (*PUBLIC_FILES, f"{PUBLIC_LOGS}*")
    )


def list_code_files(config: Mapping[str, object]) -> list[str]:
    """List the code files of a model with remote code, from its config.json.

    >>> list_code_files({"pooled_head": {"code": ["modeling_a.py", "../secret.py", "notes.txt"]}})
    ['modeling_a.py']
    """
    note = config.get("pooled_head")
    names = note.get("code") if isinstance(note, Mapping) else None
    return [
        name
        for name in (names if isinstance(names, list) else [])
        if isinstance(name, str) and SAFE_NAME.fullmatch(name) and name.endswith(".py")
    ]


def _is_in_run(run: Path, path: Path) -> bool:
    """Return whether a path is a file with a plain name in the run folder, links resolved."""
    return (
        path.is_file()
        and SAFE_NAME.fullmatch(path.name) is not None
        and path.resolve().is_relative_to(run.resolve())
    )


def _read_public(
    path: Path, name: str, secrets: tuple[str, ...], names: NameMasker, public: RunRecord
) -> bytes | Path:
    """Return the redacted content of a text file, the path of any other file."""
    if path.suffix not in TEXT_SUFFIXES:
        return path
    try:
        text = path.read_bytes().decode()
        if name == "results.json":
            tree = public.results.to_json()
            text = text if json.loads(text) == tree else _to_json(tree)
        elif name == "run_config.yaml":
            tree = {**public.settings, **({"record": public.record} if public.record else {})}
            text = text if yaml.safe_load(text) == tree else _to_yaml(tree)
        else:
            text = publish_text(name, text, names)
        return redact_tokens(text, secrets).encode()
    except (ValueError, csv.Error, yaml.YAMLError) as error:
        raise RunFolderError(
            f"'{path}' cannot be read as {path.suffix[1:]} in UTF-8. Correct or remove it, then"
            " publish again."
        ) from error


def _to_json(tree: object) -> str:
    """Return the content of a JSON file."""
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"


def _to_yaml(tree: object) -> str:
    """Return the content of a YAML file."""
    return str(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=100))
