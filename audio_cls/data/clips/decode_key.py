"""What the decoded sound of a table depends on: its clips, the way of decoding, the libraries."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import soundfile
import soxr
from datasets import Dataset
from numpy.typing import NDArray

from audio_cls.audio.files import PLAIN_SUFFIXES
from audio_cls.audio.segments import split_segment
from audio_cls.config import Hertz, Seconds
from audio_cls.storage.arrow import copy_columns, measure_bytes
from audio_cls.storage.keys import describe_file, find_version, make_key
from audio_cls.storage.process_memory import ColumnPages, release_pages

DECODER_VERSION = 6  # raise it when decoding changes, so that old caches are not used
NUM_SAMPLED = 256  # embedded clips of whose bytes a part goes into the key
SAMPLED_BYTES = 4096  # of each, from its beginning
ROWS_AT_ONCE = 2**16  # whose paths are made texts of Python at the same time


@dataclass(frozen=True)
class EncodedClips:
    """What is known of the clips of a table before one is decoded, N of them."""

    sizes: NDArray[np.int64]  # (N,) bytes of each encoded clip; -1 where there is none
    states: NDArray[np.int64]  # (N, 4) of files, see `describe_file`; 0 for bytes in the table
    paths: pa.ChunkedArray  # (N,) of files, or names of bytes
    folder: str  # that relative paths are relative to, if there are any
    sample: list[bytes]  # the beginnings of some of the clips whose bytes are in the table
    others: dict[str, pa.ChunkedArray]  # further columns, such as where a segment begins


def read_encoded_clips(table: Dataset, column: str) -> EncodedClips:
    """Look at the clips of a table: no content is read but that of `NUM_SAMPLED` clips.

    Args:
        table: Undecoded clips, `{"bytes", "path"}`; nothing else that does not matter for them.
        column: Where they are.
    """
    sizes = measure_bytes(table, column, "bytes")
    paths = copy_columns(table, [column], "path")[column]
    embedded, outside = np.flatnonzero(sizes >= 0), np.flatnonzero(sizes < 0)
    states, folder = np.zeros((len(sizes), 4), np.int64), ""
    for first in range(0, len(outside), ROWS_AT_ONCE):
        own = outside[first : first + ROWS_AT_ONCE]
        files = paths.take(pa.array(own)).to_pylist()
        states[own] = np.array([_read_state(file) for file in files], np.int64)
        sizes[own] = states[own, 0]
        if not all(map(os.path.isabs, filter(None, files))):
            folder = os.getcwd()
    places = np.linspace(0, len(embedded) - 1, min(NUM_SAMPLED, len(embedded))).astype(int)
    rows = table.with_format("arrow")
    sample, pages = [], ColumnPages(table.data.column(column))
    for row in embedded[places]:
        sample.append(_read_beginning(rows[int(row)].column(column)[0]))
        pages.note(SAMPLED_BYTES)  # the system may map a megabyte around each
    if sample:
        release_pages(table.data.column(column))
    names = [name for name in table.column_names if name != column]
    copied = copy_columns(table, names) if names else pa.table({})
    return EncodedClips(
        sizes, states, paths, folder, sample, {name: copied[name] for name in names}
    )


def make_decode_key(
    clips: EncodedClips, source: str, sampling_rate: Hertz, max_seconds: Seconds | None
) -> str:
    """Return the key of decoded clips.

    A file counts by its absolute path and its state (`describe_file`). Bytes in a table count by
    their size, by what `source` says of them, and some of them by their content.

    Args:
        clips: The clips in their order.
        source: A key of what holds the clips and of which of its clips these are.
        sampling_rate: Rate of the waves in Hz.
        max_seconds: Longer clips are not decoded.
    """
    return make_key(
        source=source,
        sizes=clips.sizes,
        states=clips.states,
        paths=clips.paths,
        folder=clips.folder,
        sample=clips.sample,
        others=clips.others,
        sampling_rate=sampling_rate,
        max_seconds=max_seconds,
        libraries=_list_libraries(clips.paths),
    )


def _list_libraries(paths: pa.ChunkedArray) -> list[object]:
    """Return the versions of what decodes and resamples; that of PyAV where it may be needed."""
    versions: list[object] = [DECODER_VERSION, datasets.__version__]
    versions += [soundfile.__version__, soundfile.__libsndfile_version__]
    versions += [soxr.__version__, soxr.__libsoxr_version__]
    names, is_plain = pc.utf8_lower(paths), pa.scalar(value=False)
    for suffix in PLAIN_SUFFIXES:
        is_plain = pc.or_(is_plain, pc.ends_with(names, suffix))
    if not pc.all(is_plain, skip_nulls=False).as_py():
        versions.append(find_version("av"))
    return versions


def _read_state(path: str | None) -> tuple[int, int, int, int]:
    """Return the state of a file, or of a segment's; -1 as its size where there is none."""
    try:
        state = os.stat(path or "")
    except (OSError, ValueError):
        file, segment = split_segment(path or "")
        return (-1, 0, 0, 0) if segment is None else _read_state(file)
    return describe_file(state)


def _read_beginning(clip: Any) -> bytes:  # noqa: ANN401 (a scalar of Arrow)
    """Return the first bytes of an embedded clip."""
    return bytes(memoryview(clip["bytes"].as_buffer())[:SAMPLED_BYTES])
