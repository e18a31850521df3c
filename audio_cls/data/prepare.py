"""A source's splits -> decoded clips, the bad ones set aside with their reasons."""

from __future__ import annotations

import csv
import hashlib
import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import concatenate_datasets
from numpy.typing import NDArray

from audio_cls.config import DataConfig, Hertz
from audio_cls.data.audio import decode_clips, read_clip_ids
from audio_cls.data.batches import Clips
from audio_cls.data.labels import Labels
from audio_cls.data.source import Source
from audio_cls.data.splits import Pool, Splits, cap_rows
from audio_cls.errors import DatasetError, list_names, suggest_name

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedClips:
    """What training and evaluation hear, and what was set aside."""

    train: Clips
    validation: Clips
    test: Clips
    bad: dict[str, str]  # clip id -> reason

    def items(self) -> list[tuple[str, Clips]]:
        """Return (role, clips) of the three splits."""
        return [("train", self.train), ("validation", self.validation), ("test", self.test)]

    def save(self, folder: Path) -> None:
        """Write `splits/ROLE.txt`, a clip id a line, and bad_audio.csv: id, reason."""
        (folder / "splits").mkdir(exist_ok=True)
        for role, clips in self.items():
            (folder / "splits" / f"{role}.txt").write_text(
                "".join(f"{clip}\n" for clip in clips.ids), "utf-8"
            )
        with (folder / "bad_audio.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "reason"])
            writer.writerows(self.bad.items())


def pool_clips(source: Source, labels: Labels, group_column: str | None) -> Pool:
    """Line the clips of all given splits up, with their labels and groups.

    Raises:
        DatasetError: The group column does not exist.
    """
    tables = list(source.splits.values())
    columns = tables[0].column_names
    if group_column is not None and group_column not in columns:
        raise DatasetError(
            f"There is no column '{group_column}' for --group-column: the columns are"
            f" {list_names(columns)}.{suggest_name(group_column, columns)}"
        )
    groups = None
    if group_column is not None:
        groups = np.concatenate([np.array(t[group_column][:]).astype(str) for t in tables])
    given, start = {}, 0
    for name, table in source.splits.items():
        given[name] = np.arange(start, start + len(table))
        start += len(table)
    return Pool(np.concatenate([labels.ids[name] for name in source.splits]), groups, given)


def prepare_clips(
    source: Source, pool: Pool, splits: Splits, sampling_rate: Hertz, cfg: DataConfig
) -> PreparedClips:
    """Decode the clips of the three splits, capped as asked for. Writes the cache of waves.

    Raises:
        DatasetError: More than `cfg.max_bad_share` of the clips are bad, or a split is left empty.
    """
    limits = {"train": cfg.max_train_samples}
    rows = {
        name: cap_rows(own, pool.labels, limits.get(name, cfg.max_eval_samples), cfg.split_seed)
        for name, own in splits.items()
    }
    table = concatenate_datasets(list(source.splits.values()))
    ids = read_clip_ids(source.splits, source.audio_column)
    wanted = np.unique(np.concatenate(list(rows.values())))
    key = source.content_key
    if len(wanted) < len(table):
        table = table.select(wanted)
        key += f"/{hash_rows(wanted)}"
    decoded = decode_clips(table, source.audio_column, sampling_rate, key)
    place = np.full(len(ids), -1)
    place[wanted] = np.arange(len(wanted))  # row of the pool -> row of `decoded`
    lengths = np.array(decoded["num_samples"][:])
    faults = {ids[row]: text for row, text in zip(wanted, decoded["fault"][:], strict=True) if text}
    _check_faults(faults, len(wanted), cfg.max_bad_share)
    is_good = np.array([ids[row] not in faults for row in wanted])
    parts = {}
    for name, own in rows.items():
        kept = own[is_good[place[own]]]
        if len(kept) == 0:
            raise DatasetError(
                f"No clip of the {name} split can be read; the first faults: {faults}"
            )
        parts[name] = Clips(
            decoded, place[kept], pool.labels[kept], ids[kept], lengths[place[kept]], sampling_rate
        )
    return PreparedClips(**parts, bad=faults)


def describe_data(
    source: Source, labels: Labels, splits: Splits, clips: PreparedClips
) -> dict[str, Any]:
    """Return the `dataset` part of results.json: what was used, pinned, and how it was split."""
    return {
        "id": source.name if source.is_local else source.id,
        "name": source.name,
        "config": source.config,
        "revision": source.revision,
        "is_local": source.is_local,
        "license": source.license,
        "audio_column": source.audio_column,
        "label_column": labels.column,
        "is_test_validation": splits.test_is_validation,
        "split": {
            role: {
                "name": splits.names[role],
                "origin": splits.origins[role],
                "num_examples": len(part),
                "seconds": round(part.seconds, 2),
            }
            for role, part in clips.items()
        },
    }


def hash_rows(rows: NDArray[np.int64]) -> str:
    """Return a short key of a selection of rows."""
    return hashlib.sha256(np.ascontiguousarray(rows, dtype=np.int64).tobytes()).hexdigest()[:16]


def _check_faults(faults: dict[str, str], num_clips: int, max_share: float) -> None:
    """Say in one line how many clips are bad and why; stop when there are too many."""
    if not faults:
        return
    kinds = Counter(text.split(":")[0] for text in faults.values())
    summary = ", ".join(f"{count} {reason}" for reason, count in kinds.most_common())
    first = next(iter(faults.items()))
    if len(faults) > max_share * num_clips:
        raise DatasetError(
            f"{len(faults)} of {num_clips} clips cannot be used ({summary}; first: {first[0]},"
            f" {first[1]}). Mend them, or allow it by --max-bad-share {len(faults) / num_clips:.2f}"
        )
    logger.warning("%d of %d clips set aside: %s.", len(faults), num_clips, summary)
