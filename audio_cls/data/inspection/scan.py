"""DatasetScan: statistics of every clip of a data set, decoded at the rate of its file.

Nothing is cached.
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
from audio_cls.audio.waveform import SILENT_PEAK, Wave, mix_channels, peak, resample
from audio_cls.config import DataConfig, Hertz
from audio_cls.data.clips.quality import describe_excess
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
from audio_cls.data.loaded_dataset import LoadedDataset, list_columns
from audio_cls.data.splits.clip_index import build_clip_index
from audio_cls.data.splits.splits import make_splits
from audio_cls.data.unused_columns import GROUP_COLUMNS, Unused, find_unused, read_column
from audio_cls.errors import AudioClsError, AudioError, DatasetError, list_names, suggest_name

PRINT_RATE: Hertz = 16_000  # of the clip centres that are compared
CLIPS_AT_ONCE = 20  # clips between two reports of progress


@dataclass(frozen=True)
class ClipStats:
    """Statistics of one clip."""

    seconds: float = 0.0
    sampling_rate: int = 0  # Hz of the file
    num_channels: int = 0
    encoding: str = ""
    peak: float = 0.0  # largest absolute sample after mixing to mono
    is_cancelled: bool = False  # silent after mixing to mono, not before
    lost_share: float = 0.0  # share of the energy that resampling to PRINT_RATE removes
    hash: str = ""  # of the decoded audio; empty for an unusable clip
    fingerprint: bytes = b""  # see audio/fingerprint.py
    error: str | None = None  # why the clip is unusable


@dataclass
class DatasetScan:
    """A data set, and the statistics of the clips that have been read."""

    cfg: DataConfig
    dataset: LoadedDataset
    labels: Labels | None
    label_error: str | None  # why there are no labels
    keyword_error: str | None  # why the settings of keyword spotting are ignored
    split_error: str | None  # why the clips cannot be split
    loaded: LoadedDataset  # before keyword spotting
    table: Dataset  # the audio column of all splits
    split_of: NDArray[np.str_]  # (number of clips,), split of each clip
    groups: dict[str, list[str]]  # group column -> group of each clip as text
    unused: list[Unused]  # columns and file names that no setting uses
    stats: dict[int, ClipStats] = field(default_factory=dict)  # row -> statistics

    @property
    def num_clips(self) -> int:
        """Count the clips of all splits."""
        return len(self.table)

    @property
    def ids(self) -> NDArray[np.str_]:
        """Return the clip ids, (number of clips,)."""
        return self.dataset.ids

    def read(self) -> Iterator[int]:
        """Scan every clip; yield the number of scanned clips."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # libsndfile releases the GIL
            for start in range(0, self.num_clips, CLIPS_AT_ONCE):
                rows = range(start, min(start + CLIPS_AT_ONCE, self.num_clips))
                self.stats.update(zip(rows, pool.map(self._scan, rows), strict=True))
                yield len(self.stats)

    def read_clip(self, row: int) -> tuple[bytes | None, str | None]:
        """Return the bytes and the path of one clip, each None if there is none."""
        clip = self.table[row].column(0)[0]
        return (clip["bytes"].as_py(), clip["path"].as_py()) if clip.is_valid else (None, None)

    def find_train_error(self, cfg: DataConfig) -> str | None:
        """Return why training by these settings would stop before its first step; None if not.

        Args:
            cfg: Settings with the same data set and columns as those of the scan.
        """
        bad = {str(self.ids[r]): one.error for r, one in sorted(self.stats.items()) if one.error}
        try:
            dataset = relabel_keywords(self.loaded, cfg)
            labels = parse_labels(dataset, cfg)
            make_splits(build_clip_index(dataset, labels, cfg), cfg)
        except AudioClsError as error:
            return str(error)
        return describe_excess(bad, self.num_clips, cfg)

    def find_near_pairs(self) -> list[tuple[int, int, float]]:
        """List (row, row, similarity) of near duplicates among the clips that have been read.

        Exact duplicates and silent clips are left out.
        """
        first: dict[str, int] = {}
        for row, stats in sorted(self.stats.items()):
            if stats.error is None and stats.peak >= SILENT_PEAK:
                first.setdefault(stats.hash, row)
        rows = list(first.values())

        def read_wave(place: int) -> Wave:
            return center_crop(decode_file(*self.read_clip(rows[place])))

        def compare(pairs: Pairs) -> NDArray[np.float64]:
            blocks = np.array_split(pairs, len(pairs) // PAIRS_AT_ONCE + 1)
            compare_block = functools.partial(waveform_correlation, read_wave, PRINT_RATE)
            with ThreadPoolExecutor(os.cpu_count()) as pool:  # nearly all of it is decoding
                return np.concatenate(list(pool.map(compare_block, blocks)))

        pairs = find_near_duplicates(
            [to_fingerprint(self.stats[row].fingerprint) for row in rows], compare
        )
        return [(rows[one], rows[two], similarity) for one, two, similarity in pairs]

    def _scan(self, row: int) -> ClipStats:
        """Return the statistics of one clip."""
        return scan_clip(*self.read_clip(row), self.cfg)


def open_scan(cfg: DataConfig) -> DatasetScan:
    """Load a data set and its labels; no clip is decoded. Downloads.

    Raises:
        DatasetError: There is no such data set or audio column.
    """
    loaded = load_dataset(cfg)
    dataset, cfg, keyword_fault = _relabel(loaded, cfg)
    labels, label_fault = None, None
    try:
        labels = parse_labels(dataset, cfg)
    except DatasetError as error:
        label_fault = str(error)
    return DatasetScan(
        cfg=cfg,
        dataset=dataset,
        labels=labels,
        label_error=label_fault,
        keyword_error=keyword_fault,
        split_error=None if labels is None else _find_split_error(dataset, labels, cfg),
        loaded=loaded,
        table=dataset.concatenate_audio().with_format("arrow"),
        split_of=np.repeat(list(dataset.splits), [len(table) for table in dataset.splits.values()]),
        groups=read_groups(dataset, cfg.group_column),
        unused=find_unused(dataset, labels, cfg),
    )


def _find_split_error(dataset: LoadedDataset, labels: Labels, cfg: DataConfig) -> str | None:
    """Return why training could not split the clips by these settings; None if it could."""
    try:
        make_splits(build_clip_index(dataset, labels, cfg), cfg)
    except AudioClsError as error:
        return str(error)
    return None


def _relabel(
    dataset: LoadedDataset, cfg: DataConfig
) -> tuple[LoadedDataset, DataConfig, str | None]:
    """Relabel the clips for keyword spotting, unless its settings do not fit the labels.

    Returns:
        The data set, the settings that apply to it, and why others were left out.
    """
    try:
        return relabel_keywords(dataset, cfg), cfg, None
    except DatasetError as error:
        plain = dataclasses.replace(cfg, keywords=(), unknown_from=(), silence_from=None)
        return dataset, plain, str(error)


def scan_clip(bytes_: bytes | None, path: str | None, cfg: DataConfig) -> ClipStats:
    """Decode one file, and return its statistics.

    Args:
        bytes_: The encoded file; None to read `path`.
        path: The file.
        cfg: `min_clip_seconds` and `max_clip_seconds`.
    """
    try:
        audio = decode_file(bytes_, path, cfg.max_clip_seconds)
    except AudioError as error:
        return ClipStats(error=str(error))
    samples, rate = audio.samples, audio.sampling_rate
    seconds = len(samples) / rate
    digest = hashlib.blake2b(np.ascontiguousarray(samples).tobytes(), digest_size=16)
    digest.update(f"{rate}/{samples.shape[1]}".encode())
    mono_peak = peak(mix_channels(samples))
    center = center_crop(audio)
    return ClipStats(
        seconds=seconds,
        sampling_rate=rate,
        num_channels=samples.shape[1],
        encoding=audio.encoding,
        peak=mono_peak,
        is_cancelled=mono_peak < SILENT_PEAK <= peak(samples),
        lost_share=measure_lost(audio, center),
        hash=digest.hexdigest(),
        fingerprint=make_fingerprint(center, PRINT_RATE).tobytes(),
        error=f"too short: {seconds:.3f} s" if seconds < cfg.min_clip_seconds else None,
    )


def center_crop(audio: DecodedAudio) -> Wave:
    """Return the centre of a clip, (T,) at PRINT_RATE, one second longer than what is compared."""
    try:
        return resample(_crop_center(audio), audio.sampling_rate, PRINT_RATE)
    except AudioError:  # too few samples to resample
        return np.zeros(0, np.float32)


def measure_lost(audio: DecodedAudio, center: Wave) -> float:
    """Return the share of the energy that resampling to PRINT_RATE removes, from 0 to 1.

    Args:
        audio: A clip at the rate of its file.
        center: Its `center_crop`.
    """
    before = np.square(_crop_center(audio), dtype=np.float64)
    if audio.sampling_rate <= PRINT_RATE or len(center) == 0 or not before.any():
        return 0.0
    left = np.square(center, dtype=np.float64).mean() / before.mean()
    return float(np.clip(1 - left, 0, 1))


def _crop_center(audio: DecodedAudio) -> Wave:
    """Return the centre of a clip, mixed to mono, (T,) at the rate of its file."""
    length = round((MAX_SECONDS + 1) * audio.sampling_rate)
    start = max(0, (len(audio.samples) - length) // 2)
    return mix_channels(audio.samples[start : start + length])


def read_groups(dataset: LoadedDataset, wanted: str | None) -> dict[str, list[str]]:
    """Read the group columns: the wanted one, else those with usual names (`GROUP_COLUMNS`).

    Raises:
        DatasetError: There is no wanted column.
    """
    columns = list_columns(dataset.splits)
    if wanted is not None and wanted not in columns:
        raise DatasetError(
            f"There is no column '{wanted}' for --group-column: the columns are"
            f" {list_names(columns)}.{suggest_name(wanted, columns)}"
        )
    names = [wanted] if wanted is not None else [c for c in columns if c.lower() in GROUP_COLUMNS]
    return {name: read_column(dataset, name) for name in names}
