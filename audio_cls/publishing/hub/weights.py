"""Weights in a repository compared with local ones, by the SHA-256 that the Hub keeps."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from huggingface_hub import HfApi
from huggingface_hub.hf_api import RepoFile

from audio_cls.runs.run_files import WEIGHTS

ONNX_FOLDER = "onnx/"


def find_other_weights(
    api: HfApi, repo_id: str, files: Mapping[str, bytes | Path], revision: str = "main"
) -> list[str]:
    """List the weights that the repository does not have as they are here. Online.

    Args:
        api: The client.
        repo_id: The repository.
        files: Path in the repository -> the local file; other files than weights are ignored.
        revision: Branch or pull request.
    """
    local = {
        name: path
        for name, path in files.items()
        if isinstance(path, Path) and PurePosixPath(name).match(WEIGHTS)
    }
    if not local:
        return []
    found = api.get_paths_info(repo_id, list(local), revision=revision)
    known = {one.path: one.lfs.sha256 for one in found if isinstance(one, RepoFile) and one.lfs}
    return [name for name, path in local.items() if known.get(name) != _hash_file(path)]


def _hash_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
