"""Parquet copies of script repositories: the Hub's conversion, and copies under other ids."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
from datasets import Dataset, load_dataset
from huggingface_hub import HfApi
from huggingface_hub.errors import RevisionNotFoundError
from huggingface_hub.utils import httpx  # type: ignore[attr-defined] # of its own version

from audio_cls.audio.files import AUDIO_SUFFIXES
from audio_cls.config import DataConfig
from audio_cls.data.sources.dataset_tables import (
    ALL_CONFIGS,
    LOAD_ERRORS,
    choose_config,
    explain_load_error,
    merge_configs,
)
from audio_cls.data.sources.hub_info import cache_info, cached_info, cached_tables
from audio_cls.errors import DatasetError, list_names

logger = logging.getLogger(__name__)


CONVERT_BRANCH = "refs/convert/parquet"  # written by the Hub for script repositories


PARTIAL = "partial-"  # prefix of a split folder there that was cut at 5 GB


ARCHIVE_SUFFIXES = (".tar", ".zip", ".gz", ".tgz", ".7z")


READABLE = (*AUDIO_SUFFIXES, ".parquet", ".arrow")


# CONFIG/SPLIT/0000.parquet, as on that branch.
_CONVERTED = re.compile(r"[^/]+/[^/]+/\d+\.parquet")


@dataclass(frozen=True)
class ParquetCopy:
    """A commit with files CONFIG/SPLIT/0000.parquet."""

    sha: str
    files: tuple[str, ...]


def find_parquet_copy(dataset: str, info: Any) -> ParquetCopy | None:  # noqa: ANN401 (untyped upstream)
    """Return the parquet copy of a repository that `datasets` cannot read, else None.

    Args:
        dataset: Its id.
        info: Its metadata, see `read_info`.

    Raises:
        DatasetError: It needs a copy, and there is none.
    """
    files = [entry.rfilename for entry in info.siblings or [] if entry.rfilename[0] != "."]
    suffixes = {Path(name).suffix.lower() for name in files}
    is_script = any(name.lower() == f"{dataset.split('/')[-1].lower()}.py" for name in files)
    if is_script or (suffixes & set(ARCHIVE_SUFFIXES) and not suffixes & set(READABLE)):
        kind = "a script repository" if is_script else "made of archives"
        copy = _read_convert_branch(dataset, kind)
        logger.info("'%s' is %s: read from %s at %s.", dataset, kind, CONVERT_BRANCH, copy.sha)
        return ParquetCopy(copy.sha, tuple(entry.rfilename for entry in copy.siblings or []))
    if files and all(_CONVERTED.fullmatch(name) for name in files):
        return ParquetCopy(info.sha, tuple(files))
    return None


def _read_convert_branch(dataset: str, kind: str) -> Any:  # noqa: ANN401 (untyped upstream)
    """Return the metadata of the convert branch; from the cache if the Hub cannot be reached."""
    try:
        info = HfApi().dataset_info(dataset, revision=CONVERT_BRANCH)
        cache_info(f"{dataset}@{CONVERT_BRANCH}", info)
        return info
    except RevisionNotFoundError as error:
        advice = suggest_copy(dataset) or " Look for a copy under another id."
        raise DatasetError(
            f"'{dataset}' is {kind}, which datasets {datasets.__version__} cannot load, and the"
            f" Hub has no parquet copy of it.{advice}"
        ) from error
    except (httpx.HTTPError, OSError):
        kept = cached_info(f"{dataset}@{CONVERT_BRANCH}")
        if kept is None:
            raise
        return kept


def read_converted(
    dataset: str, copy: ParquetCopy, cfg: DataConfig
) -> tuple[dict[str, Dataset], str]:
    """Read one configuration of a copy, or all of them. Downloads.

    Returns:
        The tables by split, and the name of the configuration.
    """
    tree = _list_tree(dataset, copy)
    chosen = _choose_converted(dataset, tree, cfg)
    _check_whole(dataset, tree, chosen, cfg)
    tables = {name: load_converted(dataset, tree[name]) for name in chosen}
    if len(tables) == 1:
        return tables[chosen[0]], chosen[0]
    return merge_configs(tables), ALL_CONFIGS


def list_converted(
    dataset: str, copy: ParquetCopy, cfg: DataConfig
) -> tuple[dict[str, list[str]], str]:
    """List the files of each split of one configuration of a copy, or of all of them.

    Returns:
        Split -> hf:// URLs, and the name of the configuration.

    Raises:
        DatasetError: The configuration does not exist, or is not complete.
    """
    tree = _list_tree(dataset, copy)
    chosen = _choose_converted(dataset, tree, cfg)
    _check_whole(dataset, tree, chosen, cfg)
    files: dict[str, list[str]] = {}
    for name in chosen:
        for split, urls in tree[name].items():
            files.setdefault(split.removeprefix(PARTIAL), []).extend(urls)
    return files, chosen[0] if len(chosen) == 1 else ALL_CONFIGS


def _list_tree(dataset: str, copy: ParquetCopy) -> dict[str, dict[str, list[str]]]:
    """Return configuration -> split folder -> URLs of `CONFIG/SPLIT/0000.parquet`."""
    tree: dict[str, dict[str, list[str]]] = {}
    for path in sorted(name for name in copy.files if _CONVERTED.fullmatch(name)):
        config, split, _ = path.split("/")
        url = f"hf://datasets/{dataset}@{copy.sha}/{path}"
        tree.setdefault(config, {}).setdefault(split, []).append(url)
    return tree


def _check_whole(
    dataset: str, tree: dict[str, dict[str, list[str]]], chosen: list[str], cfg: DataConfig
) -> None:
    """Refuse a copy that the Hub cut at 5 GB, unless `--allow-partial` is given.

    `datasets` would merge all configurations, and read a split folder `partial-...` as if it were
    complete.
    """
    cut = [
        f"{name}/{split}" for name in chosen for split in tree[name] if split.startswith(PARTIAL)
    ]
    if cut and not cfg.allow_partial:
        raise DatasetError(
            f"The Hub's parquet copy of '{dataset}' is cut at 5 GB: {list_names(cut)}. Accept a"
            " part of the data set by --allow-partial, or choose another --dataset-config."
            f"{suggest_copy(dataset)}"
        )
    if cut:
        logger.warning("Only a part of the data set is read: %s.", list_names(cut))


def _choose_converted(
    dataset: str, tree: dict[str, dict[str, list[str]]], cfg: DataConfig
) -> list[str]:
    """Choose the configurations to read: one, or all but an incomplete one called `all`."""
    names = list(tree)
    if cfg.dataset_config != ALL_CONFIGS:
        return [choose_config(dataset, names, cfg.dataset_config)]
    is_whole = not any(split.startswith(PARTIAL) for split in tree.get(ALL_CONFIGS, {}))
    others = [name for name in names if name != ALL_CONFIGS]
    if ALL_CONFIGS in tree and (is_whole or not others):
        return [ALL_CONFIGS]
    if not names:
        raise DatasetError(
            f"The Hub's parquet copy of '{dataset}' is empty. Choose another --dataset."
            f"{suggest_copy(dataset)}"
        )
    return others


def load_converted(dataset: str, splits: dict[str, list[str]]) -> dict[str, Dataset]:
    """Load one configuration; an incomplete split gets the name of the complete one."""
    data_files = {split.removeprefix(PARTIAL): urls for split, urls in splits.items()}
    try:
        return cached_tables(
            json.dumps(data_files),  # addresses with the commit in them
            lambda: dict(_load_parquet(data_files)),
        )
    except LOAD_ERRORS as error:
        raise explain_load_error(dataset, None, error) from error


def _load_parquet(data_files: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Load parquet files by `datasets`."""
    return load_dataset("parquet", data_files=data_files)  # nosec B615


# Copies that load without a script, by a part of the original's name. They are from public code and
# documents, and are only suggested, never loaded.
KNOWN_COPIES = {
    "gtzan": "sanchit-gandhi/gtzan",
    "speech_commands": "beeneptune/speech_commands (--dataset-config v0.02)",
    "common_language": "mteb/commonlanguage-lang-mini",
    "common_voice": "fixie-ai/common_voice_17_0 (--dataset-config LANGUAGE)",
    "minds14": "mteb/minds14-multilingual",
    "voxlingua": "mteb/voxlingua107-top10",
    "superb": "s3prl/superb (--dataset-config ks)",
    "esc50": "ashraq/esc50",
    "urbansound": "danavery/urbansound8K",
    "fleurs": "mteb/sib-fleurs-multilingual-mini",
}


def suggest_copy(dataset: str) -> str:
    """Return a sentence on a copy that loads without a script, or an empty string.

    >>> suggest_copy("me/speech_commands_v1")
    ' A copy that loads is --dataset beeneptune/speech_commands (--dataset-config v0.02).'
    """
    name = dataset.split("/")[-1].lower()
    for part, copy in KNOWN_COPIES.items():
        if part in name and copy.split(" ")[0].lower() != dataset.lower():
            return f" A copy that loads is --dataset {copy}."
    return ""
