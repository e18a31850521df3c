"""Which clips of an inspection are the same sound, and which are nearly: counts and first names."""

from __future__ import annotations

from typing import Any

import numpy as np

from audio_cls.data.clips.quality import SILENT_PEAK
from audio_cls.data.inspection.scan import DatasetScan
from audio_cls.data.labels.label_text import join_names

LISTED = 20  # clips named one by one


def read_label_names(inspection: DatasetScan) -> list[str]:
    """Return the label of each clip, several joined by ';', '' where there is none."""
    labels = inspection.labels
    if labels is None:
        return [""] * inspection.num_clips
    if labels.targets is None:
        names = np.array([*labels.names, ""], dtype=np.str_)  # UNUSABLE is -1: the last one
        return [str(n) for split in inspection.source.splits for n in names[labels.ids[split]]]
    return [
        join_names(labels.names[place] for place in np.flatnonzero(marks))
        for split in inspection.source.splits
        for marks in labels.targets[split]
    ]


def describe_duplicates(inspection: DatasetScan, good: list[int]) -> dict[str, Any]:
    """Find clips with the same samples; silence of one length is no duplicate."""
    same: dict[str, list[int]] = {}
    for row in good:
        if inspection.notes[row].peak >= SILENT_PEAK:
            same.setdefault(inspection.notes[row].hash, []).append(row)
    groups = [rows for rows in same.values() if len(rows) > 1]
    across = [rows for rows in groups if len({str(inspection.split_of[r]) for r in rows}) > 1]
    labels = read_label_names(inspection)
    named = [[labels[row] for row in rows if labels[row]] for rows in groups]
    num_other = [sum(label != own[0] for label in own) for own in named]
    order = sorted(range(len(groups)), key=lambda place: num_other[place] == 0)
    groups = [groups[place] for place in order]  # those that contradict each other come first
    return {
        "num_clips": sum(len(rows) - 1 for rows in groups),
        "num_across_splits": sum(len(rows) - 1 for rows in across),
        "num_other_label": sum(num_other),
        "groups": [
            {
                "ids": [str(inspection.ids[row]) for row in rows],
                "splits": [str(inspection.split_of[row]) for row in rows],
                "labels": [labels[row] for row in rows],
            }
            for rows in groups[:LISTED]
        ],
    }


def describe_near_pairs(inspection: DatasetScan) -> dict[str, Any]:
    """Count the pairs of near duplicates and name the first, those across splits before others."""
    pairs: list[dict[str, Any]] = [
        {
            "ids": [str(inspection.ids[row]) for row in (one, two)],
            "splits": [str(inspection.split_of[row]) for row in (one, two)],
            "likeness": round(likeness, 4),
        }
        for one, two, likeness in inspection.find_near_pairs()
    ]
    pairs.sort(key=lambda pair: len(set(pair["splits"])) == 1)
    across = sum(len(set(pair["splits"])) > 1 for pair in pairs)
    return {"num_pairs": len(pairs), "num_across_splits": across, "pairs": pairs[:LISTED]}
