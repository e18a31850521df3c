"""A checkpoint id -> its files at one commit, quietly; what can go wrong is told in one line."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from transformers.utils import logging as transformers_logging
from transformers.utils.hub import cached_file, extract_commit_hash

from audio_cls.config import ModelConfig
from audio_cls.demo_data import locate_builtin
from audio_cls.errors import ModelError


def locate_checkpoint(cfg: ModelConfig) -> str:
    """Return what to load: the folder of a `builtin:` model, else the id as it is."""
    return str(locate_builtin(cfg.model) or cfg.model)


def pin_commit(cfg: ModelConfig) -> tuple[ModelConfig, str | None]:
    """Find today's commit, so that a push to the repository meanwhile cannot mix versions.

    Returns:
        The settings with that commit as revision, and the commit; None for a folder.

    Raises:
        ModelError: There is no such checkpoint, or the Hub cannot be asked.
    """
    place = locate_checkpoint(cfg)
    if Path(place).is_dir():
        return cfg, None
    try:
        with quiet_transformers():
            file = cached_file(place, "config.json", revision=cfg.model_revision)
    except (OSError, ValueError) as error:
        raise explain_load_error(error, cfg, "config.json") from error
    commit = extract_commit_hash(file, None)
    return replace(cfg, model_revision=commit or cfg.model_revision), commit


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep load report and bars off the screen; what matters of them is logged here."""
    verbosity = transformers_logging.get_verbosity()
    had_bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.CRITICAL)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if had_bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def explain_load_error(error: Exception, cfg: ModelConfig, file: str) -> ModelError:
    """Turn what transformers raised into one sentence; the kinds in its chain tell what it is."""
    name, kinds = f"'{cfg.model}'", set()
    cause: BaseException | None = error
    while cause is not None:
        kinds.add(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason")
    other = "Name another checkpoint with --model."
    if "trust_remote_code" in str(error):
        text = f"{name} needs code from its own repository, which is never run here. {other}"
    elif Path(cfg.model).is_dir():
        text = f"The folder {name} has no {file} that can be used: {reason} {other}"
    elif "HFValidationError" in kinds:
        text = f"There is no folder {name}, and a Hub id looks like 'name/model'. Check --model."
    elif "GatedRepoError" in kinds:
        page = f"https://huggingface.co/{cfg.model}"
        text = f"{name} is gated: accept its terms at {page}, then run 'hf auth login'."
    elif "RevisionNotFoundError" in kinds:
        revision = f"branch, tag or commit '{cfg.model_revision}'"
        text = f"{name} has no {revision}. Check --model-revision."
    elif "RepositoryNotFoundError" in kinds:
        text = (
            f"{name} is neither a folder nor on the Hub. Check --model; "
            "if it is private, run 'hf auth login' first."
        )
    elif kinds & {"LocalEntryNotFoundError", "OfflineModeIsEnabled", "HfHubHTTPError"}:
        text = (
            f"The Hub cannot be reached for {file} of {name}, which is not in the cache either. "
            "Try again later, or give --model a folder."
        )
    else:
        text = f"{name} has no {file} that can be used: {reason} {other}"
    return ModelError(text)
