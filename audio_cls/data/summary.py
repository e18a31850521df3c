"""Notes of clips -> what a person wants to know of a data set: counts, ranges, advice.

In: an `Inspection`, complete or not. Out: one dictionary that JSON can hold, and its text.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from audio_cls.config import Seconds
from audio_cls.data.alike import LISTED, describe_duplicates, describe_near_pairs
from audio_cls.data.faults import SILENT_PEAK
from audio_cls.data.inspect import ClipNote, Inspection
from audio_cls.data.labels import UNUSABLE

NUM_BINS = 20  # of the histogram of durations
BALANCED = 2.0  # a largest class at most this many times the smallest leaves accuracy fair

# Training memory of the default model, DistilHuBERT (23.7 million weights), in float32: weights,
# gradients and AdamW's two moments take 16 bytes a weight; the activations kept for the backward
# pass were measured with torch.autograd.graph.saved_tensors_hooks at 42 to 60 MB a second of sound.
MODEL_MB = 380
MB_PER_SECOND = 50
MEMORY_BUDGET_MB = 8_000  # of a small GPU
LARGEST_BATCH = 32
LONGEST_PIECE: Seconds = 30.0


def summarize(inspection: Inspection) -> dict[str, Any]:
    """Count what has been noted so far.

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
        "silent": _list_clips(inspection, [r for r in good if notes[r].peak < SILENT_PEAK]),
        "duplicates": describe_duplicates(inspection, good),
        "near_duplicates": describe_near_pairs(inspection),
        "groups": {name: _describe_groups(inspection, name) for name in inspection.groups},
        "suggested": suggest_settings(
            seconds,
            {name: sum(c.values()) for name, c in classes.items()},
            is_multilabel=inspection.labels is not None and inspection.labels.is_multilabel,
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


def suggest_settings(
    seconds: np.ndarray, classes: Mapping[str, int], *, is_multilabel: bool = False
) -> dict[str, Any]:
    """Suggest how to train, from durations (N,) and the clips of each class.

    The longest piece is what 95 % of the clips fit into, at most 30 s. The batch is the largest
    power of two that trains DistilHuBERT in 8 GB. Where a class has more than twice the clips of
    another, rare ones weigh more.
    """
    if len(seconds) == 0:
        return {}
    p95 = float(np.percentile(seconds, 95))
    step = 0.5 if p95 <= 10 else 1.0
    piece = min(LONGEST_PIECE, max(step, math.ceil(p95 / step - 1e-6) * step))
    room = (MEMORY_BUDGET_MB - MODEL_MB) / (MB_PER_SECOND * piece)
    batch = int(min(LARGEST_BATCH, 2 ** math.floor(math.log2(max(1.0, room)))))
    present = {name: count for name, count in classes.items() if count}
    is_balanced = not present or max(present.values()) <= BALANCED * min(present.values())
    weights = {
        name: round(sum(present.values()) / (len(present) * count), 3)
        for name, count in present.items()
    }
    metric = "map" if is_multilabel else "accuracy" if is_balanced else "f1_macro"
    flags = f"--max-seconds {piece:g} --batch-size {batch} --metric {metric}"
    if not is_balanced:
        flags += " --pos-weight auto" if is_multilabel else " --class-weights balanced"
    return {
        "max_seconds": piece,
        "batch_size": batch,
        "memory_mb": round(MODEL_MB + MB_PER_SECOND * piece * batch),
        "metric": metric,
        "class_weights": {} if is_balanced or is_multilabel else weights,
        "flags": flags,
    }


def format_summary(summary: Mapping[str, Any]) -> str:
    """Write a summary as text, a section a paragraph."""
    parts = [_format_head(summary)]
    if summary["durations"]:
        spread = summary["durations"]
        parts.append(
            f"Seconds: min {spread['min']:g}, median {spread['median']:g}, 95 % up to"
            f" {spread['p95']:g}, max {spread['max']:g}; {spread['total'] / 3600:.2f} h in all\n"
            f"Rates (Hz): {_format_counts(summary['sampling_rates'])}\n"
            f"Channels: {_format_counts(summary['channels'])}\n"
            f"Encodings: {_format_counts(summary['encodings'])}"
        )
    bad, twice = summary["bad_audio"], summary["duplicates"]
    lines = [f"Bad clips: {bad['num_clips']}" + _in_brackets(bad["reasons"])]
    lines += [f"  {clip['id']}: {clip['reason']}" for clip in bad["clips"]]
    lines.append(f"Silent clips: {summary['silent']['num_clips']}")
    lines += [f"  {clip}" for clip in summary["silent"]["clips"]]
    lines.append(
        f"Exact duplicates: {twice['num_clips']} clips repeat another one,"
        f" {twice['num_across_splits']} of them across splits"
    )
    lines += ["  " + " = ".join(group["ids"]) for group in twice["groups"]]
    near = summary["near_duplicates"]
    lines.append(
        f"Near duplicates: {near['num_pairs']} pairs sound nearly the same,"
        f" {near['num_across_splits']} of them across splits"
    )
    lines += [f"  {one} ~ {two}" for one, two in (pair["ids"] for pair in near["pairs"])]
    parts.append("\n".join(lines))
    parts += [_format_group(name, group) for name, group in summary["groups"].items()]
    if summary["suggested"]:
        advice = summary["suggested"]
        text = f"Suggested: {advice['flags']}   (about {advice['memory_mb']} MB for DistilHuBERT)"
        if advice["class_weights"]:
            text += f"\nClass weights: {_format_counts(advice['class_weights'])}"
        parts.append(text)
    return "\n\n".join(parts)


def _format_head(summary: Mapping[str, Any]) -> str:
    """Name the data set; tabulate splits and classes."""
    known, splits = summary["dataset"], summary["splits"]
    lines = [f"{known['id']}: {summary['num_clips']} clips, {summary['num_read']} read"]
    if known["label_fault"]:
        lines.append(f"No labels: {known['label_fault']}")
        return "\n".join(
            lines + [f"  {name}: {s['num_clips']} clips" for name, s in splits.items()]
        )
    width = max(map(len, [f"{known['label_column']}", "no label", *summary["classes"]])) + 2
    lines.append(f"{known['label_column']:<{width}}" + "".join(f"{name:>12}" for name in splits))
    for label, counts in summary["classes"].items():
        lines.append(f"{label:<{width}}" + "".join(f"{counts[name]:>12}" for name in splits))
    if any(split["num_unlabelled"] for split in splits.values()):
        row = "".join(f"{split['num_unlabelled']:>12}" for split in splits.values())
        lines.append(f"{'no label':<{width}}{row}")
    totals = "".join(f"{split['num_clips']:>12}" for split in splits.values())
    return "\n".join([*lines, f"{'clips':<{width}}{totals}"])


def _format_group(name: str, group: Mapping[str, Any]) -> str:
    """Say whether the groups of a column keep to their splits."""
    if group["shared"]:
        return (
            f"Groups: {len(group['shared'])} of {group['num_groups']} values of '{name}' are in"
            f" several splits: {', '.join(group['shared'][:LISTED])}. Cut anew by --group-column"
            f" {name}"
        )
    if group["num_splits"] > 1:
        return f"Groups: none of the {group['num_groups']} values of '{name}' is in several splits"
    return f"Groups: {group['num_groups']} values of '{name}'; cut by --group-column {name}"


def _format_counts(counts: Mapping[str, Any]) -> str:
    """Write counts in one line, the first twenty."""
    shown = [f"{name} ({count})" for name, count in list(counts.items())[:LISTED]]
    return ", ".join(shown + [f"and {len(counts) - LISTED} more"] * (len(counts) > LISTED))


def _in_brackets(counts: Mapping[str, int]) -> str:
    """Write reasons behind a number, or nothing."""
    return f" ({', '.join(f'{n} {reason}' for reason, n in counts.items())})" if counts else ""


def _count(values: Iterable[object]) -> dict[str, int]:
    """Count equal values, the most frequent first."""
    return {str(value): count for value, count in Counter(values).most_common()}


def _count_classes(inspection: Inspection) -> dict[str, dict[str, int]]:
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


def _describe_splits(inspection: Inspection) -> dict[str, dict[str, Any]]:
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


def _describe_faults(inspection: Inspection) -> dict[str, Any]:
    """Count the bad clips by reason, and name the first."""
    bad: list[tuple[int, ClipNote]] = [
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


def _list_clips(inspection: Inspection, rows: list[int]) -> dict[str, Any]:
    """Count clips, and name the first."""
    return {"num_clips": len(rows), "clips": [str(inspection.ids[row]) for row in rows[:LISTED]]}


def _describe_groups(inspection: Inspection, name: str) -> dict[str, Any]:
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
