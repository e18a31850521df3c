"""Checksums of the files of a folder: whether a disk or a copy has changed them since.

CRC-like checks are missing in the formats of a checkpoint: safetensors, torch and JSON files load
with a flipped bit. XXH3 with 128 bits finds accidental changes at the speed of memory; it is no
protection against intent.
"""

from __future__ import annotations

import json
from pathlib import Path

import xxhash

CHECKSUMS = "checksums.json"  # name in the folder: relative path of a file -> hexadecimal digest
BLOCK_BYTES = 2**22


def write_checksums(folder: Path) -> None:
    """Write `checksums.json` with every other file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    digests = {name: _hash_file(folder / name) for name in names if name != CHECKSUMS}
    (folder / CHECKSUMS).write_text(json.dumps(digests, indent=1), "utf-8")


def find_damaged(folder: Path) -> list[str]:
    """List the files that are missing, cannot be read or differ from their checksum.

    Args:
        folder: The folder; one without checksums, by an earlier version, counts as undamaged.
    """
    file = folder / CHECKSUMS
    if not file.is_file():
        return []
    try:
        digests = dict(json.loads(file.read_text("utf-8")))
        return [name for name, digest in digests.items() if not _fits(folder / name, digest)]
    except (OSError, ValueError, TypeError):
        return [CHECKSUMS]


def _fits(path: Path, digest: str) -> bool:
    """Return whether a file can be read and has a digest."""
    try:
        return _hash_file(path) == digest
    except OSError:
        return False


def _hash_file(path: Path) -> str:
    """Hash a file block by block."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return str(digest.hexdigest())
