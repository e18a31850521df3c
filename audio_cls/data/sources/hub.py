"""HubSource: a data set repository of the Hub, at one commit.

`datasets` loads parquet and other tables; a repository of audio files is downloaded and read as a
folder. Script repositories, which `datasets` no longer runs, and archives are read from the parquet
copy on the repository's convert branch.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from datasets import Dataset, get_dataset_config_names, load_dataset
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import httpx  # type: ignore[attr-defined] # of its own version

from audio_cls.audio.files import AUDIO_SUFFIXES, is_audio_path, suggest_path
from audio_cls.config import DataConfig
from audio_cls.data.sources.dataset_tables import (
    ALL_CONFIGS,
    LOAD_ERRORS,
    explain_load_error,
    holds_audio,
    merge_configs,
)
from audio_cls.data.sources.hub_info import (
    cache_info,
    cached_config_names,
    cached_info,
    cached_tables,
    read_license,
)
from audio_cls.data.sources.local_folder import read_folder
from audio_cls.data.sources.parquet.hub_copy import find_parquet_copy, read_converted, suggest_copy
from audio_cls.data.sources.source import LoadedTables
from audio_cls.data.sources.tables.table_files import ROW_SUFFIXES
from audio_cls.errors import DatasetError

ATTEMPTS = 3  # of a download; the client itself repeats some of its requests

logger = logging.getLogger(__name__)


class HubSource:
    """A repository `OWNER/NAME` of the Hub."""

    def matches(self, dataset: str, cfg: DataConfig) -> bool:
        """Return True: an id that no other source loads is one of the Hub."""
        return True

    def load(self, dataset: str, cfg: DataConfig) -> LoadedTables:
        """Open a repository at one commit. Downloads.

        Raises:
            DatasetError: It does not exist, is gated, has several configurations, cannot be read,
                or the Hub cannot be reached.
        """
        info = read_info(dataset, cfg.dataset_revision)
        license_id = read_license(info)
        copy = find_parquet_copy(dataset, info)
        if copy is not None:
            splits, config = read_converted(dataset, copy, cfg)
            return LoadedTables(splits, copy.sha, config, license_id, is_local=False)
        files = [entry.rfilename for entry in info.siblings or [] if entry.rfilename[0] != "."]
        if any(map(is_audio_path, files)) and not any(map(holds_audio, files)):
            tables = read_folder(_download_clips(dataset, info.sha), cfg)
            return replace(
                tables, revision=info.sha, config=None, license=license_id, is_local=False
            )
        splits = _load_tables(dataset, info.sha, cfg)
        return LoadedTables(splits, info.sha, cfg.dataset_config, license_id, is_local=False)


def read_info(dataset: str, revision: str | None) -> Any:  # noqa: ANN401 (untyped upstream)
    """Return commit, files and card of a data set; from the cache if the Hub cannot be reached.

    Raises:
        DatasetError: It does not exist, is gated, or is not cached and the Hub cannot be reached.
    """
    page = f"https://huggingface.co/datasets/{dataset}"
    try:
        info = HfApi().dataset_info(dataset, revision=revision)
        if info.gated:  # the description is public, the files are not
            HfApi().auth_check(dataset, repo_type="dataset")
        cache_info(f"{dataset}@{revision}", info)
    except GatedRepoError as error:
        text = f"'{dataset}' is gated. Accept its terms at {page}, then run: hf auth login"
        raise DatasetError(text) from error
    except RevisionNotFoundError as error:
        text = (
            f"'{dataset}' has no revision '{revision}'. Choose a branch, tag or commit of"
            f" {page}/tree/main"
        )
        raise DatasetError(text) from error
    except RepositoryNotFoundError as error:
        text = (
            f"There is no data set '{dataset}': neither a folder here nor a public id on the Hub."
            f" Check the spelling; for a private one run: hf auth login."
            f"{suggest_copy(dataset) or suggest_path(Path(dataset))}"
        )
        raise DatasetError(text) from error
    except (httpx.HTTPError, OSError) as error:
        kept = cached_info(f"{dataset}@{revision}")
        if kept is not None:
            logger.warning(
                "The Hub cannot be reached (%s): '%s' is read from the cache, revision %s.",
                *(type(error).__name__, dataset, kept.sha),
            )
            return kept
        text = (
            f"There is no folder '{dataset}', and the Hub cannot be reached"
            f" ({type(error).__name__}). Check the network, or give a folder."
            f"{suggest_path(Path(dataset))}"
        )
        raise DatasetError(text) from error
    except ValueError as error:  # not of the form owner/name
        text = f"'{dataset}' is neither a folder nor a Hub id (owner/name). Check the spelling."
        raise DatasetError(text) from error
    return info


def _download_clips(dataset: str, revision: str) -> Path:
    """Download the audio files of a repository, and tables that list them."""
    patterns = [f"*{suffix}" for suffix in (*AUDIO_SUFFIXES, *ROW_SUFFIXES)]
    return download_files(dataset, revision, [*patterns, *(one.upper() for one in patterns)])


def download_files(dataset: str, revision: str | None, patterns: list[str]) -> Path:
    """Download files of a repository, at most `ATTEMPTS` times; return their folder.

    Files that have arrived are kept and not asked for again.

    Raises:
        DatasetError: The Hub refuses, or failed at each attempt.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return Path(
                snapshot_download(
                    dataset, repo_type="dataset", revision=revision, allow_patterns=patterns
                )
            )
        except (httpx.HTTPError, OSError, ValueError) as error:
            if attempt == ATTEMPTS or isinstance(error, OfflineModeIsEnabled):
                raise explain_load_error(dataset, None, error) from error
            logger.info(
                "'%s' could not be downloaded completely (%s); it is tried again.",
                *(dataset, type(error).__name__),
            )
            time.sleep(2**attempt)
    raise AssertionError("unreachable")


def _load_tables(dataset: str, sha: str, cfg: DataConfig) -> dict[str, Dataset]:
    """Load one configuration by `datasets`, or all of them if the settings ask for it."""
    wanted = cfg.dataset_config
    try:
        if wanted == ALL_CONFIGS:
            key = f"{dataset}@{sha}"
            names = cached_config_names(
                key, lambda: get_dataset_config_names(dataset, revision=sha)
            )
            if ALL_CONFIGS not in names:
                return merge_configs({name: _load_config(dataset, sha, name) for name in names})
        return _load_config(dataset, sha, wanted)
    except DatasetError:
        raise
    except LOAD_ERRORS as error:
        raise explain_load_error(dataset, wanted, error) from error


def _load_config(dataset: str, sha: str, config: str | None) -> dict[str, Dataset]:
    """Load one configuration at one commit; from the cache where it has been loaded before."""
    return cached_tables(
        f"{dataset}@{sha}/{config}", lambda: dict(load_dataset(dataset, config, revision=sha))
    )
