"""A source's splits -> decoded clips, the bad ones set aside with their reasons."""

from __future__ import annotations

import csv
import hashlib
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from datasets import concatenate_datasets
from numpy.typing import NDArray

from audio_cls.config import DataConfig, Hertz
from audio_cls.data.clips.clips import Clips
from audio_cls.data.clips.decode_cache import decode_clips, read_clip_stats
from audio_cls.data.clips.quality import (
    SILENT_PEAK,
    enforce_bad_audio_limit,
    find_unusable_clips,
    warn_of_lost_frequencies,
)
from audio_cls.data.dataset_fingerprint import make_dataset_fingerprint
from audio_cls.data.duplicates.exact import Duplicate, audio_group_ids, save_duplicates
from audio_cls.data.duplicates.near import (
    NearDuplicate,
    announce_near_pairs,
    find_near_pairs,
    save_near_pairs,
)
from audio_cls.data.final_splits import DecodedPool, cap_splits, settle_splits
from audio_cls.data.labels.labels import Labels
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.data.splits.clip_index import ClipIndex
from audio_cls.data.splits.splits import Splits
from audio_cls.data.splits.train_test_split import Groups, Rows, limit_rows
from audio_cls.data.streaming.bad_clips import FOLDER, read_bad_clips
from audio_cls.data.streaming.clips import StreamClips, make_stream_clips
from audio_cls.errors import DatasetError, list_names
from audio_cls.run_warnings import warn
from audio_cls.storage.files import open_replaced
from audio_cls.storage.keys import make_key
from audio_cls.storage.process_memory import release_pages


@dataclass(frozen=True)
class PreparedClips:
    """What training and evaluation hear, and what was set aside."""

    train: Clips | StreamClips
    validation: Clips
    test: Clips
    splits: Splits  # how they were chosen
    num_available: dict[str, int]  # see `FinalSplits`
    check: dict[str, Any]  # what the splits have in common, see `check_splits`
    bad: dict[str, str]  # clip id -> reason
    duplicates: list[Duplicate]  # clips whose sound another clip has
    are_duplicates_dropped: bool  # such clips were left out
    near_pairs: list[NearDuplicate]  # clips that sound nearly the same
    groups: list[tuple[str, str, str]]  # (id, group, fold) of the clips that have one of the two
    decode_seconds: float = 0.0  # next to nothing where the cache had the waves
    # role -> hashes of some of its clips, see `make_dataset_fingerprint`; not of streamed clips
    fingerprints: dict[str, list[int]] = field(default_factory=dict)

    def items(self) -> list[tuple[str, Clips]]:
        """Return (role, clips) of the splits on this disk: all three, unless train is streamed."""
        parts = [("train", self.train), ("validation", self.validation), ("test", self.test)]
        return [(role, clips) for role, clips in parts if isinstance(clips, Clips)]

    def read_bad(self, folder: Path) -> dict[str, str]:
        """Return the clips set aside, those of a stream that the run in `folder` met included."""
        return {**self.bad, **read_bad_clips(folder / FOLDER)}

    def hash_rows(self) -> str:
        """Return the SHA-256 of the ids and labels of all clips by role, but for streamed ones."""
        digest = hashlib.sha256()
        for role, clips in self.items():
            digest.update("\n".join([role, str(len(clips)), *clips.ids, ""]).encode())
            digest.update(np.ascontiguousarray(clips.labels).tobytes())
        return digest.hexdigest()

    def save_lists(self, folder: Path) -> None:
        """Write `splits/ROLE.txt`, one clip id per line.

        splits/groups.csv, a row for each clip with a group or fold, is there for publishing, which
        has to know whether the ids hold names of groups. It is never published itself.
        """
        (folder / "splits").mkdir(exist_ok=True)
        with open_replaced(folder / "splits" / "groups.csv") as file:
            csv.writer(file).writerows([("id", "group", "fold"), *self.groups])
        for role, clips in self.items():
            with open_replaced(folder / "splits" / f"{role}.txt") as file:
                file.writelines(f"{clip}\n" for clip in clips.ids)

    def save(self, folder: Path) -> None:
        """Write the lists of the splits, bad_audio.csv and duplicates.csv."""
        self.save_lists(folder)
        with open_replaced(folder / "bad_audio.csv") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "reason"])
            writer.writerows(self.read_bad(folder).items())
        save_duplicates(folder / "duplicates.csv", self.duplicates)
        save_near_pairs(folder / "near_duplicates.csv", self.near_pairs)


def prepare_clips(
    source: LoadedDataset,
    labels: Labels,
    pool: ClipIndex,
    splits: Splits,
    sampling_rate: Hertz,
    cfg: DataConfig,
) -> PreparedClips:
    """Decode the clips of the three splits, capped as asked for. Writes the cache of waves.

    Raises:
        DatasetError: More than `cfg.max_bad_audio_ratio` of the clips are unusable, or see
            `settle_splits`.
    """
    streamed = None
    if source.shards is not None:
        streamed = make_stream_clips(source, source.shards, labels, sampling_rate, cfg)
    rows = cap_splits(splits, pool, cfg)
    started = time.perf_counter()
    every, found = _decode_pool(source, pool, rows, sampling_rate, cfg)
    seconds = time.perf_counter() - started
    final = settle_splits(splits, rows, pool, found, cfg)
    place = np.full(len(pool.ids), -1)
    place[every.labels] = np.arange(len(every))  # row of the pool -> row of `every`
    at = {role: place[own] for role, own in final.rows.items()}
    parts: dict[str, Any] = {
        role: Clips(
            every.table, at[role], pool.stratify_targets[own], pool.ids[own],
            every.lengths[at[role]], sampling_rate, groups=_take(pool.groups, own),
        )
        for role, own in final.rows.items()
    }  # fmt: skip
    near_pairs = find_near_pairs(at, every, found.sounds[every.labels])
    announce_near_pairs(near_pairs)
    release_pages(every.table.data.column("wave"))  # which lie between the columns read here
    if streamed is not None:
        parts["train"] = streamed
    return PreparedClips(
        **parts,
        splits=final.splits,
        num_available=final.num_available,
        check=final.check,
        bad=found.faults,
        duplicates=final.duplicates,
        are_duplicates_dropped=cfg.deduplicate,
        near_pairs=near_pairs,
        groups=_list_groups(pool, np.flatnonzero(place >= 0)),
        decode_seconds=seconds,
        fingerprints={
            role: make_dataset_fingerprint(source, pool, pool.ids[own].tolist())
            for role, own in final.rows.items()
            if len(own)
        },
    )


def _take(groups: Groups | None, rows: Rows) -> Groups | None:
    """Return the groups of these rows, if there are groups."""
    return None if groups is None else groups[rows]


def _list_groups(pool: ClipIndex, rows: Rows) -> list[tuple[str, str, str]]:
    """Return (id, group, fold) of the clips in these rows that have a group or a fold."""
    none = np.full(len(pool.ids), "")
    columns = [pool.ids, *(none if c is None else c for c in (pool.groups, pool.folds))]
    parts = zip(*(column[rows].tolist() for column in columns), strict=True)
    return [(clip, group, fold) for clip, group, fold in parts if group or fold]


def _decode_pool(
    source: LoadedDataset,
    pool: ClipIndex,
    rows: dict[str, Rows],
    sampling_rate: Hertz,
    cfg: DataConfig,
) -> tuple[Clips, DecodedPool]:
    """Decode the clips of these rows, and find those that cannot be used.

    Returns:
        All that were decoded, where a label is the row of the pool; and what was found out.
    """
    columns = [table.select_columns([source.audio_column]) for table in source.splits.values()]
    table, ids = concatenate_datasets(columns), pool.ids
    is_wanted = np.zeros(len(ids), dtype=np.bool_)
    is_wanted[np.concatenate(list(rows.values()))] = True
    wanted = np.flatnonzero(is_wanted)
    own_ids = ids if len(wanted) == len(ids) else ids[wanted]
    key = make_key(source=source.content_key, clips=own_ids)
    if len(wanted) < len(table):
        table = table.select(wanted)
    decoded = decode_clips(table, source.audio_column, sampling_rate, key, cfg.max_clip_seconds)
    notes = read_clip_stats(decoded)
    lengths: NDArray[np.int64] = notes["num_samples"].to_numpy()
    warn_of_lost_frequencies(notes["file_rate"].to_numpy(), sampling_rate)
    faults = find_unusable_clips(notes, own_ids, sampling_rate, cfg)
    enforce_bad_audio_limit(faults, len(wanted), cfg)
    is_silent = notes["peak"].to_numpy() < SILENT_PEAK
    sounds, is_good = np.full(len(ids), -1), np.zeros(len(ids), dtype=np.bool_)
    sounds[wanted] = np.where(is_silent, -1, audio_group_ids(notes["hash"]))
    is_good[wanted] = [name not in faults for name in own_ids]
    every = Clips(decoded, np.arange(len(wanted)), wanted, own_ids, lengths, sampling_rate)
    return every, DecodedPool(is_good, sounds, faults)


def prepare_split(
    source: LoadedDataset, pool: ClipIndex, rows: Rows, sampling_rate: Hertz, cfg: DataConfig
) -> tuple[Clips, dict[str, str]]:
    """Decode these rows of the pool, capped by `--max-eval-samples` as in training.

    Writes the cache of waves.

    Returns:
        The clips that can be used, and {clip id: reason} of the others.

    Raises:
        DatasetError: More than `cfg.max_bad_audio_ratio` of the clips are bad, or none is left.
    """
    own = limit_rows(rows, pool.stratify_targets, cfg.max_eval_samples, cfg.split_seed)
    sounds = [table.select_columns([source.audio_column]) for table in source.splits.values()]
    table = concatenate_datasets(sounds).select(own)
    key = make_key(source=source.content_key, clips=pool.ids[own])
    decoded = decode_clips(table, source.audio_column, sampling_rate, key, cfg.max_clip_seconds)
    notes = read_clip_stats(decoded)
    warn_of_lost_frequencies(notes["file_rate"].to_numpy(), sampling_rate)
    faults = find_unusable_clips(notes, pool.ids[own], sampling_rate, cfg)
    enforce_bad_audio_limit(faults, len(own), cfg)
    kept = np.flatnonzero([name not in faults for name in pool.ids[own]])
    if len(kept) == 0:
        raise DatasetError(f"No clip is left; the first faults: {list_names(faults.items())}")
    lengths = notes["num_samples"].to_numpy()[kept]
    row = own[kept]
    clips = Clips(
        decoded, kept, pool.stratify_targets[row], pool.ids[row], lengths, sampling_rate,
        groups=_take(pool.groups, row),
    )  # fmt: skip
    return clips, faults


logger = logging.getLogger(__name__)


def warn_of_short_clips(clips: PreparedClips, min_samples: int) -> None:
    """Warn of clips that are shorter than what a model needs for one frame.

    Args:
        clips: The clips of all splits; streamed ones are not known yet.
        min_samples: Samples of the shortest wave that the model takes, at its sampling rate.
    """
    for role, part in clips.items():
        names = part.ids[part.lengths < min_samples]
        if len(names):
            seconds = min_samples / part.sampling_rate
            warn(
                logger,
                f"{len(names)} of {len(part)} {role} clips are shorter than {seconds:.3g} s, the"
                " shortest that the model takes: silence is added to them.",
                names.tolist(),
            )
