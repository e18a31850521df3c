"""Summary of a data set scan: counts, ranges and suggested settings.

It is one dictionary of JSON types; text_report.py and html_report.py format it.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from audio_cls.audio.waveform import SILENT_PEAK
from audio_cls.data.inspection.duplicates import (
    LISTED,
    describe_duplicates,
    describe_near_pairs,
    read_label_names,
)
from audio_cls.data.inspection.scan import PRINT_RATE, ClipStats, DatasetScan
from audio_cls.data.inspection.suggestions import suggest_settings
from audio_cls.data.keyword_spotting.relabel import SILENCE_LABELS
from audio_cls.data.labels.labels import UNUSABLE
from audio_cls.data.unused_columns import have_several_groups, join_labels

NUM_BINS = 20  # of the histogram of durations
LONG_SECONDS, LONG_RATIO = 60.0, 10.0  # a long clip: longer than both, times the median


def summarize(scan: DatasetScan, chosen: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Summarise the clips that have been read.

    Args:
        scan: The scan.
        chosen: Settings that a preset or flag has, see `suggest_settings`.

    Returns:
        A dictionary of JSON types. `is_complete` is true when every clip has been read; the counts
        of classes and splits are always of all clips. `train_error` is why training would stop.
    """
    stats = scan.stats
    usable = [row for row in sorted(stats) if stats[row].error is None]
    seconds = np.array([stats[row].seconds for row in usable])
    classes = _count_classes(scan)
    dataset = scan.dataset
    return {
        "dataset": {
            "id": dataset.name if dataset.is_local else dataset.id,  # no path, as it may be shared
            "config": dataset.config,
            "revision": dataset.revision,
            "license": dataset.license,
            "audio_column": dataset.audio_column,
            "label_column": scan.labels.column if scan.labels else None,
            "label_fault": scan.label_error,
            "keyword_fault": scan.keyword_error,
        },
        "train_error": scan.split_error,
        "num_clips": scan.num_clips,
        "num_read": len(stats),
        "is_complete": len(stats) == scan.num_clips,
        "splits": _describe_splits(scan),
        "classes": classes,
        "durations": describe_durations(seconds),
        "long_clips": describe_long_clips(scan, usable),
        "sampling_rates": _count(stats[row].sampling_rate for row in usable),
        "channels": _count(stats[row].num_channels for row in usable),
        "encodings": _count(stats[row].encoding for row in usable),
        "bad_audio": _describe_unusable(scan),
        "silent": _describe_silent(scan, usable),
        "above_model_rate": describe_lost([stats[row] for row in usable]),
        "duplicates": describe_duplicates(scan, usable),
        "near_duplicates": describe_near_pairs(scan),
        "groups": {name: _describe_groups(scan, name) for name in scan.groups},
        "unused": [
            {**dataclasses.asdict(one), "flags": shlex.join(one.flags)} for one in scan.unused
        ],
        "suggested": suggest_settings(
            seconds,
            {name: sum(c.values()) for name, c in classes.items() if name not in SILENCE_LABELS},
            is_multilabel=scan.labels is not None and scan.labels.is_multilabel,
            chosen=chosen,
            unused=scan.unused,
        ),
    }


def describe_long_clips(scan: DatasetScan, usable: Sequence[int]) -> dict[str, Any]:
    """Count the clips that are much longer than most, with their share of the audio."""
    seconds = {row: scan.stats[row].seconds for row in usable}
    limit = max(LONG_SECONDS, LONG_RATIO * float(np.median([*seconds.values()] or [0])))
    long = sorted((row for row in usable if seconds[row] > limit), key=lambda row: -seconds[row])
    return {
        "num_clips": len(long),
        "share": round(sum(seconds[row] for row in long) / max(sum(seconds.values()), 1e-9), 4),
        "clips": [
            {"id": str(scan.ids[row]), "seconds": round(seconds[row], 3)} for row in long[:LISTED]
        ],
    }


def describe_durations(seconds: np.ndarray) -> dict[str, Any]:
    """Return range, median, 95th percentile, total and histogram of durations (N,)."""
    if len(seconds) == 0:
        return {}
    counts, edges = np.histogram(seconds, bins=NUM_BINS)
    return {
        "min": round(float(seconds.min()), 3),
        "median": round(float(np.median(seconds)), 3),
        "p95": round(float(np.percentile(seconds, 95)), 3),
        "max": round(float(seconds.max()), 3),
        "total": round(float(seconds.sum()), 3),
        "histogram": {"edges": [round(float(e), 3) for e in edges], "counts": counts.tolist()},
    }


def _count(values: Iterable[object]) -> dict[str, int]:
    """Count equal values, the most frequent first."""
    return {str(value): count for value, count in Counter(values).most_common()}


def _count_classes(scan: DatasetScan) -> dict[str, dict[str, int]]:
    """Count the clips of each class in each split; a clip with several classes counts for each."""
    labels = scan.labels
    if labels is None:
        return {}
    counts = {}
    for split in scan.dataset.splits:
        if labels.targets is not None:
            counts[split] = labels.targets[split].sum(axis=0).astype(int)
        else:
            ids = labels.ids[split]
            counts[split] = np.bincount(ids[ids != UNUSABLE], minlength=len(labels.names))
    return {
        name: {split: int(numbers[place]) for split, numbers in counts.items()}
        for place, name in enumerate(labels.names)
    }


def _describe_splits(scan: DatasetScan) -> dict[str, dict[str, Any]]:
    """Count clips, seconds read and clips without a label of each split."""
    totals: Counter[str] = Counter()
    for row, stats in scan.stats.items():
        totals[str(scan.split_of[row])] += stats.seconds  # type: ignore[assignment]
    labels = scan.labels
    return {
        name: {
            "num_clips": len(table),
            "seconds": round(float(totals[name]), 3),
            "num_unlabelled": int((labels.ids[name] == UNUSABLE).sum()) if labels else len(table),
        }
        for name, table in scan.dataset.splits.items()
    }


def _describe_unusable(scan: DatasetScan) -> dict[str, Any]:
    """Count the unusable clips by reason, and list the first."""
    bad: list[tuple[int, ClipStats]] = [
        (row, stats) for row, stats in sorted(scan.stats.items()) if stats.error is not None
    ]
    return {
        "num_clips": len(bad),
        "reasons": _count(str(stats.error).split(":")[0] for _, stats in bad),
        "clips": [
            {"id": str(scan.ids[row]), "reason": str(stats.error)} for row, stats in bad[:LISTED]
        ],
    }


def _describe_silent(scan: DatasetScan, usable: list[int]) -> dict[str, Any]:
    """Count the clips that are silent after mixing to mono, also by class, and list the first."""
    stats, labels = scan.stats, read_label_names(scan)
    rows = [row for row in usable if stats[row].peak < SILENT_PEAK]
    return {
        "num_clips": len(rows),
        "num_cancelled": sum(stats[row].is_cancelled for row in rows),
        "classes": _count(labels[row] or "no label" for row in rows),
        "clips": [str(scan.ids[row]) for row in rows[:LISTED]],
    }


def describe_lost(clips: Sequence[ClipStats]) -> dict[str, Any]:
    """Return the share of the energy above the band of a model at `PRINT_RATE`.

    Args:
        clips: Statistics of usable clips.

    Returns:
        The median share, and others; empty where no clip has a higher rate.
    """
    shares = np.array([clip.lost_share for clip in clips if clip.sampling_rate > PRINT_RATE])
    if len(shares) == 0:
        return {}
    return {
        "hz": PRINT_RATE // 2,
        "num_clips": len(shares),
        "median_share": round(float(np.median(shares)), 4),
        "num_most": int((shares > 0.5).sum()),
    }


def _describe_groups(scan: DatasetScan, name: str) -> dict[str, Any]:
    """Count the groups of a column, and list those that are in several splits.

    `can_split` is false where most classes have only one group.
    """
    splits: dict[str, set[str]] = {}
    label_ids = join_labels(scan.dataset, scan.labels)
    for group, split in zip(scan.groups[name], scan.split_of, strict=True):
        if group:
            splits.setdefault(group, set()).add(str(split))
    return {
        "num_groups": len(splits),
        "num_splits": len(scan.dataset.splits),
        "can_split": label_ids is None or have_several_groups(label_ids, scan.groups[name]),
        "shared": sorted(group for group, names in splits.items() if len(names) > 1),
    }
