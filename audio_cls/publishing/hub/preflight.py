"""Preflight: check before training that the run can be published after it.

The card, its model-index and the `.eval_results` entry are made from dummy numbers and parsed
again; for a run that will be pushed, the Hub also validates them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, HfApi, ModelCard

from audio_cls.command_names import format_command
from audio_cls.config import HubConfig, RunConfig, flag_name
from audio_cls.demo_data import BUILTIN
from audio_cls.errors import HubError
from audio_cls.publishing.card.card import render_card
from audio_cls.publishing.card.front_matter import LANGUAGE_ID, make_license_keys
from audio_cls.publishing.card.limitations import MAX_LIMITS
from audio_cls.publishing.eval_results import make_entry, to_entry_text
from audio_cls.publishing.hub.permissions import check_rights, explain_refusal
from audio_cls.publishing.hub.retry import Failure, is_outage, retry, to_reason
from audio_cls.publishing.redaction.names import NameMasker, read_groups
from audio_cls.publishing.redaction.results import make_public
from audio_cls.publishing.run_record import MAX_FRONT_MATTER, RunRecord, is_repo_id, single_line
from audio_cls.runs.results import (
    DatasetDescription,
    ModelDescription,
    RunResults,
    SplitDescription,
)
from audio_cls.storage.short_names import is_url

ANY_SHA = "0" * 40
MAX_CARD_TEXT = 20_000  # characters
MAX_LENGTHS = {
    "task_id": MAX_FRONT_MATTER,
    "eval_notes": MAX_FRONT_MATTER,
    "limitations": MAX_LIMITS,
    "model_description": MAX_CARD_TEXT,
    "intended_use": MAX_CARD_TEXT,
    "citation": MAX_CARD_TEXT,
}
STRINGS = ("license", "language", "base_model", "datasets", "metrics", "tags", "pipeline_tag")


def run_preflight(cfg: RunConfig, run_name: str) -> str | None:
    """Check, before training, everything that is published after it. Main process only.

    Offline: names, lengths, the card's metadata and model-index, the `.eval_results` entry. With
    `--push-to-hub` also online: login, write access, the Hub's validation of the card.

    Args:
        cfg: All settings.
        run_name: The run folder's name.

    Returns:
        The repository's id with its namespace; None for a run that is not pushed.

    Raises:
        HubError: The publication would fail; one line names the setting to change.
    """
    check_texts(cfg.hub)
    planned = None if cfg.hub.hub_repo_id is None else make_repo_id(cfg.hub.hub_repo_id, "you", "")
    record = make_dummy_record(cfg, run_name)
    names = NameMasker(cfg.hub.publish_ids == "all", read_groups(record.settings))
    try:
        record = make_public(record, names)
        card = render_card(record, planned)
        errors = find_card_errors(card)
        entry = make_entry(record)
        if entry is not None:
            to_entry_text(entry)
    except (ValueError, TypeError, KeyError, AssertionError, yaml.YAMLError) as error:
        raise HubError(
            f"The model card of this run cannot be written ({to_reason(error)}). It is made from"
            " --dataset, --metric, --license and --task-id: change the one that is named."
        ) from error
    if errors:
        raise HubError(
            f"The model card of this run would not be valid: {'; '.join(errors)}. It is made from"
            " --dataset, --metric, --license and --task-id: change the one that is named."
        )
    return check_hub(cfg.hub, run_name, card) if cfg.hub.push_to_hub else None


def check_texts(cfg: HubConfig) -> None:
    """Refuse texts that are empty or too long for the card.

    Raises:
        HubError: The message names the setting.
    """
    for name, longest in MAX_LENGTHS.items():
        given = getattr(cfg, name)
        if given is None:
            continue
        length = len(single_line(given, len(given) + 1))
        if not 0 < length <= longest:
            raise HubError(
                f"{flag_name(name)} has {length} printable characters; allowed are 1 to {longest}."
                f" {'Shorten it.' if length else 'Give a text, or omit the option.'}"
            )
    if not all(map(LANGUAGE_ID.fullmatch, cfg.language)):
        raise HubError(
            f"--language {single_line(','.join(cfg.language), 80)} is not valid: give ISO 639 codes"
            " of two or three lower-case letters, such as en,de, or 'multilingual'."
        )
    if cfg.task_id is not None and re.search(r"\s", cfg.task_id):
        raise HubError(
            f"--task-id {single_line(cfg.task_id, 80)} is not valid: it must be an id without"
            " spaces from `tasks` in the data set's eval.yaml, such as 'genre'."
        )


def make_dummy_record(cfg: RunConfig, run_name: str) -> RunRecord:
    """Return the record that a run with these settings leaves, with dummy numbers and commits."""
    dataset, model = cfg.data.dataset or "unnamed", cfg.model.model
    is_local = is_url(dataset) or dataset.startswith(BUILTIN) or Path(dataset).exists()
    labels = ["a", "b"]
    scores = {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    splits = {
        role: SplitDescription(
            name=getattr(cfg.data, f"{role}_split") or role, num_examples=4, seconds=4.0
        )
        for role in ("train", "validation", "test")
    }
    results = RunResults(
        dataset=DatasetDescription(
            id=dataset,
            name=dataset,
            config=cfg.data.dataset_config,
            revision=cfg.data.dataset_revision or ANY_SHA,
            is_local=is_local,
            split=splits,
        ),
        model=ModelDescription(
            id=model,
            revision=cfg.model.model_revision or ANY_SHA,
            is_local=model.startswith(BUILTIN) or Path(model).is_dir(),
        ),
        labels=labels,
        metric=cfg.eval.metric_key,
        validation={"num_examples": 4, "epoch": 1, "step": 1},
        test={
            "accuracy": 0.5,
            "accuracy_ci95": [0.15, 0.85],
            cfg.eval.metric_key: 0.5,
            "num_examples": 4,
            "per_class": dict.fromkeys(labels, scores),
        },
    )
    return RunRecord(
        folder=Path(run_name),
        results=results,
        settings=cfg.to_nested(),
        record={},
        summary=[],
        model={},
        extractor={},
        figures=[],
        duplicates=[],
    )


def find_card_errors(text: str) -> list[str]:
    """List violations of the Hub's rules for a model card's front matter.

    Rules: https://github.com/huggingface/hub-docs, modelcard.md.
    """
    data = ModelCard(text).data
    errors = []
    for key in STRINGS:
        value = data.get(key)
        items = value if isinstance(value, list) else [] if value is None else [value]
        errors += [f"{key} contains {item!r}, not a text" for item in items if not _is_text(item)]
    for result in data.get("eval_results") or []:
        errors += _find_result_errors(result)
    return list(dict.fromkeys(errors))


def _find_result_errors(result: EvalResult) -> list[str]:
    """List the missing or wrong values of one entry of model-index."""
    required = ("task_type", "dataset_type", "dataset_name", "metric_type")
    errors = [f"a result lacks {key}" for key in required if not _is_text(getattr(result, key))]
    optional = ("dataset_config", "dataset_split", "dataset_revision", "metric_name")
    values: Mapping[str, Any] = {key: getattr(result, key) for key in optional}
    given = {key: value for key, value in values.items() if value is not None}
    errors += [
        f"{key} is {value!r}, not a text" for key, value in given.items() if not _is_text(value)
    ]
    value = result.metric_value
    if not isinstance(value, int | float) or not math.isfinite(value):
        errors.append(f"{result.metric_type} is {value!r}, not a finite number")
    return errors


def _is_text(value: object) -> bool:
    """Return whether a value is a text that is not blank."""
    return isinstance(value, str) and bool(value.strip())


def check_hub(cfg: HubConfig, run_name: str, card: str | None = None) -> str:
    """Check, before training, that the run can be published. Online. Main process only.

    Args:
        cfg: Where to publish.
        run_name: The run folder's name, the default of the repository's name.
        card: The card to validate; default: a card with only the licence.

    Returns:
        The repository's id, with its namespace.

    Raises:
        HubError: There is no login, the token has no write access, the name or the licence is not
            valid, or the Hub cannot be reached.
    """
    api, repo_id = HfApi(library_name="audio_cls"), cfg.hub_repo_id or run_name
    try:
        who = retry(api.whoami, attempts=3)
        repo_id = make_repo_id(cfg.hub_repo_id, str(who["name"]), run_name)
        check_rights(who, repo_id, is_request=cfg.create_pr)
        if cfg.create_pr:
            retry(lambda: api.model_info(repo_id), attempts=3)
        if card is None and cfg.license:
            card = f"---\n{json.dumps(make_license_keys(cfg.license))}\n---\n"
        if card is not None:
            retry(ModelCard(card).validate, attempts=3)
    except HubError:
        raise
    except Failure as error:
        if is_outage(error):
            raise HubError(
                f"The Hub cannot be reached ({to_reason(error)}). Train without --push-to-hub and"
                f" publish the run later: {format_command('publish', 'RUN')}"
            ) from error
        if cfg.license and isinstance(error, ValueError) and "license" in str(error):
            raise HubError(
                f"--license {cfg.license} is not a licence id of the Hub. Use one of"
                " https://hf.co/docs/hub/repositories-licenses, such as apache-2.0 or cc-by-4.0."
            ) from error
        if isinstance(error, ValueError) and card is not None:
            raise HubError(
                f"The Hub would refuse the model card of this run: {to_reason(error)}. Change the"
                " setting that is named."
            ) from error
        raise explain_refusal(error, repo_id) from error
    return repo_id


def make_repo_id(given: str | None, user: str, run_name: str) -> str:
    """Return a repository's full id.

    >>> make_repo_id(None, "ann", "my run: 2"), make_repo_id("gtzan", "ann", "x")
    ('ann/my-run-2', 'ann/gtzan')

    Raises:
        HubError: `given` is not a valid id.
    """
    name = _make_name(run_name) if given is None else given
    repo_id = name if "/" in name else f"{user}/{name}"
    if not is_repo_id(repo_id):
        raise HubError(
            f"--hub-repo-id {single_line(given, 120)} is not valid: it must be OWNER/NAME of"
            " letters, digits, '-', '_' and '.'. Try --hub-repo-id"
            f" {user}/{_make_name(name.rpartition('/')[2] or run_name)}"
        )
    return repo_id


def _make_name(text: str) -> str:
    """Return the name of a repository that the Hub allows, from any text."""
    slug = re.sub(r"[^A-Za-z0-9_.]+", "-", text.removesuffix(".git"))
    return re.sub(r"-*\.{2,}-*|-{2,}", "-", slug)[:96].strip("-.") or "audio-classifier"
