"""What is in a data set: every clip is decoded once, at its own rate, and what it is like is noted.

In: the settings of a data set. Out: an `DatasetScan`, one `ClipStats` a clip; summary.py counts
them, page.py shows them. Nothing is cached and nothing is resampled. The first clips are taken
evenly from the whole data set, so that an early answer is a fair one.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from audio_cls.audio.decode import DecodedAudio, decode_file
from audio_cls.audio.fingerprint import MAX_SECONDS, make_fingerprint
from audio_cls.audio.waveform import Wave, mix_channels, peak, resample
from audio_cls.config import DataConfig, Hertz
from audio_cls.data.clips.quality import SILENT_PEAK
from audio_cls.data.duplicates.near import to_fingerprint
from audio_cls.data.duplicates.similarity import (
    PAIRS_AT_ONCE,
    Pairs,
    find_near_duplicates,
    waveform_correlation,
)
from audio_cls.data.keyword_spotting.relabel import relabel_keywords
from audio_cls.data.labels.labels import Labels, parse_labels
from audio_cls.data.load import load_dataset
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.data.unused_columns import GROUP_COLUMNS, Unused, find_unused, read_column
from audio_cls.errors import AudioError, DatasetError

FIRST_CLIPS = 200  # clips after which there is a first answer
PRINT_RATE: Hertz = 16_000  # of the middles of clips that are compared
CLIPS_AT_ONCE = 20  # clips between two reports of progress


@dataclass(frozen=True)
class ClipStats:
    """What one clip is like."""

    seconds: float = 0.0
    sampling_rate: int = 0  # Hz of the file
    num_channels: int = 0
    encoding: str = ""
    peak: float = 0.0  # largest absolute sample after mixing to mono
    is_cancelled: bool = False  # silent after mixing to mono, not before
    lost_share: float = 0.0  # of the energy, above what sound at PRINT_RATE holds
    hash: str = ""  # of the decoded sound; empty for a clip that cannot be used
    print: bytes = b""  # its picture, see prints.py
    fault: str | None = None


@dataclass
class DatasetScan:
    """A data set and what has been noted of it so far."""

    cfg: DataConfig
    source: LoadedDataset
    labels: Labels | None
    label_fault: str | None  # why there are no labels
    keyword_fault: str | None  # why the settings for keyword spotting are left out
    table: Dataset  # all splits, the audio column only
    split_of: NDArray[np.str_]  # (number of clips,)
    ids: NDArray[np.str_]  # (number of clips,)
    groups: dict[str, list[str]]  # group column -> each clip's group as text
    unused: list[Unused]  # columns and names that say what no setting uses
    notes: dict[int, ClipStats] = field(default_factory=dict)  # row -> note

    @property
    def num_clips(self) -> int:
        """Count the clips of all splits."""
        return len(self.table)

    def read(self) -> Iterator[int]:
        """Note every clip; yield how many are done, after `FIRST_CLIPS` in any case."""
        order = order_clips(self.num_clips)
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # libsndfile works outside Python's lock
            for start in range(0, self.num_clips, CLIPS_AT_ONCE):
                rows = order[start : start + CLIPS_AT_ONCE].tolist()
                self.notes.update(zip(rows, pool.map(self._note, rows), strict=True))
                yield len(self.notes)

    def read_clip(self, row: int) -> tuple[bytes | None, str | None]:
        """Return the bytes and the path of one clip, each None when there is none."""
        clip = self.table[row].column(0)[0]
        return (clip["bytes"].as_py(), clip["path"].as_py()) if clip.is_valid else (None, None)

    def find_near_pairs(self) -> list[tuple[int, int, float]]:
        """List two rows and their likeness for near duplicates among what was read.

        A clip that repeats another one to the letter is left out, and so is silence.
        """
        first: dict[str, int] = {}
        for row, note in sorted(self.notes.items()):
            if note.fault is None and note.peak >= SILENT_PEAK:
                first.setdefault(note.hash, row)
        rows = list(first.values())

        def read_wave(place: int) -> Wave:
            return center_crop(decode_file(*self.read_clip(rows[place])))

        def compare(pairs: Pairs) -> NDArray[np.float64]:
            blocks = np.array_split(pairs, len(pairs) // PAIRS_AT_ONCE + 1)
            compare_block = functools.partial(waveform_correlation, read_wave, PRINT_RATE)
            with ThreadPoolExecutor(os.cpu_count()) as pool:  # nearly all of it is decoding
                return np.concatenate(list(pool.map(compare_block, blocks)))

        pairs = find_near_duplicates(
            [to_fingerprint(self.notes[row].print) for row in rows], compare
        )
        return [(rows[one], rows[two], likeness) for one, two, likeness in pairs]

    def _note(self, row: int) -> ClipStats:
        """Decode one clip and note what it is like."""
        return scan_clip(*self.read_clip(row), self.cfg)


def open_inspection(cfg: DataConfig) -> DatasetScan:
    """Find the data set and its labels; no clip is decoded yet. Downloads.

    Raises:
        DatasetError: There is no such data set or audio column.
    """
    dataset, cfg, keyword_fault = _load_dataset(cfg)
    labels, label_fault = None, None
    try:
        labels = parse_labels(dataset, cfg)
    except DatasetError as error:
        label_fault = str(error)
    return DatasetScan(
        cfg=cfg,
        source=dataset,
        labels=labels,
        label_fault=label_fault,
        keyword_fault=keyword_fault,
        table=dataset.concatenate_audio().with_format("arrow"),
        split_of=np.repeat(list(dataset.splits), [len(table) for table in dataset.splits.values()]),
        ids=dataset.ids,
        groups=read_groups(dataset, cfg.group_column),
        unused=find_unused(dataset, labels, cfg),
    )


def _load_dataset(cfg: DataConfig) -> tuple[LoadedDataset, DataConfig, str | None]:
    """Load the data set, without keyword spotting where its settings do not fit the labels.

    Returns:
        The data set, the settings that apply to it, and why others were left out.
    """
    dataset = load_dataset(cfg)
    try:
        return relabel_keywords(dataset, cfg), cfg, None
    except DatasetError as error:
        plain = dataclasses.replace(cfg, keywords=(), unknown_from=(), silence_from=None)
        return dataset, plain, str(error)


def order_clips(num_clips: int) -> NDArray[np.int64]:
    """Return all rows: first `FIRST_CLIPS` evenly from the whole, then the others in their order.

    >>> order_clips(3).tolist()
    [0, 1, 2]
    """
    rows = np.arange(num_clips)
    first = np.unique(np.linspace(0, max(0, num_clips - 1), min(num_clips, FIRST_CLIPS), dtype=int))
    return np.concatenate([first, np.setdiff1d(rows, first)])


def scan_clip(bytes_: bytes | None, path: str | None, cfg: DataConfig) -> ClipStats:
    """Decode one file and note what it is like."""
    try:
        sound = decode_file(bytes_, path, cfg.max_clip_seconds)
    except AudioError as error:
        return ClipStats(fault=str(error))
    samples, rate = sound.samples, sound.sampling_rate
    seconds = len(samples) / rate
    digest = hashlib.blake2b(np.ascontiguousarray(samples).tobytes(), digest_size=16)
    digest.update(f"{rate}/{samples.shape[1]}".encode())
    mono_peak = peak(mix_channels(samples))
    middle = center_crop(sound)
    return ClipStats(
        seconds=seconds,
        sampling_rate=rate,
        num_channels=samples.shape[1],
        encoding=sound.encoding,
        peak=mono_peak,
        is_cancelled=mono_peak < SILENT_PEAK <= peak(samples),
        lost_share=measure_lost(sound, middle),
        hash=digest.hexdigest(),
        print=make_fingerprint(middle, PRINT_RATE).tobytes(),
        fault=f"too short: {seconds:.3f} s" if seconds < cfg.min_clip_seconds else None,
    )


def center_crop(sound: DecodedAudio) -> Wave:
    """Return the middle of a sound, (T,) at PRINT_RATE, a little longer than what is compared."""
    try:
        return resample(_cut_middle(sound), sound.sampling_rate, PRINT_RATE)
    except AudioError:  # a sample or two
        return np.zeros(0, np.float32)


def measure_lost(sound: DecodedAudio, middle: Wave) -> float:
    """Return the share of the energy that resampling to PRINT_RATE takes away, from 0 to 1.

    Args:
        sound: A clip at its own rate.
        middle: What `center_crop` made of it.
    """
    before = np.square(_cut_middle(sound), dtype=np.float64)
    if sound.sampling_rate <= PRINT_RATE or len(middle) == 0 or not before.any():
        return 0.0
    left = np.square(middle, dtype=np.float64).mean() / before.mean()
    return float(np.clip(1 - left, 0, 1))


def _cut_middle(sound: DecodedAudio) -> Wave:
    """Return the middle of a sound, mixed to mono, (T,) at its own rate."""
    most = round((MAX_SECONDS + 1) * sound.sampling_rate)
    start = max(0, (len(sound.samples) - most) // 2)
    return mix_channels(sound.samples[start : start + most])


def read_groups(source: LoadedDataset, wanted: str | None) -> dict[str, list[str]]:
    """Read the group columns: the wanted one, else those whose names say that they are one.

    Raises:
        DatasetError: There is no wanted column.
    """
    columns = list(dict.fromkeys(name for t in source.splits.values() for name in t.column_names))
    if wanted is not None and wanted not in columns:
        raise DatasetError(
            f"There is no column '{wanted}' for --group-column: choose of {', '.join(columns)}."
        )
    names = [wanted] if wanted is not None else [c for c in columns if c.lower() in GROUP_COLUMNS]
    return {name: read_column(source, name) for name in names}
