"""Licence and languages of the source data set and of the base model."""

from __future__ import annotations

import dataclasses

from huggingface_hub import HfApi

from audio_cls.publishing.hub.retry import Failure
from audio_cls.publishing.run_record import read_hub_id
from audio_cls.runs.results import DatasetDescription, ModelDescription


def read_card_key(
    source: DatasetDescription | ModelDescription, key: str, repo_type: str
) -> object:
    """Return a key of a model's or data set's card on the Hub, None where it has none. Online.

    Args:
        source: The data set or model; a folder has no card.
        key: "license" or "language".
        repo_type: "model" or "dataset".
    """
    name = read_hub_id(source)
    if name is None:
        return None
    try:
        info = HfApi(library_name="audio_cls").repo_info(
            name, revision=source.revision, repo_type=repo_type, timeout=10
        )
    except Failure:
        return None
    card = getattr(info, "card_data", None)
    return card.get(key) if card else None


def add_license(source: ModelDescription) -> ModelDescription:
    """Return the `model` part of results.json with the licence of the model's card. Online."""
    found = read_card_key(source, "license", "model")
    return dataclasses.replace(source, license=found if isinstance(found, str) else None)


def add_languages(source: DatasetDescription) -> DatasetDescription:
    """Return the `dataset` part of results.json with the languages of the card. Online."""
    found = read_card_key(source, "language", "dataset")
    codes = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    return dataclasses.replace(source, language=[code for code in codes if isinstance(code, str)])
