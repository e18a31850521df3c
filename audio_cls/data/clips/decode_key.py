"""Key of the decode cache: a hash of the clips, the decoding settings and the libraries."""

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
from audio_cls.storage.files import describe_file
from audio_cls.storage.keys import find_version, make_key
from audio_cls.storage.process_memory import ColumnPages, release_pages

DECODER_VERSION = 7  # increase when decoding or the columns change, so that old caches are not used
NUM_SAMPLED = 256  # embedded clips whose first bytes are part of the key
SAMPLED_BYTES = 4096  # of each of these
ROWS_AT_ONCE = 2**16  # paths that are Python strings at the same time


@dataclass(frozen=True)
class EncodedClips:
    """The clips of a table before decoding; N clips."""

    sizes: NDArray[np.int64]  # (N,) bytes of each encoded clip; -1 if missing
    states: NDArray[np.int64]  # (N, 4) of files, see `describe_file`; 0 for bytes in the table
    paths: pa.ChunkedArray  # (N,) of files, or names of embedded clips
    folder: str  # base of relative paths; empty if there are none
    sample: list[bytes]  # first bytes of some of the embedded clips
    others: dict[str, pa.ChunkedArray]  # further columns, such as the start of a segment


def read_encoded_clips(table: Dataset, column: str) -> EncodedClips:
    """Read sizes and file states of the clips of a table, and the content of `NUM_SAMPLED` clips.

    Args:
        table: Undecoded clips, `{"bytes", "path"}`, and no column that decoding ignores.
        column: Name of their column.
    """
    sizes = measure_bytes(table, column, "bytes")
    paths = copy_columns(table, [column], "path")[column]
    embedded, external = np.flatnonzero(sizes >= 0), np.flatnonzero(sizes < 0)
    states, folder = np.zeros((len(sizes), 4), np.int64), ""
    for first in range(0, len(external), ROWS_AT_ONCE):
        block = external[first : first + ROWS_AT_ONCE]
        files = paths.take(pa.array(block)).to_pylist()
        states[block] = np.array([_read_state(file) for file in files], np.int64)
        sizes[block] = states[block, 0]
        if not all(map(os.path.isabs, filter(None, files))):
            folder = os.getcwd()
    places = np.linspace(0, len(embedded) - 1, min(NUM_SAMPLED, len(embedded))).astype(int)
    rows = table.with_format("arrow")
    sample, pages = [], ColumnPages(table.data.column(column))
    for row in embedded[places]:
        sample.append(_read_first_bytes(rows[int(row)].column(column)[0]))
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

    Of a file the key has the absolute path and the state (`describe_file`); of an embedded clip the
    size, `source` and, for some clips, the first bytes.

    Args:
        clips: The clips in their order.
        source: Key of the data set and of the rows in it.
        sampling_rate: Rate of the waveforms in Hz.
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
    """Return the versions of decoders and resampler; that of PyAV if a file may need it."""
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
    """Return the state of a file, or of a segment's file; size -1 if it is missing."""
    try:
        state = os.stat(path or "")
    except (OSError, ValueError):
        file, segment = split_segment(path or "")
        return (-1, 0, 0, 0) if segment is None else _read_state(file)
    return describe_file(state)


def _read_first_bytes(clip: Any) -> bytes:  # noqa: ANN401 (an Arrow scalar)
    """Return the first bytes of an embedded clip."""
    return bytes(memoryview(clip["bytes"].as_buffer())[:SAMPLED_BYTES])
