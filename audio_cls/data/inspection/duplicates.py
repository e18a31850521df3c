"""Duplicates and near duplicates of a data set scan: counts, and the first clips by id."""

from __future__ import annotations

from typing import Any

import numpy as np

from audio_cls.audio.waveform import SILENT_PEAK
from audio_cls.data.inspection.scan import DatasetScan
from audio_cls.data.labels.label_text import join_names

LISTED = 20  # clips that are listed by id


def read_label_names(scan: DatasetScan) -> list[str]:
    """Return the label of each clip, several joined by ';', '' where there is none."""
    labels = scan.labels
    if labels is None:
        return [""] * scan.num_clips
    if labels.targets is None:
        names = np.array([*labels.names, ""], dtype=np.str_)  # UNUSABLE, -1, is the last one
        return [str(n) for split in scan.dataset.splits for n in names[labels.ids[split]]]
    return [
        join_names(labels.names[label] for label in np.flatnonzero(targets))
        for split in scan.dataset.splits
        for targets in labels.targets[split]
    ]


def describe_duplicates(scan: DatasetScan, usable: list[int]) -> dict[str, Any]:
    """Count the clips with equal samples, without silent clips.

    Args:
        scan: The scan.
        usable: Rows of the usable clips.
    """
    same: dict[str, list[int]] = {}
    for row in usable:
        if scan.stats[row].peak >= SILENT_PEAK:
            same.setdefault(scan.stats[row].hash, []).append(row)
    groups = [rows for rows in same.values() if len(rows) > 1]
    across = [rows for rows in groups if len({str(scan.split_of[r]) for r in rows}) > 1]
    labels = read_label_names(scan)
    named = [[labels[row] for row in rows if labels[row]] for rows in groups]
    num_other = [sum(label != group[0] for label in group) for group in named]
    order = sorted(range(len(groups)), key=lambda place: num_other[place] == 0)
    groups = [groups[place] for place in order]  # those with different labels are first
    return {
        "num_clips": sum(len(rows) - 1 for rows in groups),
        "num_across_splits": sum(len(rows) - 1 for rows in across),
        "num_other_label": sum(num_other),
        "groups": [
            {
                "ids": [str(scan.ids[row]) for row in rows],
                "splits": [str(scan.split_of[row]) for row in rows],
                "labels": [labels[row] for row in rows],
            }
            for rows in groups[:LISTED]
        ],
    }


def describe_near_pairs(scan: DatasetScan) -> dict[str, Any]:
    """Count the pairs of near duplicates, and list the first, those across splits before others."""
    pairs: list[dict[str, Any]] = [
        {
            "ids": [str(scan.ids[row]) for row in (one, two)],
            "splits": [str(scan.split_of[row]) for row in (one, two)],
            "likeness": round(likeness, 4),
        }
        for one, two, likeness in scan.find_near_pairs()
    ]
    pairs.sort(key=lambda pair: len(set(pair["splits"])) == 1)
    across = sum(len(set(pair["splits"])) > 1 for pair in pairs)
    return {"num_pairs": len(pairs), "num_across_splits": across, "pairs": pairs[:LISTED]}
