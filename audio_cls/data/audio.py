"""Bytes or a path -> mono float32 wave at the model's rate; which clips are bad, and why.

soundfile decodes (wav, flac, ogg, opus, mp3, aiff, au, caf: no FFmpeg), the mean over channels
makes it mono, soxr resamples. The decoded waves are cached by `datasets` in an Arrow file that is
memory-mapped, keyed by the data set's content, the rate and the way of decoding.
"""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import soundfile
import soxr
from datasets import Dataset, Features, List, Value
from numpy.typing import NDArray

from audio_cls.config import Hertz
from audio_cls.errors import AudioError

DECODER_VERSION = 1  # raise it when decoding changes, so that old caches are not used
CLIPS_PER_BATCH = 32  # clips decoded between two writes: 60 MB of 30 s clips at 16 kHz
CLIPS_PER_PROCESS = 64  # fewer clips than this are not worth another process

Wave = NDArray[np.float32]


def decode_wave(bytes_: bytes | None, path: str | None, sampling_rate: Hertz) -> Wave:
    """Decode one clip to mono at `sampling_rate`.

    Args:
        bytes_: The encoded file; None to read `path` instead.
        path: Where the file lies; only read when there are no bytes.
        sampling_rate: Wanted rate in Hz.

    Returns:
        Shape (T,), float32, nominally in [-1, 1]. All-zero sound is returned as it is.

    Raises:
        AudioError: The clip is missing, unreadable, empty, truncated or not finite.
    """
    if bytes_ is None and not (path and Path(path).is_file()):
        raise AudioError("missing file", str(path))
    try:
        with soundfile.SoundFile(io.BytesIO(bytes_) if bytes_ is not None else path) as file:
            promised, own_rate = file.frames, file.samplerate
            channels = file.read(dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError) as error:
        raise AudioError("unreadable", str(error)) from error
    if len(channels) == 0:
        raise AudioError("empty")
    if len(channels) < promised:
        raise AudioError("truncated", f"{len(channels)} of {promised} frames")
    wave = channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1)
    if not np.isfinite(wave).all():
        raise AudioError("not finite")
    if own_rate != sampling_rate:
        wave = soxr.resample(wave, own_rate, sampling_rate)
    if len(wave) == 0:
        raise AudioError("empty")
    return np.ascontiguousarray(wave, dtype=np.float32)


def decode_batch(batch: pa.Table, *, column: str, sampling_rate: Hertz) -> pa.Table:
    """Decode the clips of an Arrow table: columns wave, num_samples and fault (null when good)."""
    waves: list[Wave] = []
    faults: list[str | None] = []
    for clip in batch.column(column).to_pylist():
        try:
            if clip is None:
                raise AudioError("missing file")
            waves.append(decode_wave(clip["bytes"], clip["path"], sampling_rate))
            faults.append(None)
        except AudioError as error:
            waves.append(np.zeros(0, np.float32))
            faults.append(str(error))
    lengths = np.array([len(wave) for wave in waves], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    samples = pa.array(np.concatenate(waves), type=pa.float32())
    return pa.table(
        {
            "wave": pa.ListArray.from_arrays(pa.array(offsets), samples),
            "num_samples": pa.array(lengths),
            "fault": pa.array(faults, type=pa.string()),
        }
    )


def decode_clips(table: Dataset, column: str, sampling_rate: Hertz, content_key: str) -> Dataset:
    """Decode every clip of a table, or open the cache where that was done before. Writes the cache.

    Args:
        table: Clips with an undecoded audio column.
        column: Name of that column.
        sampling_rate: Rate of the waves in Hz.
        content_key: What identifies these clips; equal keys share a cache.

    Returns:
        A memory-mapped table, row for row: wave (list of float32), num_samples, fault.
    """
    key = f"{content_key}/{column}/{sampling_rate}/{DECODER_VERSION}/{datasets.__version__}"
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    cache = Path(datasets.config.HF_DATASETS_CACHE) / "audio_cls" / "waves" / f"{digest}.arrow"
    cache.parent.mkdir(parents=True, exist_ok=True)
    features = Features(
        {"wave": List(Value("float32")), "num_samples": Value("int64"), "fault": Value("string")}
    )
    num_processes = min(os.cpu_count() or 1, len(table) // CLIPS_PER_PROCESS)
    decoded = (
        table.select_columns([column])
        .with_format("arrow")
        .map(
            decode_batch,
            fn_kwargs={"column": column, "sampling_rate": sampling_rate},
            batched=True,
            batch_size=CLIPS_PER_BATCH,
            writer_batch_size=CLIPS_PER_BATCH,
            remove_columns=[column],
            features=features,
            num_proc=num_processes if num_processes > 1 else None,
            cache_file_name=str(cache),
            new_fingerprint=digest,
            desc="Decoding",
        )
    )
    return decoded.with_format(None)


def read_clip_ids(splits: dict[str, Dataset], column: str) -> NDArray[np.str_]:
    """Name every clip of the concatenated splits: its file where those are unique, else its row.

    Returns:
        Shape (number of clips,), such as `blues.00000.wav` or `train/17`.
    """
    rows = [f"{name}/{row}" for name, table in splits.items() for row in range(len(table))]
    for read in (_read_file_column, _read_audio_paths):
        names = [name for table in splits.values() for name in read(table, column)]
        if all(names) and len(set(names)) == len(names) == len(rows):
            return np.array(names)
    return np.array(rows)


def _read_file_column(table: Dataset, column: str) -> list[Any]:
    """Return the `file` column that class folders bring along, else nothing."""
    is_own = "file" in table.column_names and not Path(str(table[0]["file"])).is_absolute()
    return list(table["file"]) if is_own else []


def _read_audio_paths(table: Dataset, column: str) -> list[Any]:
    """Return the base name of each clip's path."""
    clips = table.with_format("arrow").data.column(column) if table._indices is None else None
    if clips is None:
        return []
    paths = pa.chunked_array([chunk.field("path") for chunk in clips.chunks]).to_pylist()
    return [Path(path).name if path else None for path in paths]
