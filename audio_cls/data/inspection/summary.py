"""Notes of clips -> what a person wants to know of a data set: counts, ranges, advice.

In: an `DatasetScan`, complete or not. Out: one dictionary that JSON can hold; text_report.py writes
it as text, page.py as a page.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from audio_cls.data.clips.quality import SILENT_PEAK
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

NUM_BINS = 20  # of the histogram of durations


def summarize(inspection: DatasetScan, chosen: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Count what has been noted so far.

    Args:
        inspection: The notes.
        chosen: Settings that a preset or flag gives already, see `suggest_settings`.

    Returns:
        A dictionary of numbers, texts, lists and dictionaries. `is_complete` tells whether every
        clip has been read; classes and splits always count all clips, by their labels.
    """
    notes = inspection.notes
    good = [row for row in sorted(notes) if notes[row].fault is None]
    seconds = np.array([notes[row].seconds for row in good])
    classes = _count_classes(inspection)
    source = inspection.source
    return {
        "dataset": {
            "id": source.name if source.is_local else source.id,  # a page may be shared: no path
            "config": source.config,
            "revision": source.revision,
            "license": source.license,
            "audio_column": source.audio_column,
            "label_column": inspection.labels.column if inspection.labels else None,
            "label_fault": inspection.label_fault,
            "keyword_fault": inspection.keyword_fault,
        },
        "num_clips": inspection.num_clips,
        "num_read": len(notes),
        "is_complete": len(notes) == inspection.num_clips,
        "splits": _describe_splits(inspection),
        "classes": classes,
        "durations": describe_durations(seconds),
        "sampling_rates": _count(notes[row].sampling_rate for row in good),
        "channels": _count(notes[row].num_channels for row in good),
        "encodings": _count(notes[row].encoding for row in good),
        "bad_audio": _describe_faults(inspection),
        "silent": _describe_silent(inspection, good),
        "above_model_rate": describe_lost([notes[row] for row in good]),
        "duplicates": describe_duplicates(inspection, good),
        "near_duplicates": describe_near_pairs(inspection),
        "groups": {name: _describe_groups(inspection, name) for name in inspection.groups},
        "unused": [
            {**dataclasses.asdict(one), "flags": shlex.join(one.flags)} for one in inspection.unused
        ],
        "suggested": suggest_settings(
            seconds,
            {name: sum(c.values()) for name, c in classes.items() if name not in SILENCE_LABELS},
            is_multilabel=inspection.labels is not None and inspection.labels.is_multilabel,
            chosen=chosen,
        ),
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


def _count_classes(inspection: DatasetScan) -> dict[str, dict[str, int]]:
    """Count the clips of each class in each split; one with several classes counts for each."""
    labels = inspection.labels
    if labels is None:
        return {}
    counts = {}
    for split in inspection.source.splits:
        if labels.targets is not None:
            counts[split] = labels.targets[split].sum(axis=0).astype(int)
        else:
            ids = labels.ids[split]
            counts[split] = np.bincount(ids[ids != UNUSABLE], minlength=len(labels.names))
    return {
        name: {split: int(own[place]) for split, own in counts.items()}
        for place, name in enumerate(labels.names)
    }


def _describe_splits(inspection: DatasetScan) -> dict[str, dict[str, Any]]:
    """Count clips, seconds read and clips without a label of each split."""
    totals: Counter[str] = Counter()
    for row, note in inspection.notes.items():
        totals[str(inspection.split_of[row])] += note.seconds  # type: ignore[assignment]
    labels = inspection.labels
    return {
        name: {
            "num_clips": len(table),
            "seconds": round(float(totals[name]), 3),
            "num_unlabelled": int((labels.ids[name] == UNUSABLE).sum()) if labels else len(table),
        }
        for name, table in inspection.source.splits.items()
    }


def _describe_faults(inspection: DatasetScan) -> dict[str, Any]:
    """Count the bad clips by reason, and name the first."""
    bad: list[tuple[int, ClipStats]] = [
        (row, note) for row, note in sorted(inspection.notes.items()) if note.fault is not None
    ]
    return {
        "num_clips": len(bad),
        "reasons": _count(str(note.fault).split(":")[0] for _, note in bad),
        "clips": [
            {"id": str(inspection.ids[row]), "reason": str(note.fault)}
            for row, note in bad[:LISTED]
        ],
    }


def _describe_silent(inspection: DatasetScan, good: list[int]) -> dict[str, Any]:
    """Count the clips that are silent after mixing to mono, by class too, and name the first."""
    notes, labels = inspection.notes, read_label_names(inspection)
    rows = [row for row in good if notes[row].peak < SILENT_PEAK]
    return {
        "num_clips": len(rows),
        "num_cancelled": sum(notes[row].is_cancelled for row in rows),
        "classes": _count(labels[row] or "no label" for row in rows),
        "clips": [str(inspection.ids[row]) for row in rows[:LISTED]],
    }


def describe_lost(notes: Sequence[ClipStats]) -> dict[str, Any]:
    """Tell how much energy lies above what a model at `PRINT_RATE` gets; empty where no clip can.

    Args:
        notes: Of usable clips.
    """
    shares = np.array([note.lost_share for note in notes if note.sampling_rate > PRINT_RATE])
    if len(shares) == 0:
        return {}
    return {
        "hz": PRINT_RATE // 2,
        "num_clips": len(shares),
        "median_share": round(float(np.median(shares)), 4),
        "num_most": int((shares > 0.5).sum()),
    }


def _describe_groups(inspection: DatasetScan, name: str) -> dict[str, Any]:
    """Tell how many groups a column has and which of them are in several splits."""
    splits: dict[str, set[str]] = {}
    for group, split in zip(inspection.groups[name], inspection.split_of, strict=True):
        if group:
            splits.setdefault(group, set()).add(str(split))
    return {
        "num_groups": len(splits),
        "num_splits": len(inspection.source.splits),
        "shared": sorted(group for group, own in splits.items() if len(own) > 1),
    }
