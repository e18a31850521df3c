"""A source's splits -> decoded clips, the bad ones set aside with their reasons."""

from __future__ import annotations

import csv
import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import concatenate_datasets
from numpy.typing import NDArray

from audio_cls.config import DataConfig, Hertz
from audio_cls.data.batches import Clips
from audio_cls.data.cuts import cap_rows
from audio_cls.data.decode_cache import decode_clips, read_notes
from audio_cls.data.faults import check_faults, find_faults
from audio_cls.data.labels import Labels
from audio_cls.data.leaks import (
    Duplicate,
    announce_duplicates,
    drop_duplicates,
    find_duplicates,
    number_sounds,
    save_duplicates,
)
from audio_cls.data.memory import release_pages
from audio_cls.data.near import (
    NearPair,
    announce_near_pairs,
    find_near_pairs,
    save_near_pairs,
)
from audio_cls.data.source import Source
from audio_cls.data.splits import Pool, Splits
from audio_cls.data.spool import FOLDER, read_faults
from audio_cls.data.stream import StreamClips
from audio_cls.errors import DatasetError, list_names
from audio_cls.storage.keys import make_key

MOST_TOLD = 20  # pairs of near duplicates named in results.json


@dataclass(frozen=True)
class PreparedClips:
    """What training and evaluation hear, and what was set aside."""

    train: Clips | StreamClips
    validation: Clips
    test: Clips
    bad: dict[str, str]  # clip id -> reason
    duplicates: list[Duplicate]  # clips whose sound another clip has
    are_duplicates_dropped: bool  # such clips were left out
    near_pairs: list[NearPair]  # clips that sound nearly the same
    decode_seconds: float = 0.0  # next to nothing where the cache had the waves

    def items(self) -> list[tuple[str, Clips]]:
        """Return (role, clips) of the splits on this disk: all three, unless train is streamed."""
        parts = [("train", self.train), ("validation", self.validation), ("test", self.test)]
        return [(role, clips) for role, clips in parts if isinstance(clips, Clips)]

    def read_bad(self, folder: Path) -> dict[str, str]:
        """Return the clips set aside, those of a stream that the run in `folder` met included."""
        return {**self.bad, **read_faults(folder / FOLDER)}

    def save(self, folder: Path) -> None:
        """Write `splits/ROLE.txt`, a clip id a line, bad_audio.csv and duplicates.csv."""
        (folder / "splits").mkdir(exist_ok=True)
        for role, clips in self.items():
            with (folder / "splits" / f"{role}.txt").open("w", encoding="utf-8") as file:
                file.writelines(f"{clip}\n" for clip in clips.ids)
        with (folder / "bad_audio.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "reason"])
            writer.writerows(self.read_bad(folder).items())
        save_duplicates(folder / "duplicates.csv", self.duplicates)
        save_near_pairs(folder / "near_duplicates.csv", self.near_pairs)


def prepare_clips(
    source: Source, pool: Pool, splits: Splits, sampling_rate: Hertz, cfg: DataConfig
) -> PreparedClips:
    """Decode the clips of the three splits, capped as asked for. Writes the cache of waves.

    Raises:
        DatasetError: More than `cfg.max_bad_share` of the clips are bad, or a split is left empty.
    """
    limits = {"train": cfg.max_train_samples}
    rows = {
        name: cap_rows(own, pool.marks, limits.get(name, cfg.max_eval_samples), cfg.split_seed)
        for name, own in splits.items()
    }
    columns = [table.select_columns([source.audio_column]) for table in source.splits.values()]
    table, ids = concatenate_datasets(columns), pool.ids
    is_wanted = np.zeros(len(ids), dtype=np.bool_)
    is_wanted[np.concatenate(list(rows.values()))] = True
    wanted = np.flatnonzero(is_wanted)
    own_ids = ids if len(wanted) == len(ids) else ids[wanted]
    key = make_key(source=source.content_key, clips=own_ids)
    if len(wanted) < len(table):
        table = table.select(wanted)
    started = time.perf_counter()
    decoded = decode_clips(table, source.audio_column, sampling_rate, key, cfg.max_clip_seconds)
    decode_seconds = time.perf_counter() - started
    place = np.full(len(ids), -1)
    place[wanted] = np.arange(len(wanted))  # row of the pool -> row of `decoded`
    notes = read_notes(decoded)
    lengths: NDArray[np.int64] = notes["num_samples"].to_numpy()
    sounds = number_sounds(notes["hash"])
    faults = find_faults(notes, own_ids, sampling_rate, cfg)
    check_faults(faults, len(wanted), cfg)
    is_good = np.array([name not in faults for name in own_ids])
    del notes
    good = {name: own[is_good[place[own]]] for name, own in rows.items()}
    good, duplicates = _find_repeats(good, np.append(sounds, -1)[place], pool, cfg)
    stream = pool.stream and dataclasses.replace(pool.stream, sampling_rate=sampling_rate)
    _check_splits({n: own for n, own in good.items() if n != "train" or not stream}, faults)
    parts: dict[str, Any] = {
        name: Clips(
            decoded, place[own], pool.marks[own], ids[own], lengths[place[own]], sampling_rate
        )
        for name, own in good.items()
    }
    every = Clips(decoded, np.arange(len(wanted)), wanted, own_ids, lengths, sampling_rate)
    near_pairs = find_near_pairs({name: place[own] for name, own in good.items()}, every, sounds)
    announce_near_pairs(near_pairs)
    release_pages(decoded.data.column("wave"))  # which lie between the columns read here
    if stream is not None:
        parts["train"] = stream
    return PreparedClips(
        **parts,
        bad=faults,
        duplicates=duplicates,
        are_duplicates_dropped=cfg.deduplicate,
        near_pairs=near_pairs,
        decode_seconds=decode_seconds,
    )


def describe_source(source: Source, labels: Labels) -> dict[str, Any]:
    """Return where clips and labels came from; of a folder only its name, never its path."""
    return {
        "id": source.name if source.is_local else source.id,
        "name": source.name,
        "config": source.config,
        "revision": source.revision,
        "is_local": source.is_local,
        "license": source.license,
        "audio_column": source.audio_column,
        "label_column": labels.column,
        "problem_type": "multi-label" if labels.is_multilabel else "single-label",
    }


def describe_data(
    source: Source, labels: Labels, splits: Splits, clips: PreparedClips
) -> dict[str, Any]:
    """Return the `dataset` part of results.json: what was used, pinned, and how it was split."""
    rows = dict(splits.items())
    return {
        **describe_source(source, labels),
        "sampling_rate": clips.train.sampling_rate,
        "decode_seconds": round(clips.decode_seconds, 2),
        "is_test_validation": splits.test_is_validation,
        "duplicates": {
            "found": len(clips.duplicates),
            "across_splits": sum(one.is_leak for one in clips.duplicates),
            "left_out": len(clips.duplicates) if clips.are_duplicates_dropped else 0,
        },
        "near_duplicates": {
            "found": len(clips.near_pairs),
            "across_splits": sum(pair.is_leak for pair in clips.near_pairs),
            "first": [[pair.id, pair.like] for pair in clips.near_pairs[:MOST_TOLD]],
        },
        "split": {
            role: {
                "name": splits.names[role],
                "origin": splits.origins[role],
                "num_available": len(rows[role]) if isinstance(part, Clips) else len(part),
                "num_examples": len(part),
                "seconds": None if part.seconds != part.seconds else round(part.seconds, 2),
            }
            for role, part in (
                ("train", clips.train),
                ("validation", clips.validation),
                ("test", clips.test),
            )
        },
    }


def _check_splits(rows: dict[str, NDArray[np.int64]], faults: dict[str, str]) -> None:
    """Refuse a split that lost all its clips."""
    for name, own in rows.items():
        if len(own) == 0:
            first = list_names(f"{clip} ({reason})" for clip, reason in faults.items())
            raise DatasetError(
                f"No clip of the {name} split can be used. Mend them, or choose another split; set"
                f" aside were {first or 'none'}."
            )


def _find_repeats(
    rows: dict[str, NDArray[np.int64]],
    sounds: NDArray[np.int64],
    pool: Pool,
    cfg: DataConfig,
) -> tuple[dict[str, NDArray[np.int64]], list[Duplicate]]:
    """Look for clips that sound the same, say so, and leave them out if that was asked for."""
    duplicates = find_duplicates(rows, sounds, pool.ids, pool.marks)
    announce_duplicates(duplicates, are_dropped=cfg.deduplicate)
    return drop_duplicates(rows, pool.ids, duplicates) if cfg.deduplicate else rows, duplicates
