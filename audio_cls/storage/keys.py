"""Cache keys: hashes of everything that the cached content depends on."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash


def make_key(**parts: object) -> str:
    """Return a key of 32 hexadecimal digits that changes if one of the named parts does.

    Arrays of numpy and Arrow are hashed in memory, at gigabytes per second. Each part is hashed
    with its name, type and length, so that moving a letter from one part to the next changes the
    key.

    Args:
        parts: None, bool, int, float, str, bytes; arrays of numpy (numbers or text) and of Arrow
            (numbers, bytes or text); sequences and mappings of these.

    Raises:
        TypeError: A part is of another type.

    >>> make_key(rate=8000, name="a") == make_key(name="a", rate=8000)
    True
    >>> make_key(one="ab", two="c") == make_key(one="a", two="bc")
    False
    """
    digest = xxhash.xxh3_128()
    _add(digest, parts)
    return str(digest.hexdigest())


def find_version(library: str) -> str | None:
    """Return the version of an optional library; None if it is not installed."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def _add(digest: Any, part: object) -> None:  # noqa: ANN401 (xxhash has no public type)
    """Hash one part with its type and length."""
    if part is None or isinstance(part, bool | int | float | np.number | np.bool_):
        value = part.item() if isinstance(part, np.generic) else part
        digest.update(f"{type(value).__name__} {value!r};".encode())
    elif isinstance(part, str | bytes):
        raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(f"{type(part).__name__} {len(raw)};".encode())
        digest.update(raw)
    elif isinstance(part, np.ndarray):
        _add_array(digest, part)
    elif isinstance(part, pa.Array | pa.ChunkedArray):
        _add_column(digest, part)
    elif isinstance(part, Mapping):
        digest.update(f"mapping {len(part)};".encode())
        for name in sorted(part):
            _add(digest, str(name))
            _add(digest, part[name])
    elif isinstance(part, Sequence):
        digest.update(f"sequence {len(part)};".encode())
        for one in part:
            _add(digest, one)
    else:
        raise TypeError(f"A {type(part).__name__} cannot be a part of a key.")


def _add_array(digest: Any, part: np.ndarray) -> None:  # noqa: ANN401
    """Hash an array of numbers, or of fixed-width text, whose width is part of the type."""
    if part.dtype.hasobject:
        raise TypeError("An array of objects cannot be a part of a key.")
    digest.update(f"array {part.dtype.str} {part.shape};".encode())
    digest.update(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)


def _add_column(digest: Any, part: pa.Array | pa.ChunkedArray) -> None:  # noqa: ANN401
    """Hash an Arrow column independently of its chunks."""
    chunks = part.chunks if isinstance(part, pa.ChunkedArray) else [part]
    digest.update(f"column {len(part)};".encode())
    is_text = _is_text(part.type)
    digest.update(b"text;" if is_text else f"{part.type};".encode())
    for chunk in chunks:
        lengths = pc.binary_length(chunk).cast(pa.int64()) if is_text else pc.is_valid(chunk)
        digest.update(_view(lengths.fill_null(-1) if is_text else lengths))
    for chunk in chunks:
        if is_text:
            digest.update(_read_letters(chunk))
        else:
            digest.update(_view(chunk.fill_null(0) if chunk.null_count else chunk))


def _view(numbers: pa.Array) -> memoryview:
    """Return the bytes of an Arrow array of numbers without nulls."""
    values = np.ascontiguousarray(numbers.to_numpy(zero_copy_only=False))
    return values.view(np.uint8).data


def _is_text(kind: pa.DataType) -> bool:
    """Return whether an Arrow type is text or bytes of variable length."""
    tests = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_binary,
        pa.types.is_large_binary,
    )
    if any(test(kind) for test in tests):
        return True
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return False
    raise TypeError(f"An Arrow column of {kind} cannot be a part of a key.")


def _read_letters(chunk: pa.Array) -> memoryview:
    """Return the concatenated bytes of all texts of an Arrow array, without a copy."""
    _, offsets, letters = chunk.buffers()
    if letters is None or len(chunk) == 0:
        return memoryview(b"")
    is_large = pa.types.is_large_string(chunk.type) or pa.types.is_large_binary(chunk.type)
    places = np.frombuffer(offsets, np.int64 if is_large else np.int32)
    first, last = (int(places[chunk.offset + n]) for n in (0, len(chunk)))
    return memoryview(letters)[first:last]
