"""A repository on the Hub -> tables, at one pinned commit.

Three kinds: parquet (and other tables) by `datasets`; plain audio files as a folder; scripts, which
`datasets` no longer runs, and archives through the parquet copy on the repository's convert branch.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import datasets
from datasets import Dataset, get_dataset_config_names, load_dataset
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import httpx  # type: ignore[attr-defined] # of its own version

from audio_cls.config import DataConfig
from audio_cls.data.sources.dataset_tables import (
    ALL_CONFIGS,
    AUDIO_SUFFIXES,
    LOAD_ERRORS,
    Found,
    choose_config,
    explain_load_error,
    holds_sound,
    merge_configs,
)
from audio_cls.data.sources.hub_info import keep_info, list_kept, load_kept, recall_info
from audio_cls.data.sources.local import read_folder
from audio_cls.data.sources.parquet.known_copies import suggest_copy
from audio_cls.data.sources.tables.path_tables import ROW_SUFFIXES
from audio_cls.errors import DatasetError, list_names

CONVERT_BRANCH = "refs/convert/parquet"  # written by the Hub for script repositories
PARTIAL = "partial-"  # prefix of a split folder there that was cut at 5 GB
ARCHIVE_SUFFIXES = (".tar", ".zip", ".gz", ".tgz", ".7z")
READABLE = (*AUDIO_SUFFIXES, ".parquet", ".arrow")
# CONFIG/SPLIT/0000.parquet, as that branch has it.
_CONVERTED = re.compile(r"[^/]+/[^/]+/\d+\.parquet")

logger = logging.getLogger(__name__)


def read_repository(dataset: str, cfg: DataConfig) -> Found:
    """Open a data set of the Hub at one pinned commit. Downloads.

    Raises:
        DatasetError: It does not exist, is gated, has several configurations, cannot be read, or
            the Hub cannot be reached.
    """
    info = read_info(dataset, cfg.dataset_revision)
    files = [entry.rfilename for entry in info.siblings or [] if entry.rfilename[0] != "."]
    suffixes = {Path(name).suffix.lower() for name in files}
    license_id = info.card_data.get("license") if info.card_data is not None else None
    license_id = license_id if isinstance(license_id, str) else None
    copy = find_copy(dataset, info)
    if copy is not None:
        splits, config = _read_converted(dataset, copy, cfg)
        return Found(splits, copy.sha, config, license_id)
    if suffixes & set(AUDIO_SUFFIXES) and not any(map(holds_sound, files)):
        found = read_folder(_download_clips(dataset, info.sha), cfg)
        return replace(found, revision=info.sha, config=None, license=license_id)
    return Found(_load_tables(dataset, info.sha, cfg), info.sha, cfg.dataset_config, license_id)


@dataclass(frozen=True)
class Copy:
    """A commit laid out as CONFIG/SPLIT/0000.parquet."""

    sha: str
    files: tuple[str, ...]


def find_copy(dataset: str, info: Any) -> Copy | None:  # noqa: ANN401 (untyped upstream)
    """Return the parquet copy of a repository that cannot be read itself, else None.

    Args:
        dataset: Its id.
        info: What the Hub says of it.

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
        return Copy(copy.sha, tuple(entry.rfilename for entry in copy.siblings or []))
    if files and all(_CONVERTED.fullmatch(name) for name in files):
        return Copy(info.sha, tuple(files))
    return None


def read_info(dataset: str, revision: str | None) -> Any:  # noqa: ANN401 (untyped upstream)
    """Ask the Hub for a data set's commit, files and card.

    Raises:
        DatasetError: It does not exist, is gated, or the Hub cannot be reached.
    """
    page = f"https://huggingface.co/datasets/{dataset}"
    try:
        info = HfApi().dataset_info(dataset, revision=revision)
        if info.gated:  # described to everybody, but its files are not for everybody
            HfApi().auth_check(dataset, repo_type="dataset")
        keep_info(f"{dataset}@{revision}", info)
    except GatedRepoError as error:
        text = f"'{dataset}' is gated. Accept its terms at {page}, then run: hf auth login"
        raise DatasetError(text) from error
    except RevisionNotFoundError as error:
        text = (
            f"'{dataset}' has no revision '{revision}'. Its branches are listed at {page}/tree/main"
        )
        raise DatasetError(text) from error
    except RepositoryNotFoundError as error:
        text = (
            f"There is no data set '{dataset}': neither a folder here nor a public id on the Hub."
            f" Check the spelling; for a private one run: hf auth login.{suggest_copy(dataset)}"
        )
        raise DatasetError(text) from error
    except (httpx.HTTPError, OSError) as error:
        kept = recall_info(f"{dataset}@{revision}")
        if kept is not None:
            logger.warning(
                "The Hub cannot be asked (%s): '%s' is read from the cache, at revision %s.",
                *(type(error).__name__, dataset, kept.sha),
            )
            return kept
        text = (
            f"There is no folder '{dataset}', and the Hub cannot be asked for it"
            f" ({type(error).__name__}). Check the network, or give a folder."
        )
        raise DatasetError(text) from error
    except ValueError as error:  # not of the form owner/name
        text = f"'{dataset}' is neither a folder nor a Hub id (owner/name). Check the spelling."
        raise DatasetError(text) from error
    return info


def _download_clips(dataset: str, revision: str) -> Path:
    """Fetch a repository of audio files, with tables that list them. Downloads."""
    patterns = [f"*{suffix}" for suffix in (*AUDIO_SUFFIXES, *ROW_SUFFIXES)]
    patterns += [pattern.upper() for pattern in patterns]
    where = snapshot_download(
        dataset, repo_type="dataset", revision=revision, allow_patterns=patterns
    )
    return Path(where)


def _load_tables(dataset: str, sha: str, cfg: DataConfig) -> dict[str, Dataset]:
    """Let `datasets` read one configuration, or all of them when that is asked for."""
    wanted = cfg.dataset_config
    try:
        if wanted == ALL_CONFIGS:
            key = f"{dataset}@{sha}"
            names = list_kept(key, lambda: get_dataset_config_names(dataset, revision=sha))
            if ALL_CONFIGS not in names:
                return merge_configs({name: _load_config(dataset, sha, name) for name in names})
        return _load_config(dataset, sha, wanted)
    except DatasetError:
        raise
    except LOAD_ERRORS as error:
        raise explain_load_error(dataset, wanted, error) from error


def _load_config(dataset: str, sha: str, config: str | None) -> dict[str, Dataset]:
    """Load one configuration at one commit, from the cache where it lies there."""
    return load_kept(
        f"{dataset}@{sha}/{config}", lambda: dict(load_dataset(dataset, config, revision=sha))
    )


def _read_convert_branch(dataset: str, kind: str) -> Any:  # noqa: ANN401 (untyped upstream)
    """Describe the parquet copy that the Hub made of a repository that cannot be read itself."""
    try:
        info = HfApi().dataset_info(dataset, revision=CONVERT_BRANCH)
        keep_info(f"{dataset}@{CONVERT_BRANCH}", info)
        return info
    except RevisionNotFoundError as error:
        advice = suggest_copy(dataset) or " Look for a copy under another id."
        raise DatasetError(
            f"'{dataset}' is {kind}, which datasets {datasets.__version__} cannot read by itself,"
            f" and the Hub holds no parquet copy of it.{advice}"
        ) from error
    except (httpx.HTTPError, OSError):
        kept = recall_info(f"{dataset}@{CONVERT_BRANCH}")
        if kept is None:
            raise
        return kept


def _read_converted(dataset: str, copy: Copy, cfg: DataConfig) -> tuple[dict[str, Dataset], str]:
    """Read one configuration of a copy, or all of them. Downloads.

    Returns:
        The tables by split, and the configuration's name.
    """
    tree = _list_tree(dataset, copy)
    chosen = _choose_converted(dataset, tree, cfg)
    _check_whole(dataset, tree, chosen, cfg)
    tables = {name: load_converted(dataset, tree[name]) for name in chosen}
    if len(tables) == 1:
        return tables[chosen[0]], chosen[0]
    return merge_configs(tables), ALL_CONFIGS


def list_converted(dataset: str, copy: Copy, cfg: DataConfig) -> tuple[dict[str, list[str]], str]:
    """List the files of each split of one configuration of a copy, or of all of them.

    Returns:
        Split -> hf:// addresses, and the configuration's name.

    Raises:
        DatasetError: The configuration does not exist, or was cut.
    """
    tree = _list_tree(dataset, copy)
    chosen = _choose_converted(dataset, tree, cfg)
    _check_whole(dataset, tree, chosen, cfg)
    files: dict[str, list[str]] = {}
    for name in chosen:
        for split, urls in tree[name].items():
            files.setdefault(split.removeprefix(PARTIAL), []).extend(urls)
    return files, chosen[0] if len(chosen) == 1 else ALL_CONFIGS


def _list_tree(dataset: str, copy: Copy) -> dict[str, dict[str, list[str]]]:
    """Return configuration -> split folder -> addresses of `CONFIG/SPLIT/0000.parquet`."""
    tree: dict[str, dict[str, list[str]]] = {}
    for path in sorted(name for name in copy.files if _CONVERTED.fullmatch(name)):
        config, split, _ = path.split("/")
        url = f"hf://datasets/{dataset}@{copy.sha}/{path}"
        tree.setdefault(config, {}).setdefault(split, []).append(url)
    return tree


def _check_whole(
    dataset: str, tree: dict[str, dict[str, list[str]]], chosen: list[str], cfg: DataConfig
) -> None:
    """Refuse a copy that was cut at 5 GB unless a part is allowed.

    `datasets` would merge all configurations into one and read a split folder named `partial-...`
    as if it were whole; here a configuration is chosen, and it is whole.
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
    """Choose the configurations to read: one, or every one but a cut sum of them called `all`."""
    names = list(tree)
    if cfg.dataset_config != ALL_CONFIGS:
        return [choose_config(dataset, names, cfg.dataset_config)]
    is_whole = not any(split.startswith(PARTIAL) for split in tree.get(ALL_CONFIGS, {}))
    others = [name for name in names if name != ALL_CONFIGS]
    if ALL_CONFIGS in tree and (is_whole or not others):
        return [ALL_CONFIGS]
    if not names:
        raise DatasetError(
            f"The Hub's parquet copy of '{dataset}' is empty.{suggest_copy(dataset)}"
        )
    return others


def load_converted(dataset: str, splits: dict[str, list[str]]) -> dict[str, Dataset]:
    """Load one configuration; a part of a split gets the name of the whole."""
    data_files = {split.removeprefix(PARTIAL): urls for split, urls in splits.items()}
    try:
        return load_kept(
            json.dumps(data_files), lambda: dict(load_dataset("parquet", data_files=data_files))
        )
    except LOAD_ERRORS as error:
        raise explain_load_error(dataset, None, error) from error
