"""Fingerprint of a model: changes if its weights, configuration or code do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import xxhash

MODEL_SUFFIXES = (".safetensors", ".bin", ".py", ".onnx", ".data")
CONFIGURATIONS = ("config.json", "preprocessor_config.json", "processor_config.json")
BLOCK_BYTES = 2**24


def fingerprint_model(config: Path) -> str:
    """Return the commit of a model of the Hub, or the hash of the files of a folder.

    Args:
        config: Its config.json, in the folder or in the cache of the Hub.
    """
    folder = config.parent
    if folder.parent.name == "snapshots":  # of the cache of the Hub
        return f"commit {folder.name}"
    files = [path for path in sorted(folder.iterdir()) if path.suffix in MODEL_SUFFIXES]
    digest = xxhash.xxh3_128()
    for path in [*files, *(folder / name for name in CONFIGURATIONS)]:
        if path.is_file():
            digest.update(f"{path.name} {path.stat().st_size};".encode())
            _add_file(digest, path)
    return str(digest.hexdigest())


def fingerprint_names(names: Iterable[str]) -> str:
    """Return the hash of a list of files."""
    digest = xxhash.xxh3_128()
    for name in names:
        digest.update(name.encode("utf-8", "surrogateescape") + b"\0")
    return str(digest.hexdigest())


def _add_file(digest: xxhash.xxh3_128, path: Path) -> None:
    """Hash the content of a file."""
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
