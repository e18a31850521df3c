"""Every clip of a table decoded once, into Arrow files that are memory-mapped by later runs.

audio_cls/waves/KEY/
  clips.arrow, or clips_00000_of_00002.arrow ...   the clips in their order
  entry.json   the files, and rows to try again: what failed for lack of a library or a
               permission, or for an error of the disk, may be read by now
"""

from __future__ import annotations

import functools
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
from audio_cls.errors import AudioError
from audio_cls.storage.arrow import copy_columns
from audio_cls.storage.cache import CacheEntry, load_or_make
from audio_cls.storage.process_memory import PageRelease, retain_freed_memory

BATCH_SAMPLES = 2**20  # samples decoded between two writes, as far as can be foreseen: 4 MB
BATCH_CLIPS = 512  # and never more clips than this, so that the progress bar moves
NUM_PROBES = 16  # clips whose headers foretell how long the others are
BYTES_PER_SECOND = 1_000  # of a clip whose header tells no length: fewer than any codec's for music
# How reasons begin that are no property of a clip's bytes; the file's name or an error follows.
PASSING = (f"{MISSING}: ", f"{NOT_ACCESSIBLE}: ", f"{EXTRA}: ")
CLIPS_PER_PROCESS = 64  # fewer clips than this are not worth another process
FEATURES = Features(
    {
        "wave": LargeList(Value("float32")),
        "num_samples": Value("int64"),
        "file_rate": Value("int32"),
        "peak": Value("float32"),
        "hash": Value("string"),
        "print": Value("binary"),
        "fault": Value("string"),
    }
)


def decode_clips(
    table: Dataset,
    column: str,
    sampling_rate: Hertz,
    content_key: str,
    max_seconds: Seconds | None = None,
) -> Dataset:
    """Decode every clip of a table, or open the cache where that was done before. Writes the cache.

    The cache is not used when a clip can be read by now that could not be for a passing reason.

    Args:
        table: Clips with an undecoded audio column, and nothing else that decoding ignores.
        column: Name of that column.
        sampling_rate: Rate of the waves in Hz.
        content_key: What holds the clips, and which of its clips these are; see `make_decode_key`.
        max_seconds: Longer clips are bad.

    Returns:
        A memory-mapped table, row for row, with the columns of `decode_batch`. Its files are not
        deleted as long as this object is in use.
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
        if not entry.remove():  # another run uses it
            number += 1


@dataclass
class _Decoding:
    """One entry of the cache, and how to fill it."""

    entry: CacheEntry
    table: Dataset
    column: str
    sampling_rate: Hertz
    max_seconds: Seconds | None
    is_new: bool = False  # it was filled by this process

    def load(self) -> Dataset | None:
        """Map the files; None where they are not there."""
        about = self.entry.read_about()
        paths = [self.entry.path / name for name in about["files"]] if about else []
        if not paths or not all(path.is_file() for path in paths):
            return None
        parts = [Dataset.from_file(str(path)) for path in paths]
        return concatenate_datasets(parts) if len(parts) > 1 else parts[0]

    def make(self, clips: EncodedClips) -> None:
        """Decode all clips, on all cores where they are many."""
        for left in self.entry.path.glob("tmp*"):  # by a process that was killed
            left.unlink(missing_ok=True)
        batch_size = choose_batch_size(clips.sizes, self._measure_probes(clips))
        num_processes = min(os.cpu_count() or 1, len(self.table) // CLIPS_PER_PROCESS)
        options = self._options(is_worker=num_processes > 1)
        decoded = self.table.with_format("arrow").map(
            decode_batch,
            fn_kwargs={**options, "release": PageRelease()},
            batched=True,
            batch_size=batch_size,
            writer_batch_size=batch_size,
            remove_columns=self.table.column_names,
            features=FEATURES,
            num_proc=num_processes if num_processes > 1 else None,
            cache_file_name=str(self.entry.path / "clips.arrow"),
            new_fingerprint=self.entry.name,
            desc="Decoding",
        )
        faults = copy_columns(decoded, ["fault"])["fault"]
        about = {
            "what": f"{len(decoded)} clips at {self.sampling_rate} Hz",
            "files": [Path(file["filename"]).name for file in decoded.cache_files],
            "retry": find_retries(faults, clips.sizes),
        }
        self.entry.write_about(about)
        self.is_new = True

    def has_recovered(self) -> bool:
        """Tell whether a clip can be read by now that could not be when the cache was made."""
        rows = (self.entry.read_about() or {}).get("retry", [])
        table, options = self.table.with_format("arrow"), self._options(is_worker=False)
        for row in rows:
            fault = decode_batch(table[int(row)], **options)["fault"][0].as_py()
            if fault is None or not fault.startswith(PASSING):
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
        """Return the most samples that a byte of a clip holds, by the headers of some of them."""
        most = 0.0
        rows = np.unique(np.linspace(0, len(clips.sizes) - 1, NUM_PROBES, dtype=int))
        table = self.table.with_format("arrow")
        for row in rows.tolist():
            clip, size = table[row].column(self.column)[0], int(clips.sizes[row])
            if clip.is_valid and size > 0:
                seconds = measure_seconds(clip["bytes"].as_py(), clip["path"].as_py())
                seconds = seconds or size / BYTES_PER_SECOND
                most = max(most, seconds * self.sampling_rate / size)
        return most


def find_retries(faults: pa.ChunkedArray, sizes: NDArray[np.int64]) -> list[int]:
    """Return the rows to try again when the cache is opened.

    Args:
        faults: Of all clips, (N,), null for a good one.
        sizes: Of the encoded clips in bytes, (N,), -1 for a file that was missing: that it is there
            again changes the key.
    """
    missing, hindered, foreign = (
        pc.fill_null(pc.starts_with(faults, reason), fill_value=False).to_numpy()
        for reason in PASSING
    )
    rows = np.flatnonzero((missing & (sizes >= 0)) | hindered)
    return [*np.flatnonzero(foreign)[:1].tolist(), *rows.tolist()]  # one tells of the library


def choose_batch_size(sizes: NDArray[np.int64], samples_per_byte: float) -> int:
    """Return how many clips to decode at once, so that memory does not grow with their length.

    A batch holds about `BATCH_SAMPLES`, but for its longest clip, which must be decoded anyway.

    Args:
        sizes: Of the encoded clips in bytes, (N,), in their order.
        samples_per_byte: How many samples at the wanted rate a byte of them may hold.
    """
    lengths = np.maximum(sizes, 0) * samples_per_byte
    batch_size = BATCH_CLIPS
    while batch_size > 1:
        filled = np.zeros(-(-len(lengths) // batch_size) * batch_size)
        filled[: len(lengths)] = lengths
        batches = filled.reshape(-1, batch_size)
        beside_longest = batches.sum(axis=1) - batches.max(axis=1)
        is_small = batch_size * float(np.median(lengths)) <= BATCH_SAMPLES
        if is_small and float(beside_longest.max()) <= BATCH_SAMPLES:
            break
        batch_size //= 2
    return batch_size


def read_clip_stats(decoded: Dataset) -> pa.Table:
    """Read the columns of a decoded table that have a few bytes per clip, see `decode_batch`."""
    return copy_columns(decoded, ["num_samples", "file_rate", "peak", "hash", "fault"])


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
        Columns wave, num_samples, file_rate (sampling rate of the file in Hz), peak (largest
        absolute sample), hash (of the samples), print (fingerprint) and fault (null if decoded);
        a clip that cannot be decoded has an empty wave and file rate 0.
    """
    if is_worker:
        retain_freed_memory()
    waves: list[Wave] = []
    file_rates: list[int] = []
    faults: list[str | None] = []
    for clip in batch.column(column):
        try:
            if not clip.is_valid:
                raise AudioError("missing file")
            bytes_, path = clip["bytes"].as_py(), clip["path"].as_py()
            audio = decode_file(bytes_, path, max_seconds)
            waves.append(to_wave(audio, sampling_rate))
            file_rates.append(audio.sampling_rate)
            faults.append(None)
        except AudioError as error:
            waves.append(np.zeros(0, np.float32))
            file_rates.append(0)
            faults.append(str(error))
    if release is not None:
        release(batch.column(column))
    lengths = np.array([len(wave) for wave in waves], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    # Arrow keeps the memory it is given back: no fresh pages for each batch, as numpy would take.
    samples = pa.concat_arrays([pa.array(wave, type=pa.float32()) for wave in waves])
    return pa.table(
        {
            "wave": pa.LargeListArray.from_arrays(pa.array(offsets), samples),
            "num_samples": pa.array(lengths),
            "file_rate": pa.array(file_rates, type=pa.int32()),
            "peak": pa.array([peak(wave) for wave in waves], type=pa.float32()),
            "hash": pa.array([hash_wave(wave) for wave in waves], type=pa.string()),
            "print": pa.array(
                [make_fingerprint(wave, sampling_rate).tobytes() for wave in waves],
                type=pa.binary(),
            ),
            "fault": pa.array(faults, type=pa.string()),
        }
    )
