"""A repository on the Hub -> tables, at one pinned commit.

Three kinds: parquet (and other tables) by `datasets`; plain audio files as a folder; a script
repository, which `datasets` no longer runs, through the parquet copy on its convert branch.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import datasets
from datasets import load_dataset
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import httpx  # type: ignore[attr-defined] # of its own version

from audio_cls.config import DataConfig
from audio_cls.data.folder import read_class_folders
from audio_cls.data.found import AUDIO_SUFFIXES, TABLE_SUFFIXES, Found, explain_load_error
from audio_cls.errors import DatasetError, list_names, suggest_name

CONVERT_BRANCH = "refs/convert/parquet"  # written by the Hub for script repositories
_CONVERTED = re.compile(
    r"[^/]+/[^/]+/\d+\.parquet"
)  # CONFIG/SPLIT/0000.parquet, as that branch has

logger = logging.getLogger(__name__)


def read_repository(dataset: str, cfg: DataConfig) -> Found:
    """Open a data set of the Hub at one pinned commit. Downloads.

    Raises:
        DatasetError: It does not exist, is gated, has several configurations, cannot be read, or
            the Hub cannot be reached.
    """
    info = read_info(dataset, cfg.dataset_revision)
    files = [entry.rfilename.lower() for entry in info.siblings or []]
    license_id = info.card_data.get("license") if info.card_data is not None else None
    license_id = license_id if isinstance(license_id, str) else None
    if f"{dataset.split('/')[-1].lower()}.py" in files:
        sha = _find_convert_branch(dataset)
        logger.info("'%s' is a script repository: read from %s.", dataset, CONVERT_BRANCH)
        return _read_converted(dataset, sha, cfg.dataset_config, license_id)
    if files and all(_CONVERTED.fullmatch(name) for name in files if not name.startswith(".")):
        return _read_converted(dataset, info.sha, cfg.dataset_config, license_id)
    has_tables = any(name.endswith(TABLE_SUFFIXES) for name in files)
    if not has_tables and any(name.endswith(AUDIO_SUFFIXES) for name in files):
        folder = _download_clips(dataset, info.sha)
        clips = sorted(path for path in folder.rglob("*") if path.is_file())
        return Found(read_class_folders(folder, clips), info.sha, None, license_id)
    try:
        splits = load_dataset(dataset, cfg.dataset_config, revision=info.sha)
    except (ValueError, OSError, RuntimeError) as error:
        raise explain_load_error(dataset, error) from error
    return Found(splits, info.sha, cfg.dataset_config, license_id)


def read_info(dataset: str, revision: str | None) -> Any:  # noqa: ANN401 (untyped upstream)
    """Ask the Hub for a data set's commit, files and card.

    Raises:
        DatasetError: It does not exist, is gated, or the Hub cannot be reached.
    """
    page = f"https://huggingface.co/datasets/{dataset}"
    try:
        return HfApi().dataset_info(dataset, revision=revision)
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
            " Check the spelling; for a private one run: hf auth login"
        )
        raise DatasetError(text) from error
    except (httpx.HTTPError, OSError) as error:
        text = (
            f"There is no folder '{dataset}', and the Hub cannot be asked for it"
            f" ({type(error).__name__}). Check the network, or give a folder."
        )
        raise DatasetError(text) from error
    except ValueError as error:  # not of the form owner/name
        text = f"'{dataset}' is neither a folder nor a Hub id (owner/name). Check the spelling."
        raise DatasetError(text) from error


def choose_config(dataset: str, names: list[str], wanted: str | None) -> str:
    """Return the wanted configuration, else the only one.

    Raises:
        DatasetError: It does not exist, or there are several to choose from.
    """
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted in names:
        return str(wanted)
    if wanted is None:
        problem, hint = "has several configurations", ""
    else:
        problem, hint = f"has no configuration '{wanted}'", suggest_name(wanted, names)
    choices = list_names(names)
    raise DatasetError(f"'{dataset}' {problem}: choose --dataset-config of {choices}.{hint}")


def _download_clips(dataset: str, revision: str) -> Path:
    """Fetch a repository of plain audio files and return its local folder. Downloads."""
    patterns = [f"*{suffix}" for suffix in AUDIO_SUFFIXES]
    patterns += [pattern.upper() for pattern in patterns]
    where = snapshot_download(
        dataset, repo_type="dataset", revision=revision, allow_patterns=patterns
    )
    return Path(where)


def _find_convert_branch(dataset: str) -> str:
    """Return the commit of the parquet copy that the Hub made of a script repository."""
    try:
        return str(HfApi().dataset_info(dataset, revision=CONVERT_BRANCH).sha)
    except RevisionNotFoundError as error:
        raise DatasetError(
            f"'{dataset}' is a script repository, which datasets {datasets.__version__} cannot run,"
            " and the Hub holds no parquet copy of it. Look for a copy under another id."
        ) from error


def _read_converted(dataset: str, sha: str, wanted: str | None, license_id: str | None) -> Found:
    """Read `CONFIG/SPLIT/0000.parquet` at one commit of the convert branch. Downloads.

    `datasets` would merge all configurations into one and read a split folder named `partial-...`
    (a copy cut at 5 GB) as if it were whole; here one configuration is chosen, and it is whole.
    """
    tree = HfApi().list_repo_tree(dataset, repo_type="dataset", revision=sha, recursive=True)
    files = sorted(entry.path for entry in tree if isinstance(entry, RepoFile))
    parts = [path.split("/") for path in files if _CONVERTED.fullmatch(path)]
    config = choose_config(dataset, sorted({own for own, _, _ in parts}), wanted)
    splits: dict[str, list[str]] = {}
    for own, split, name in parts:
        if own == config:
            url = f"hf://datasets/{dataset}@{sha}/{own}/{split}/{name}"
            splits.setdefault(split, []).append(url)
    partial = [name for name in splits if name.startswith("partial-")]
    if partial:
        raise DatasetError(
            f"The Hub's parquet copy of '{dataset}' ({config}) is cut: {list_names(partial)}."
            " A part is not the data set; look for a whole copy under another id."
        )
    return Found(load_dataset("parquet", data_files=splits), sha, config, license_id)
