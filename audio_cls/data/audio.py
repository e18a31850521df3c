"""Bytes or a path -> mono float32 wave at the model's rate; which clips are bad, and why.

soundfile decodes (wav, flac, ogg, opus, mp3, aiff, au, caf: no FFmpeg), the mean over channels
makes it mono, soxr resamples. The decoded waves are cached by `datasets` in an Arrow file that is
memory-mapped, keyed by the data set's content, the rate and the way of decoding.
"""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path, PurePath
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import soundfile
import soxr
import xxhash
from datasets import Dataset, Features, List, Value
from numpy.typing import NDArray

from audio_cls.config import Hertz, Seconds
from audio_cls.data.mapped import copy_columns
from audio_cls.data.memory import PageRelease, keep_freed_memory
from audio_cls.data.prints import make_print
from audio_cls.data.sound import read_sound
from audio_cls.errors import AudioError

DECODER_VERSION = 4  # raise it when decoding changes, so that old caches are not used
BATCH_SAMPLES = 2**20  # samples decoded between two writes, as far as can be foreseen: 4 MB
BATCH_CLIPS = 512  # and never more clips than this, so that the progress bar moves
NUM_PROBES = 16  # clips whose headers foretell how long the others are
CLIPS_PER_PROCESS = 64  # fewer clips than this are not worth another process

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
    peaks = [max(float(wave.max()), -float(wave.min())) if len(wave) else 0.0 for wave in waves]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    # Arrow keeps the memory it is given back: no fresh pages for each batch, as numpy would take.
    samples = pa.concat_arrays([pa.array(wave, type=pa.float32()) for wave in waves])
    return pa.table(
        {
            "wave": pa.ListArray.from_arrays(pa.array(offsets), samples),
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


def decode_clips(
    table: Dataset,
    column: str,
    sampling_rate: Hertz,
    content_key: str,
    max_seconds: Seconds | None = None,
) -> Dataset:
    """Decode every clip of a table, or open the cache where that was done before. Writes the cache.

    Args:
        table: Clips with an undecoded audio column.
        column: Name of that column.
        sampling_rate: Rate of the waves in Hz.
        content_key: What identifies these clips; equal keys share a cache.
        max_seconds: Longer clips are bad.

    Returns:
        A memory-mapped table, row for row: wave (list of float32), num_samples, peak, hash,
        print, fault.
    """
    key = f"{content_key}/{column}/{sampling_rate}/{DECODER_VERSION}/{datasets.__version__}"
    if max_seconds is not None:
        key += f"/{max_seconds:g}"
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    cache = Path(datasets.config.HF_DATASETS_CACHE) / "audio_cls" / "waves" / f"{digest}.arrow"
    cache.parent.mkdir(parents=True, exist_ok=True)
    features = Features(
        {
            "wave": List(Value("float32")),
            "num_samples": Value("int64"),
            "peak": Value("float32"),
            "hash": Value("string"),
            "print": Value("binary"),
            "fault": Value("string"),
        }
    )
    undecoded = table.select_columns([column]).with_format("arrow")
    batch_size = choose_batch_size(undecoded, column, sampling_rate)
    num_processes = min(os.cpu_count() or 1, len(table) // CLIPS_PER_PROCESS)
    decoded = undecoded.map(
        decode_batch,
        fn_kwargs={
            "column": column,
            "sampling_rate": sampling_rate,
            "max_seconds": max_seconds,
            "release": PageRelease(),
            "is_worker": num_processes > 1,
        },
        batched=True,
        batch_size=batch_size,
        writer_batch_size=batch_size,
        remove_columns=[column],
        features=features,
        num_proc=num_processes if num_processes > 1 else None,
        cache_file_name=str(cache),
        new_fingerprint=digest,
        desc="Decoding",
    )
    return decoded.with_format(None)


def read_notes(decoded: Dataset) -> pa.Table:
    """Read what a decoded table says of each clip, but for wave and print: a few bytes a clip.

    Returns:
        Columns num_samples, peak, hash and fault, see `decode_batch`.
    """
    return copy_columns(decoded, ["num_samples", "peak", "hash", "fault"])


def choose_batch_size(table: Dataset, column: str, sampling_rate: Hertz) -> int:
    """Return how many clips to decode at once, so that memory does not grow with their length.

    The headers of some clips, spread evenly over the table, tell how long the others are.
    """
    longest = 1
    for row in np.unique(np.linspace(0, max(0, len(table) - 1), NUM_PROBES, dtype=int)):
        clip = table[int(row)].column(column)[0] if len(table) else pa.scalar(None)
        if not clip.is_valid:
            continue
        bytes_, path = clip["bytes"].as_py(), clip["path"].as_py()
        try:
            info = soundfile.info(io.BytesIO(bytes_) if bytes_ is not None else str(path))
        except (soundfile.SoundFileError, RuntimeError, TypeError, OSError):
            continue
        longest = max(longest, round(info.duration * sampling_rate))
    return max(1, min(BATCH_CLIPS, BATCH_SAMPLES // longest))


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
