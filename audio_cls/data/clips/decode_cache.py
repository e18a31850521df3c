"""Decode cache: every clip of a table decoded once, into memory-mapped Arrow files.

audio_cls/waves/KEY/
  clips.arrow, or clips_00000_of_00002.arrow ...   the clips in their order
  entry.json   the files, and the rows to decode again when the cache is opened: those that
               failed because of a missing library, a permission or a disk error
"""

from __future__ import annotations

import functools
import logging
import os
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, Features, LargeList, Value, concatenate_datasets
from numpy.typing import NDArray

from audio_cls.audio.decode import MISSING, NOT_ACCESSIBLE, decode_file, measure_seconds
from audio_cls.audio.fingerprint import make_fingerprint
from audio_cls.audio.pyav import EXTRA
from audio_cls.audio.waveform import Wave, hash_wave, peak, to_wave
from audio_cls.config import Hertz, Seconds
from audio_cls.data.clips.decode_key import EncodedClips, make_decode_key, read_encoded_clips
from audio_cls.errors import AudioError, count_of
from audio_cls.progress import SharedCounter, report_shared
from audio_cls.storage.arrow import copy_columns, hide_map_bar
from audio_cls.storage.cache import CacheEntry, load_or_make
from audio_cls.storage.process_memory import PageRelease, retain_freed_memory

logger = logging.getLogger(__name__)

BATCH_SAMPLES = 2**20  # estimated samples decoded between two writes: 4 MB
BATCH_CLIPS = 512  # upper limit, so that the progress bar moves
NUM_PROBES = 16  # clips whose headers are read to estimate the length of the others
BYTES_PER_SECOND = 1_000  # if a header has no length: less than any codec uses for music
# Beginnings of errors that do not depend on a clip's bytes; file name or system error follow.
TRANSIENT_ERRORS = (f"{MISSING}: ", f"{NOT_ACCESSIBLE}: ", f"{EXTRA}: ")
CLIPS_PER_PROCESS = 64  # fewer clips are not worth another process
FEATURES = Features(
    {
        "wave": LargeList(Value("float32")),
        "num_samples": Value("int64"),
        "file_rate": Value("int32"),
        "peak": Value("float32"),
        "hash": Value("string"),
        "fingerprint": Value("binary"),
        "error": Value("string"),
    }
)


def decode_clips(
    table: Dataset,
    column: str,
    sampling_rate: Hertz,
    content_key: str,
    max_seconds: Seconds | None = None,
) -> Dataset:
    """Decode every clip of a table, or open the cache of an earlier call. Writes the cache.

    A cache in which a clip failed with a transient error is made again once the clip can be read.

    Args:
        table: Clips with an undecoded audio column and no column that decoding ignores.
        column: Name of the audio column.
        sampling_rate: Rate of the waveforms in Hz.
        content_key: Key of the data set and of the rows in it; see `make_decode_key`.
        max_seconds: Longer clips are an error.

    Returns:
        A memory-mapped table, row for row, with the columns of `decode_batch`. Its files are not
        deleted while this object is in use.
    """
    if len(table) == 0:
        return Dataset.from_dict({name: [] for name in FEATURES}, features=FEATURES)
    clips = read_encoded_clips(table, column)
    key = make_decode_key(clips, content_key, sampling_rate, max_seconds)
    number = 0
    while True:
        entry = CacheEntry("waves", f"{key}-{number}" if number else key)
        decoding = _Decoding(entry, table, column, sampling_rate, max_seconds)
        decoded = load_or_make(entry, decoding.load, functools.partial(decoding.make, clips))
        if decoding.is_new or not decoding.has_recovered():
            weakref.finalize(decoded, entry.release)
            return decoded
        entry.release()
        if not entry.remove():  # another process uses it
            number += 1


@dataclass
class _Decoding:
    """One entry of the cache, and what it is made of."""

    entry: CacheEntry
    table: Dataset
    column: str
    sampling_rate: Hertz
    max_seconds: Seconds | None
    is_new: bool = False  # made by this process

    def load(self) -> Dataset | None:
        """Map the files; None if one is missing."""
        about = self.entry.read_about()
        paths = [self.entry.path / name for name in about["files"]] if about else []
        if not paths or not all(path.is_file() for path in paths):
            return None
        parts = [Dataset.from_file(str(path)) for path in paths]
        return concatenate_datasets(parts) if len(parts) > 1 else parts[0]

    def make(self, clips: EncodedClips) -> None:
        """Decode all clips, in several processes if there are many."""
        for leftover in self.entry.path.glob("tmp*"):  # of a killed process
            leftover.unlink(missing_ok=True)
        batch_size = choose_batch_size(clips.sizes, self._measure_probes(clips))
        num_processes = min(os.cpu_count() or 1, len(self.table) // CLIPS_PER_PROCESS)
        options = self._options(is_worker=num_processes > 1)
        with report_shared("Decoding", len(self.table), logger) as counter, hide_map_bar():
            decoded = self.table.with_format("arrow").map(
                _decode_and_count,
                fn_kwargs={**options, "release": PageRelease(), "counter": counter},
                batched=True,
                batch_size=batch_size,
                writer_batch_size=batch_size,
                remove_columns=self.table.column_names,
                features=FEATURES,
                num_proc=num_processes if num_processes > 1 else None,
                cache_file_name=str(self.entry.path / "clips.arrow"),
                new_fingerprint=self.entry.name,
            )
        errors = copy_columns(decoded, ["error"])["error"]
        about = {
            "what": f"{count_of(len(decoded), 'clip')} at {self.sampling_rate} Hz",
            "files": [Path(file["filename"]).name for file in decoded.cache_files],
            "retry": find_retries(errors, clips.sizes),
        }
        self.entry.write_about(about)
        self.is_new = True

    def has_recovered(self) -> bool:
        """Return whether a clip that failed when the cache was made can be read now."""
        rows = (self.entry.read_about() or {}).get("retry", [])
        table, options = self.table.with_format("arrow"), self._options(is_worker=False)
        for row in rows:
            error = decode_batch(table[int(row)], **options)["error"][0].as_py()
            if error is None or not error.startswith(TRANSIENT_ERRORS):
                return True
        return False

    def _options(self, *, is_worker: bool) -> dict[str, Any]:
        return {
            "column": self.column,
            "sampling_rate": self.sampling_rate,
            "max_seconds": self.max_seconds,
            "is_worker": is_worker,
        }

    def _measure_probes(self, clips: EncodedClips) -> float:
        """Return the largest number of samples per byte, by the headers of some clips."""
        largest = 0.0
        rows = np.unique(np.linspace(0, len(clips.sizes) - 1, NUM_PROBES, dtype=int))
        table = self.table.with_format("arrow")
        for row in rows.tolist():
            clip, size = table[row].column(self.column)[0], int(clips.sizes[row])
            if clip.is_valid and size > 0:
                seconds = measure_seconds(clip["bytes"].as_py(), clip["path"].as_py())
                seconds = seconds or size / BYTES_PER_SECOND
                largest = max(largest, seconds * self.sampling_rate / size)
        return largest


def find_retries(errors: pa.ChunkedArray, sizes: NDArray[np.int64]) -> list[int]:
    """Return the rows to decode again when the cache is opened.

    Args:
        errors: Error of each clip, (N,), null if decoded.
        sizes: Bytes of each encoded clip, (N,). -1 for a missing file, which needs no retry: the
            key changes when the file appears.
    """
    is_missing, is_inaccessible, needs_library = (
        pc.fill_null(pc.starts_with(errors, beginning), fill_value=False).to_numpy()
        for beginning in TRANSIENT_ERRORS
    )
    rows = np.flatnonzero((is_missing & (sizes >= 0)) | is_inaccessible)
    # One clip is enough to find out whether the library is installed.
    return [*np.flatnonzero(needs_library)[:1].tolist(), *rows.tolist()]


def choose_batch_size(sizes: NDArray[np.int64], samples_per_byte: float) -> int:
    """Return the number of clips per batch, so that memory does not grow with their length.

    A batch has about `BATCH_SAMPLES`, not counting its longest clip.

    Args:
        sizes: Bytes of each encoded clip, (N,), in their order.
        samples_per_byte: Largest number of samples at the target rate per byte.
    """
    lengths = np.maximum(sizes, 0) * samples_per_byte
    batch_size = BATCH_CLIPS
    while batch_size > 1:
        filled = np.zeros(-(-len(lengths) // batch_size) * batch_size)
        filled[: len(lengths)] = lengths
        batches = filled.reshape(-1, batch_size)
        without_longest = batches.sum(axis=1) - batches.max(axis=1)
        is_small = batch_size * float(np.median(lengths)) <= BATCH_SAMPLES
        if is_small and float(without_longest.max()) <= BATCH_SAMPLES:
            break
        batch_size //= 2
    return batch_size


def read_clip_stats(decoded: Dataset) -> pa.Table:
    """Read the columns of a decoded table that have a few bytes per clip, see `decode_batch`."""
    return copy_columns(decoded, ["num_samples", "file_rate", "peak", "hash", "error"])


def _decode_and_count(batch: pa.Table, counter: SharedCounter, **options: Any) -> pa.Table:  # noqa: ANN401
    """Call `decode_batch`, and count the clips."""
    decoded = decode_batch(batch, **options)
    counter.add(len(decoded))
    return decoded


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
        column: Name of the undecoded audio column.
        sampling_rate: Rate of the waveforms in Hz.
        max_seconds: Longer clips are an error.
        release: Releases pages of the table that were read.
        is_worker: Whether this process only decodes, so that it may keep freed memory.

    Returns:
        Columns wave, num_samples, file_rate (sampling rate of the file in Hz), peak (largest
        absolute sample), hash (of the samples), fingerprint (see audio/fingerprint.py) and error
        (null if decoded); a clip with an error has an empty wave and file rate 0.
    """
    if is_worker:
        retain_freed_memory()
    waves: list[Wave] = []
    file_rates: list[int] = []
    errors: list[str | None] = []
    for clip in batch.column(column):
        try:
            if not clip.is_valid:
                raise AudioError("missing file")
            bytes_, path = clip["bytes"].as_py(), clip["path"].as_py()
            audio = decode_file(bytes_, path, max_seconds)
            waves.append(to_wave(audio, sampling_rate))
            file_rates.append(audio.sampling_rate)
            errors.append(None)
        except AudioError as error:
            waves.append(np.zeros(0, np.float32))
            file_rates.append(0)
            errors.append(str(error))
    if release is not None:
        release(batch.column(column))
    lengths = np.array([len(wave) for wave in waves], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    # Arrow reuses freed memory; numpy would get new pages from the system for each batch.
    samples = pa.concat_arrays([pa.array(wave, type=pa.float32()) for wave in waves])
    return pa.table(
        {
            "wave": pa.LargeListArray.from_arrays(pa.array(offsets), samples),
            "num_samples": pa.array(lengths),
            "file_rate": pa.array(file_rates, type=pa.int32()),
            "peak": pa.array([peak(wave) for wave in waves], type=pa.float32()),
            "hash": pa.array([hash_wave(wave) for wave in waves], type=pa.string()),
            "fingerprint": pa.array(
                [make_fingerprint(wave, sampling_rate).tobytes() for wave in waves],
                type=pa.binary(),
            ),
            "error": pa.array(errors, type=pa.string()),
        }
    )
