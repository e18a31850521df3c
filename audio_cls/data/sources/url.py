"""UrlSource: `hf://datasets/...`, a page of the Hub, or a table file of any server."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlparse

from datasets import DownloadManager
from huggingface_hub import constants

from audio_cls.config import DataConfig
from audio_cls.data.sources.dataset_tables import AUDIO_TABLES
from audio_cls.data.sources.hub import HubSource, download_files, read_info
from audio_cls.data.sources.local_file import read_file
from audio_cls.data.sources.local_folder import read_folder
from audio_cls.data.sources.source import LoadedTables
from audio_cls.errors import DatasetError, describe_error, list_names
from audio_cls.storage.short_names import TABLE_SUFFIXES, is_url

HUB_PAGES = ("https://huggingface.co", "https://hf.co")
_SPECIAL = r"refs/(?:convert|pr)/[^/]+"  # revisions that hold slashes
_HF_URL = re.compile(
    rf"hf://datasets/(?P<id>[^/@]+/[^/@]+)(?:@(?P<rev>{_SPECIAL}|[^/]+))?(?:/(?P<path>.+))?"
)
_PAGE = re.compile(
    rf"/datasets/(?P<id>[^/]+/[^/]+)(?:/(?:tree|blob|resolve|raw|viewer)"
    rf"(?:/(?P<rev>{_SPECIAL}|[^/]+)(?:/(?P<path>.+))?)?)?"
)


class UrlSource:
    """A URL: a data set of the Hub, a part of one, or a table file of any server."""

    def matches(self, dataset: str, cfg: DataConfig) -> bool:
        """Return whether the id is a URL."""
        return is_url(dataset)

    def load(self, dataset: str, cfg: DataConfig) -> LoadedTables:
        """Open the repository, its part, or the table file. Downloads.

        Raises:
            DatasetError: The URL names no data set or table, or cannot be read.
        """
        path = parse_hub_url(dataset)
        if path is None:
            name = PurePosixPath(urlparse(dataset).path).stem
            return replace(read_table_url(dataset, cfg), name=name)
        return replace(read_hub_path(path, cfg), name=path.id, is_local=False)


@dataclass(frozen=True)
class HubPath:
    """A data set of the Hub, or a part of it."""

    id: str
    revision: str | None
    path: str | None  # a file or folder of the repository; None for the whole


def parse_hub_url(url: str) -> HubPath | None:
    """Return the repository, revision and path that a URL names; None for any other server.

    Raises:
        DatasetError: An hf:// URL that names no data set.

    >>> parse_hub_url("https://huggingface.co/datasets/a/b/tree/main/en")
    HubPath(id='a/b', revision='main', path='en')
    """
    if url.startswith("hf://"):
        match = _HF_URL.fullmatch(unquote(url).rstrip("/"))
        if match is None:
            raise DatasetError(
                f"'{url}' is not the address of a data set. Write"
                " hf://datasets/OWNER/NAME[@REVISION][/PATH]."
            )
        return HubPath(match["id"], match["rev"], match["path"])
    base = next((page for page in (*HUB_PAGES, constants.ENDPOINT) if url.startswith(page)), "")
    plain = unquote(url.removeprefix(base).split("?")[0].split("#")[0]).rstrip("/")
    match = _PAGE.fullmatch(plain) if base else None
    if match is None:
        return None
    is_viewer = f"{match['id']}/viewer" in plain  # its path names a configuration, not a revision
    return HubPath(
        match["id"], None if is_viewer else match["rev"], None if is_viewer else match["path"]
    )


def read_hub_path(place: HubPath, cfg: DataConfig) -> LoadedTables:
    """Open a repository, or a folder or file of it, at one commit. Downloads.

    Raises:
        DatasetError: See `HubSource.load`; or the repository has no such path.
    """
    cfg = replace(cfg, dataset_revision=cfg.dataset_revision or place.revision)
    if place.path is None:
        return HubSource().load(place.id, cfg)
    info = read_info(place.id, cfg.dataset_revision)
    names = [entry.rfilename for entry in info.siblings or []]
    path = PurePosixPath(place.path).as_posix()
    if not any(name == path or name.startswith(f"{path}/") for name in names):
        raise DatasetError(
            f"'{place.id}' has no file or folder '{path}': it has"
            f" {list_names(sorted({name.split('/')[0] for name in names}))}."
        )
    patterns = [path] if path in names else [f"{path}/**"]
    local = download_files(place.id, info.sha, patterns) / path
    tables = read_folder(local, cfg) if local.is_dir() else read_file(local, cfg)
    return replace(tables, revision=info.sha, key=f"{info.sha}/{path}/{tables.revision}")


def read_table_url(url: str, cfg: DataConfig) -> LoadedTables:
    """Open a table file of any server; the clips that it lists are below `--audio-root`. Downloads.

    Raises:
        DatasetError: The URL is no table, cannot be read, or lists paths without `--audio-root`.
    """
    suffix = PurePosixPath(urlparse(url).path).suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise DatasetError(
            f"'{url}' is not a table ({list_names(TABLE_SUFFIXES)}). Download and unpack it, and"
            " give the folder."
        )
    try:
        fetched = Path(DownloadManager().download(url))  # cached by address and ETag
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"'{url}' cannot be fetched ({describe_error(error)}). Check the address."
        ) from error
    if suffix not in AUDIO_TABLES and cfg.audio_root is None:
        raise DatasetError(
            f"'{url}' lists relative paths: give the folder of its audio files with --audio-root."
        )
    return read_file(fetched, cfg, suffix)
