"""Bytes or a path -> mono float32 wave at the model's rate; which clips are bad, and why.

soundfile decodes (wav, flac, ogg, opus, mp3, aiff, au, caf: no FFmpeg), the mean over channels
makes it mono, soxr resamples. The decoded waves are cached in Arrow files, see decode_cache.py.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pyarrow as pa
import soxr
import xxhash
from datasets import Dataset
from numpy.typing import NDArray

from audio_cls.audio.decode import read_sound
from audio_cls.config import Hertz, Seconds
from audio_cls.data.duplicates.similarity import make_print
from audio_cls.errors import AudioError
from audio_cls.storage.arrow import copy_columns
from audio_cls.storage.process_memory import PageRelease, keep_freed_memory

Wave = NDArray[np.float32]


def decode_wave(
    bytes_: bytes | None,
    path: str | None,
    sampling_rate: Hertz,
    max_seconds: Seconds | None = None,
) -> Wave:
    """Decode one clip to mono at `sampling_rate`.

    Args:
        bytes_: The encoded file; None to read `path` instead.
        path: Where the file lies; only read when there are no bytes.
        sampling_rate: Wanted rate in Hz.
        max_seconds: Refuse a longer clip.

    Returns:
        Shape (T,), float32, nominally in [-1, 1]. All-zero sound is returned as it is.

    Raises:
        AudioError: See `read_sound`.
    """
    sound = read_sound(bytes_, path, max_seconds)
    return resample(mix_channels(sound.samples), sound.sampling_rate, sampling_rate)


def mix_channels(samples: NDArray[np.float32]) -> Wave:
    """Return the mean over the channels: (T, C) -> (T,)."""
    if samples.shape[1] == 1:
        return samples[:, 0]
    return np.asarray(samples.mean(axis=1), dtype=np.float32)


def resample(wave: Wave, own_rate: Hertz, sampling_rate: Hertz) -> Wave:
    """Bring a wave (T,) to another rate by soxr's high quality; at its own rate it stays as it is.

    Raises:
        AudioError: The wave is so short that nothing is left of it.
    """
    if own_rate != sampling_rate:
        wave = soxr.resample(wave, own_rate, sampling_rate)
    if len(wave) == 0:
        raise AudioError("empty")
    return np.ascontiguousarray(wave, dtype=np.float32)


def decode_batch(
    batch: pa.Table,
    *,
    column: str,
    sampling_rate: Hertz,
    max_seconds: Seconds | None = None,
    release: PageRelease | None = None,
    is_worker: bool = False,
) -> pa.Table:
    """Decode the clips of an Arrow table.

    Args:
        batch: The clips.
        column: Name of the column of undecoded sound.
        sampling_rate: Rate of the waves in Hz.
        max_seconds: Longer clips are bad.
        release: Gives the memory of read pages of the table back.
        is_worker: This process does nothing else, and may keep the memory of its waves.

    Returns:
        Columns wave, num_samples, peak (largest absolute sample), hash (of the samples), print (see
        prints.py) and fault (null when good); the wave of a bad clip is empty.
    """
    if is_worker:
        keep_freed_memory()
    waves: list[Wave] = []
    faults: list[str | None] = []
    for clip in batch.column(column):
        try:
            if not clip.is_valid:
                raise AudioError("missing file")
            bytes_, path = clip["bytes"].as_py(), clip["path"].as_py()
            waves.append(decode_wave(bytes_, path, sampling_rate, max_seconds))
            faults.append(None)
        except AudioError as error:
            waves.append(np.zeros(0, np.float32))
            faults.append(str(error))
    if release is not None:
        release(batch.column(column))
    lengths = np.array([len(wave) for wave in waves], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    peaks = [max(float(wave.max()), -float(wave.min())) if len(wave) else 0.0 for wave in waves]
    # Arrow keeps the memory it is given back: no fresh pages for each batch, as numpy would take.
    samples = pa.concat_arrays([pa.array(wave, type=pa.float32()) for wave in waves])
    return pa.table(
        {
            "wave": pa.LargeListArray.from_arrays(pa.array(offsets), samples),
            "num_samples": pa.array(lengths),
            "peak": pa.array(peaks, type=pa.float32()),
            "hash": pa.array([hash_wave(wave) for wave in waves], type=pa.string()),
            "print": pa.array(
                [make_print(wave, sampling_rate).tobytes() for wave in waves], type=pa.binary()
            ),
            "fault": pa.array(faults, type=pa.string()),
        }
    )


def hash_wave(wave: Wave) -> str:
    """Return 32 hex letters that equal sounds share; '' for no sound."""
    return str(xxhash.xxh3_128_hexdigest(np.ascontiguousarray(wave).data)) if len(wave) else ""


def read_clip_ids(splits: dict[str, Dataset], column: str) -> NDArray[np.str_]:
    """Name every clip of the concatenated splits: its file where those are unique, else its row.

    Returns:
        Shape (number of clips,), such as `blues.00000.wav` or `train/17`.
    """
    num_clips = sum(map(len, splits.values()))
    for read in (_read_file_column, _read_audio_paths, _read_file_names):
        names = [name for table in splits.values() for name in read(table, column)]
        if len(names) == num_clips and all(names) and len(set(names)) == num_clips:
            return np.array(names)
    return np.array(
        [f"{name}/{row}" for name, table in splits.items() for row in range(len(table))]
    )


def _read_file_column(table: Dataset, column: str) -> list[Any]:
    """Return the `file` column that class folders bring along, else nothing."""
    is_own = "file" in table.column_names and not Path(str(table[0]["file"])).is_absolute()
    return list(table["file"]) if is_own else []


def _read_file_names(table: Dataset, column: str) -> list[Any]:
    """Return the base names of a `file` column of paths on the disk of whoever made the table."""
    if "file" not in table.column_names:
        return []
    return [PurePath(path).name if path else None for path in table["file"]]


def _read_audio_paths(table: Dataset, column: str) -> list[Any]:
    """Return the base name of each clip's path."""
    if table._indices is not None:
        return []
    paths = copy_columns(table, [column], "path")[column].to_pylist()
    return [os.path.basename(path) if path else None for path in paths]  # quick
