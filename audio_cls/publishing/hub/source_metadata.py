"""Licence and languages of the source data set and of the base model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from huggingface_hub import HfApi

from audio_cls.publishing.hub.retry import Failure
from audio_cls.publishing.run_record import is_repo_id


def read_card_key(source: Mapping[str, Any], key: str, repo_type: str) -> object:
    """Ask the Hub what a model's or data set's card says; None when it does not tell.

    Args:
        source: Its `id`, `revision` and `is_local`; a folder has no card.
        key: "license" or "language".
        repo_type: "model" or "dataset".
    """
    name = source.get("id")
    if source.get("is_local") or not (isinstance(name, str) and is_repo_id(name)):
        return None
    try:
        info = HfApi(library_name="audio_cls").repo_info(
            name, revision=source.get("revision"), repo_type=repo_type, timeout=10
        )
    except Failure:
        return None
    card = getattr(info, "card_data", None)
    return card.get(key) if card else None


def add_license(source: Mapping[str, Any]) -> dict[str, Any]:
    """Add the licence that the Hub tells to the `model` part of results.json. Asks the Hub."""
    found = read_card_key(source, "license", "model")
    return {**source, "license": found if isinstance(found, str) else None}


def add_languages(source: Mapping[str, Any]) -> dict[str, Any]:
    """Add the languages that the Hub tells to the `dataset` part of results.json. Asks the Hub."""
    found = read_card_key(source, "language", "dataset")
    codes = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    return {**source, "language": [code for code in codes if isinstance(code, str)]}
