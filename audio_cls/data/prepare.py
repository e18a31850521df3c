"""Prepare clips: decode the rows of the splits, and leave out unusable clips with their reasons."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset
from numpy.typing import NDArray

from audio_cls.audio.waveform import SILENT_PEAK
from audio_cls.config import AudioConfig, DataConfig, Hertz
from audio_cls.data.clips.clips import Clips
from audio_cls.data.clips.decode_cache import decode_clips, read_clip_stats
from audio_cls.data.clips.quality import (
    enforce_bad_audio_limit,
    find_unusable_clips,
    warn_of_lost_frequencies,
)
from audio_cls.data.dataset_fingerprint import make_dataset_fingerprint
from audio_cls.data.duplicates.exact import Duplicate, audio_group_ids, save_duplicates
from audio_cls.data.duplicates.near import (
    NearDuplicate,
    list_near_duplicates,
    save_near_duplicates,
    warn_of_near_duplicates,
)
from audio_cls.data.final_splits import DecodeResult, cap_splits, finalize_splits
from audio_cls.data.labels.labels import Labels
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.data.splits.clip_index import ClipIndex
from audio_cls.data.splits.splits import Splits
from audio_cls.data.splits.train_test_split import Rows, limit_rows
from audio_cls.data.streaming.bad_clips import FOLDER, read_bad_clips
from audio_cls.data.streaming.clips import StreamClips, make_stream_clips
from audio_cls.errors import DatasetError, count_of, list_names
from audio_cls.run_warnings import warn
from audio_cls.storage.files import replace_file, write_csv
from audio_cls.storage.keys import make_key
from audio_cls.storage.process_memory import release_pages

FEW_AUDIO = 0.1  # share of the training audio that an epoch uses, below which is a warning

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedClips:
    """The clips of training, validation and test, and the clips left out."""

    train: Clips | StreamClips
    validation: Clips  # without any clip if `splits.has_validation` is false
    test: Clips
    splits: Splits  # how they were chosen
    num_available: dict[str, int]  # see `FinalSplits`
    check: dict[str, Any]  # what the splits share, see `check_splits`
    bad: dict[str, str]  # id of an unusable clip -> reason
    duplicates: list[Duplicate]  # clips whose audio another clip has
    are_duplicates_dropped: bool
    near_duplicates: list[NearDuplicate]
    groups: list[tuple[str, str, str]]  # (id, group, fold) of clips that have a group or fold
    decode_seconds: float = 0.0  # near 0 if the decode cache was used
    # role -> hashes of some of its clips, see `make_dataset_fingerprint`; not of streamed clips
    fingerprints: dict[str, list[int]] = field(default_factory=dict)

    def items(self) -> list[tuple[str, Clips]]:
        """Return (role, clips) of the splits that are decoded and have clips."""
        parts = [("train", self.train), ("validation", self.validation), ("test", self.test)]
        return [(role, clips) for role, clips in parts if isinstance(clips, Clips) and len(clips)]

    def read_bad(self, folder: Path) -> dict[str, str]:
        """Return the unusable clips, including streamed ones logged by the run in `folder`."""
        return {**self.bad, **read_bad_clips(folder / FOLDER)}

    def hash_rows(self) -> str:
        """Return the SHA-256 of ids and labels of all decoded clips by role."""
        digest = hashlib.sha256()
        for role, clips in self.items():
            digest.update("\n".join([role, str(len(clips)), *clips.ids, ""]).encode())
            digest.update(np.ascontiguousarray(clips.labels).tobytes())
        return digest.hexdigest()

    def save_lists(self, folder: Path) -> None:
        """Write `splits/ROLE.txt`, one clip id per line, and `splits/groups.csv`.

        groups.csv is read before publishing, to find names of groups in ids. It is never published.
        """
        (folder / "splits").mkdir(exist_ok=True)
        write_csv(folder / "splits" / "groups.csv", ["id", "group", "fold"], self.groups)
        for role, clips in self.items():
            text = "".join(f"{clip}\n" for clip in clips.ids)
            replace_file(folder / "splits" / f"{role}.txt", text)

    def save(self, folder: Path) -> None:
        """Write the split lists, bad_audio.csv, duplicates.csv and near_duplicates.csv."""
        self.save_lists(folder)
        write_csv(folder / "bad_audio.csv", ["id", "reason"], self.read_bad(folder).items())
        save_duplicates(folder / "duplicates.csv", self.duplicates)
        save_near_duplicates(folder / "near_duplicates.csv", self.near_duplicates)


@dataclass(frozen=True)
class _DecodedRows:
    """Rows of the clip index, decoded; D rows."""

    index: ClipIndex
    rows: Rows  # (D,) of the index
    table: Dataset  # D rows, see `decode_batch`
    stats: pa.Table  # D rows, see `read_clip_stats`
    bad: dict[str, str]  # id of an unusable clip -> reason
    sampling_rate: Hertz

    def select(self, places: NDArray[np.int64]) -> Clips:
        """Return the clips of some of the D rows."""
        index, rows = self.index, self.rows[places]
        return Clips(
            self.table,
            places,
            index.stratify_targets[rows],
            index.ids[rows],
            self.stats["num_samples"].to_numpy()[places],
            self.sampling_rate,
            groups=None if index.groups is None else index.groups[rows],
        )

    def find_usable(self) -> NDArray[np.int64]:
        """Return the places of the usable clips among the D rows."""
        return np.flatnonzero([name not in self.bad for name in self.index.ids[self.rows]])

    def to_result(self) -> DecodeResult:
        """Return the result of decoding for all rows of the index."""
        num_clips = len(self.index.ids)
        is_usable, audio_ids = np.zeros(num_clips, dtype=np.bool_), np.full(num_clips, -1)
        is_usable[self.rows[self.find_usable()]] = True
        is_silent = self.stats["peak"].to_numpy() < SILENT_PEAK
        audio_ids[self.rows] = np.where(is_silent, -1, audio_group_ids(self.stats["hash"]))
        return DecodeResult(is_usable, audio_ids, self.bad)


def prepare_clips(
    dataset: LoadedDataset,
    labels: Labels,
    index: ClipIndex,
    splits: Splits,
    sampling_rate: Hertz,
    cfg: DataConfig,
) -> PreparedClips:
    """Decode the clips of the three splits, capped by the settings. Writes the decode cache.

    Args:
        dataset: The data set.
        labels: Its labels.
        index: Its clips.
        splits: Rows of the index.
        sampling_rate: Rate of the waveforms in Hz.
        cfg: Settings.

    Raises:
        DatasetError: More than `cfg.max_bad_audio_ratio` of the clips are unusable, or see
            `finalize_splits` and `make_stream_clips`.
    """
    streamed = None
    if dataset.shards is not None:
        streamed = make_stream_clips(dataset, dataset.shards, labels, sampling_rate, cfg)
    rows = cap_splits(splits, index, cfg)
    started = time.perf_counter()
    all_rows = np.unique(np.concatenate(list(rows.values())))
    decoded = _decode_rows(dataset, index, all_rows, sampling_rate, cfg)
    seconds = time.perf_counter() - started
    result = decoded.to_result()
    final = finalize_splits(splits, rows, index, result, cfg)
    places = {
        role: np.searchsorted(all_rows, split_rows) for role, split_rows in final.rows.items()
    }
    parts: dict[str, Any] = {
        role: decoded.select(split_rows) for role, split_rows in places.items()
    }
    every = decoded.select(np.arange(len(all_rows)))
    near_duplicates = list_near_duplicates(places, every, result.audio_ids[all_rows])
    warn_of_near_duplicates(near_duplicates)
    release_pages(decoded.table.data.column("wave"))  # between the columns that were read here
    if streamed is not None:
        parts["train"] = streamed
    return PreparedClips(
        **parts,
        splits=final.splits,
        num_available=final.num_available,
        check=final.check,
        bad=decoded.bad,
        duplicates=final.duplicates,
        are_duplicates_dropped=cfg.deduplicate,
        near_duplicates=near_duplicates,
        groups=_list_groups(index, all_rows),
        decode_seconds=seconds,
        fingerprints={
            role: make_dataset_fingerprint(dataset, index, index.ids[split_rows].tolist())
            for role, split_rows in final.rows.items()
            if len(split_rows)
        },
    )


def prepare_split(
    dataset: LoadedDataset, index: ClipIndex, rows: Rows, sampling_rate: Hertz, cfg: DataConfig
) -> tuple[Clips, dict[str, str]]:
    """Decode rows of the index, capped by `--max-eval-samples`. Writes the decode cache.

    Returns:
        The usable clips, and {clip id: reason} of the others.

    Raises:
        DatasetError: More than `cfg.max_bad_audio_ratio` of the clips are unusable, or all are.
    """
    capped = limit_rows(rows, index.stratify_targets, cfg.max_eval_samples, cfg.split_seed)
    decoded = _decode_rows(dataset, index, capped, sampling_rate, cfg)
    usable = decoded.find_usable()
    if len(usable) == 0:
        raise DatasetError(
            f"None of {count_of(len(capped), 'clip')} can be used; first reasons:"
            f" {list_names(f'{clip} ({reason})' for clip, reason in decoded.bad.items())}. Repair"
            " them, or check --dataset and --audio-column."
        )
    return decoded.select(usable), decoded.bad


def _decode_rows(
    dataset: LoadedDataset, index: ClipIndex, rows: Rows, sampling_rate: Hertz, cfg: DataConfig
) -> _DecodedRows:
    """Decode rows of the index, and find unusable clips.

    Raises:
        DatasetError: More than `cfg.max_bad_audio_ratio` of the clips are unusable.
    """
    table, ids = dataset.concatenate_audio(), index.ids
    if not np.array_equal(rows, np.arange(len(ids))):
        table, ids = table.select(rows), ids[rows]
    key = make_key(source=dataset.content_key, clips=ids)
    decoded = decode_clips(table, dataset.audio_column, sampling_rate, key, cfg.max_clip_seconds)
    stats = read_clip_stats(decoded)
    warn_of_lost_frequencies(stats["file_rate"].to_numpy(), sampling_rate)
    bad = find_unusable_clips(stats, ids, sampling_rate, cfg)
    enforce_bad_audio_limit(bad, len(rows), cfg)
    return _DecodedRows(index, rows, decoded, stats, bad, sampling_rate)


def _list_groups(index: ClipIndex, rows: Rows) -> list[tuple[str, str, str]]:
    """Return (id, group, fold) of the clips in these rows that have a group or a fold."""
    none = np.full(len(index.ids), "")
    columns = [index.ids, *(none if c is None else c for c in (index.groups, index.folds))]
    parts = zip(*(column[rows].tolist() for column in columns), strict=True)
    return [(clip, group, fold) for clip, group, fold in parts if group or fold]


def warn_of_long_clips(clips: Clips | StreamClips, cfg: AudioConfig) -> None:
    """Warn where an epoch uses a small part of the audio: one random crop of each long clip.

    Args:
        clips: The training clips.
        cfg: Length and position of a crop.
    """
    if isinstance(clips, StreamClips) or cfg.crop != "random" or len(clips) == 0:
        return
    longest = cfg.piece_seconds * clips.sampling_rate
    share = float(np.minimum(clips.lengths, longest).sum() / clips.lengths.sum())
    if share < FEW_AUDIO:
        hours = clips.lengths.sum() / clips.sampling_rate / 3600
        text = (
            f"An epoch uses one crop of at most {cfg.piece_seconds:g} s of each training clip:"
            f" {100 * share:.1f} % of {hours:.1f} hours. Divide long clips into segments (a"
            " table with the columns path, start, end and label), or train for more epochs."
        )
        warn(logger, text)


def warn_of_short_clips(clips: PreparedClips, min_samples: int) -> None:
    """Warn of decoded clips that are shorter than the model's shortest input.

    Args:
        clips: The clips of all splits.
        min_samples: Shortest input in samples, at the model's sampling rate.
    """
    for role, part in clips.items():
        names = part.ids[part.lengths < min_samples]
        if len(names):
            seconds = min_samples / part.sampling_rate
            warn(
                logger,
                f"Padded with silence: {len(names):,} of {count_of(len(part), f'{role} clip')}"
                f" shorter than {seconds:.3g} s, the shortest input of the model.",
                names.tolist(),
            )
