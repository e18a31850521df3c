"""Download a checkpoint's files at one commit; failures as one-line errors."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported lazily
    are_progress_bars_disabled,
    enable_progress_bars,
    httpx,  # of its own version
)
from safetensors import SafetensorError
from transformers.dynamic_module_utils import get_relative_import_files
from transformers.utils import logging as transformers_logging
from transformers.utils.hub import cached_file, extract_commit_hash

from audio_cls.config import ModelConfig
from audio_cls.demo_data import locate_builtin
from audio_cls.errors import ModelError, list_names
from audio_cls.run_warnings import warn

# Raised by transformers for files that it cannot read, and by the client of the Hub.
LOAD_ERRORS = (OSError, ValueError, ImportError, SafetensorError, httpx.HTTPError)

logger = logging.getLogger(__name__)


def locate_checkpoint(cfg: ModelConfig) -> str:
    """Return what to load from: the folder of a `builtin:` model, else the id as it is.

    A repository whose code is trusted is downloaded as a whole, at its pinned commit: only code of
    that folder is run.

    Raises:
        ModelError: There is no such repository, or its code is in another repository.
    """
    place = str(locate_builtin(cfg.model) or cfg.model)
    if not cfg.trust_remote_code:
        return place
    if not Path(place).is_dir():
        weights = [] if cfg.from_scratch else ["*.safetensors", "*.bin"]
        try:
            with quiet_transformers():
                wanted = ["*.json", "*.py", *weights]
                place = snapshot_download(place, revision=cfg.model_revision, allow_patterns=wanted)
        except LOAD_ERRORS as error:
            raise explain_load_error(error, cfg, "config.json") from error
    _refuse_foreign_code(cfg, Path(place))
    return place


def list_code(place: Path) -> list[Path]:
    """Return the code files of a checkpoint's folder: those of `auto_map`, and their imports.

    They are listed, not run.
    """
    modules = {str(name).split(".")[0] for name in _read_code_names(place)}
    files = [place / f"{module}.py" for module in sorted(modules)]
    found = [file for file in files if file.is_file()]
    helpers = [Path(other) for file in found for other in get_relative_import_files(file)]
    return list(dict.fromkeys([*found, *helpers]))


def _refuse_foreign_code(cfg: ModelConfig, place: Path) -> None:
    """Refuse code of another repository: its commit is not pinned.

    Raises:
        ModelError: `auto_map` names a class of another repository.
    """
    foreign = next((name for name in _read_code_names(place) if "--" in name), None)
    if foreign is not None:
        raise ModelError(
            f"'{cfg.model}' uses code of another repository, {foreign.split('--')[0]}, whose"
            " commit is not pinned. Download both into one folder, name the files in its"
            " auto_map, and give that folder as the model."
        )


def _read_code_names(place: Path) -> list[str]:
    """Return the classes, as module.Class, in the `auto_map` of a folder's configurations."""
    names: list[str] = []
    for file in ("config.json", "preprocessor_config.json", "processor_config.json"):
        try:
            content = json.loads((place / file).read_text("utf-8"))
        except (OSError, ValueError):
            continue  # loading it raises the error
        found = content.get("auto_map") if isinstance(content, dict) else None
        values = found.values() if isinstance(found, dict) else ()
        for value in values:
            parts = value if isinstance(value, list) else [value]
            names += [part for part in parts if isinstance(part, str)]
    return names


def pin_commit(cfg: ModelConfig) -> tuple[ModelConfig, str | None]:
    """Find the commit, so that a push to the repository in the meantime cannot mix versions.

    Returns:
        The settings with the commit as revision, and the commit; None for a folder.

    Raises:
        ModelError: There is no such checkpoint, or the Hub cannot be reached.
    """
    place = str(locate_builtin(cfg.model) or cfg.model)
    if Path(place).is_dir():
        if cfg.model_revision is not None:
            warn(logger, "--model-revision has no effect: the model is a local folder.")
        return replace(cfg, model_revision=None), None
    try:
        with quiet_transformers():
            file = cached_file(place, "config.json", revision=cfg.model_revision)
    except LOAD_ERRORS as error:
        raise explain_load_error(error, cfg, "config.json") from error
    commit = extract_commit_hash(file, None)
    return replace(cfg, model_revision=commit or cfg.model_revision), commit


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Switch off the logs and progress bars of transformers, but not the bars of downloads."""
    verbosity = transformers_logging.get_verbosity()
    had_bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.CRITICAL)
    had_download_bars = not are_progress_bars_disabled()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if had_download_bars:  # transformers switches them off as well
        enable_progress_bars()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if had_bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


# Exceptions of huggingface_hub whose cause is clear.
KNOWN_CAUSES = {
    *("HFValidationError", "GatedRepoError", "RevisionNotFoundError", "RepositoryNotFoundError"),
    *("LocalEntryNotFoundError", "OfflineModeIsEnabled", "HfHubHTTPError"),
}


def _explain_no_network(cfg: ModelConfig, file: str) -> str:
    """Return the text for a checkpoint that is neither here nor in the cache, without a network."""
    if cfg.model == ModelConfig.model:  # it may not have been given
        return (
            f"The default of --model, '{cfg.model}', is not in the cache, and the Hub cannot be"
            f" reached for its {file}. Check the network, or give a local checkpoint as --model."
        )
    return (
        f"There is no folder '{cfg.model}', and the Hub cannot be reached for its {file}, which is"
        " not in the cache. Check the name and the network."
    )


def explain_load_error(error: Exception, cfg: ModelConfig, file: str) -> ModelError:
    """Turn an error of transformers into one sentence, by the exception types in its chain."""
    name, kinds = f"'{cfg.model}'", _list_types(error)
    if not kinds & KNOWN_CAUSES:
        kinds |= _list_types(_fetch_again(cfg, file))
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason")
    other = "Choose another model."
    if "trust_remote_code" in str(error):
        text = explain_remote_code(cfg)
    elif Path(cfg.model).is_dir() and file.endswith(".json") and not Path(cfg.model, file).exists():
        text = _explain_missing_file(cfg.model, file)
    elif Path(cfg.model).is_dir():
        text = f"The folder {name} has no {file} that can be used: {reason} {other}"
        text = _explain_missing_weights(Path(cfg.model), file) or text
    elif "HFValidationError" in kinds:
        text = f"There is no folder {name}, and a Hub id looks like 'name/model'. Check the name."
    elif "GatedRepoError" in kinds:
        page = f"https://huggingface.co/{cfg.model}"
        text = f"{name} is gated: accept its terms at {page}, then run 'hf auth login'."
    elif "RevisionNotFoundError" in kinds:
        revision = f"branch, tag or commit '{cfg.model_revision}'"
        text = f"{name} has no {revision}. Check the revision."
    elif "RepositoryNotFoundError" in kinds:
        text = (
            f"{name} is neither a folder nor on the Hub. Check the name; "
            "if it is private, run 'hf auth login' first."
        )
    elif isinstance(error, httpx.HTTPError) or kinds & {
        *("LocalEntryNotFoundError", "OfflineModeIsEnabled", "HfHubHTTPError")
    }:
        text = _explain_no_network(cfg, file)
    else:
        text = f"{name} has no {file} that can be used: {reason} {other}"
    return ModelError(text)


def _explain_missing_weights(folder: Path, file: str) -> str:
    """Return the message for a folder with a config.json alone; empty where it has weights."""
    if file.endswith(".json") or any(folder.glob("*.safetensors")) or any(folder.glob("*.bin")):
        return ""
    return (
        f"The folder '{folder}' has a config.json and no weights (model.safetensors). Give the"
        " folder of a finished run, or another model with weights."
    )


def _explain_missing_file(folder: str, file: str) -> str:
    """Return the message for a folder without a model, which may have folders with models."""
    models = sorted(path.parent.name for path in Path(folder).glob(f"*/{file}"))
    advice = f"Its folders {list_names(models)} have one: give one of them."
    if len(models) == 1:
        advice = f"Its folder {models[0]} has one: give '{Path(folder, models[0])}'."
    return (
        f"The folder '{folder}' has no {file}, which an audio model needs."
        f" {advice if models else 'Choose another model.'}"
    )


def _list_types(error: BaseException | None) -> set[str]:
    """Return the names of the types of an error and of its causes, which may form a circle."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return {type(one).__name__ for one in chain}


def _fetch_again(cfg: ModelConfig, file: str) -> Exception | None:
    """Return why a file of a repository cannot be read: loaders of transformers may hide it."""
    if Path(cfg.model).is_dir():
        return None
    try:
        with quiet_transformers():
            cached_file(cfg.model, file, revision=cfg.model_revision)
    except LOAD_ERRORS as error:
        return error
    return None


def explain_remote_code(cfg: ModelConfig) -> str:
    """Return the message for a checkpoint whose code is not trusted."""
    return (
        f"'{cfg.model}' needs code from its own repository, which is not run without "
        "permission. Read that code; to run it, add --trust-remote-code, and for a Hub id the "
        "commit that you read as its revision."
    )
