"""Warn when a checkpoint's card lists the data set among its training data."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import yaml
from huggingface_hub import HfApi, metadata_load
from huggingface_hub.utils import httpx  # type: ignore[attr-defined] # of its own version

from audio_cls.config import ModelConfig
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.demo_data import locate_builtin

logger = logging.getLogger(__name__)


MIN_NAME_LENGTH = 5  # characters; shorter names are compared as a whole


def warn_if_pretrained_on(source: LoadedDataset, cfg: ModelConfig) -> None:
    """Warn when the checkpoint's card lists this data set as training data. Uses the Hub.

    Nothing is logged if the card cannot be read, or if training starts from random weights.
    """
    if cfg.from_scratch:
        return
    listed = [name for name in read_card_datasets(cfg) if is_same_dataset(name, source)]
    if listed:
        logger.warning(
            "The card of '%s' lists '%s' in its training data: test clips of '%s' may have been"
            " used in pretraining, so the test score may be too high.",
            *(cfg.model, listed[0], source.name),
        )


def read_card_datasets(cfg: ModelConfig) -> list[str]:
    """Return the `datasets:` of a checkpoint's card, of its folder or on the Hub; else []."""
    folder = locate_builtin(cfg.model) or Path(cfg.model).expanduser()
    try:
        if folder.is_dir():
            header = metadata_load(folder / "README.md") or {}
        else:
            card = HfApi().model_info(cfg.model, revision=cfg.model_revision).card_data
            header = {"datasets": getattr(card, "datasets", None)}
    except (OSError, ValueError, httpx.HTTPError, yaml.YAMLError):
        return []
    listed = header.get("datasets") or []
    return [str(name) for name in ([listed] if isinstance(listed, str) else listed)]


def is_same_dataset(listed: str, source: LoadedDataset) -> bool:
    """Return True if a card's data set is this one, or a copy of it by another owner.

    Names are compared without owner and punctuation; `gtzan` is also found in `gtzan-genre`.
    """
    names = [re.sub(r"[^a-z0-9]", "", n.split("/")[-1].lower()) for n in (listed, source.name)]
    shorter, longer = sorted(names, key=len)
    if source.is_local or len(shorter) < MIN_NAME_LENGTH:
        return shorter == longer
    return shorter in longer
