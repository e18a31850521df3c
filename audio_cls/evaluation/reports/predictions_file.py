r"""predictions.csv and clips.csv: from which every number can be computed again.

predictions.csv has a row a clip: id, label, prediction, and one probability a label, six decimals.
Where a clip may have several labels, `label` and `prediction` name them joined by `;` (one inside a
name is written `\;`, a backslash `\\`), are empty where there is none, and the probabilities of
a row do not sum to 1: by that the file is told from one with one label a clip.
clips.csv beside it has what the tables by length, rate and group need, and the intervals by group:
id, seconds, sampling_rate, and group where there is one.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audio_cls.data.clips.metadata import ClipMetadata
from audio_cls.data.labels.label_text import join_names, split_names
from audio_cls.errors import RunFolderError, list_names
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.inference.aggregation import DECIMALS
from audio_cls.storage.files import open_replaced, write_csv

SLACK = 1e-6  # what rounding adds to the sum of a row, a label
FIRST_COLUMNS = ["id", "label", "prediction"]

csv.field_size_limit(2**24)  # characters of one cell


def write_predictions(path: Path, scores: Scores, names: Sequence[str]) -> None:
    """Write a row per clip: id, label, prediction, then one probability column a label."""
    with open_replaced(path) as file:
        writer = csv.writer(file)
        writer.writerow([*FIRST_COLUMNS, *names])
        rows = zip(
            scores.ids, scores.targets, scores.predictions, scores.probabilities, strict=True
        )
        for clip, label, prediction, probabilities in rows:
            shown = [np.format_float_positional(p, trim="0") for p in probabilities]
            if scores.is_multilabel:
                told = [join_names(pick_names(names, m)) for m in (label, prediction)]
            else:
                told = [names[label], names[prediction]]
            writer.writerow([clip, *told, *shown])


def read_predictions(path: Path) -> tuple[Scores, tuple[str, ...]]:
    """Read predictions.csv back.

    Returns:
        The scores, and the labels in the order of their columns. Thresholds of several labels a
        clip are those that draw the same line between what was and was not predicted.

    Raises:
        RunFolderError: The file is missing or is not a predictions.csv; the text names the line.
    """
    rows = _read_rows(path)
    header, names = rows[0], tuple(rows[0][3:])
    if header[:3] != FIRST_COLUMNS or len(names) < 2 or len(set(names)) < len(names):
        raise RunFolderError(
            f"'{path}' has the columns {list_names(header)}: a predictions.csv has"
            f" {', '.join(FIRST_COLUMNS)} and one a label. Give one that this project wrote."
        )
    if _holds_marks(rows[1:]):
        return _read_marks(path, rows[1:], names), names
    index = {name: label for label, name in enumerate(names)}
    probabilities = np.empty((len(rows) - 1, len(names)))
    for number, row in enumerate(rows[1:]):
        try:
            probabilities[number] = [float(cell) for cell in row[3:]]
            is_whole = index[row[2]] == probabilities[number].argmax() and row[1] in index
        except (ValueError, KeyError, IndexError):
            is_whole = False
        if not is_whole or not np.isfinite(probabilities[number]).all():
            raise RunFolderError(
                f"Line {number + 2} of '{path}' cannot be: its label and prediction must be columns"
                " of the file, the prediction the one with the largest number. Mend that line."
            )
    ids, labels = np.array([row[0] for row in rows[1:]]), [index[row[1]] for row in rows[1:]]
    return Scores(ids, np.array(labels, dtype=np.int64), probabilities), names


def pick_names(names: Sequence[str], marks: NDArray[np.int64]) -> list[str]:
    """Return the names that are marked."""
    return [name for name, mark in zip(names, marks, strict=True) if mark]


def _holds_marks(rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether each label has a probability of its own: some row does not sum to 1."""
    try:
        sums = np.array([sum(map(float, row[3:])) for row in rows])
    except ValueError:
        return False
    return bool((np.abs(sums - 1) > SLACK * (len(rows[0]) - 3)).any())


def _read_marks(path: Path, rows: Sequence[Sequence[str]], names: Sequence[str]) -> Scores:
    """Read the rows of several labels a clip, and find thresholds that their predictions obey."""
    place = {name: label for label, name in enumerate(names)}
    probabilities = np.full((len(rows), len(names)), np.nan)
    marks = np.zeros((2, len(rows), len(names)), dtype=np.int64)  # true, predicted
    for number, row in enumerate(rows):
        try:
            probabilities[number] = [float(cell) for cell in row[3:]]
            for which in (0, 1):
                marks[which, number, [place[name] for name in split_names(row[1 + which])]] = 1
        except (ValueError, KeyError) as error:
            raise RunFolderError(
                f"Line {number + 2} of '{path}' cannot be ({error}): its label and prediction must"
                " be columns of the file joined by ';', and the rest numbers. Mend that line."
            ) from error
    lowest = np.where(marks[1] > 0, probabilities, np.inf).min(axis=0)  # that was predicted
    highest = np.where(marks[1] > 0, -np.inf, probabilities).max(axis=0)  # that was not
    if not (lowest > highest).all() or not np.isfinite(probabilities).all():
        raise RunFolderError(
            f"'{path}' cannot be: a label was predicted at a lower number than one at which it was"
            " not. Give one that this project wrote."
        )
    thresholds = np.where(np.isfinite(lowest), lowest, highest + 10.0**-DECIMALS)
    return Scores(np.array([row[0] for row in rows]), marks[0], probabilities, thresholds)


def write_metadata(path: Path, scores: Scores, metadata: ClipMetadata) -> None:
    """Write clips.csv."""
    columns = [scores.ids, [f"{s:.3f}" for s in metadata.seconds], metadata.sampling_rates]
    header = ["id", "seconds", "sampling_rate"]
    if metadata.groups is not None:
        columns, header = [*columns, metadata.groups], [*header, "group"]
    write_csv(path, header, zip(*columns, strict=True))


def read_metadata(path: Path, scores: Scores) -> ClipMetadata | None:
    """Read clips.csv back, in the order of the scores; None when there is no such file.

    Raises:
        RunFolderError: The file is of other clips, or is not a clips.csv.
    """
    if not path.is_file():
        return None
    rows = _read_rows(path)
    own = {row[0]: row for row in rows[1:]}
    try:
        ordered = [own[str(clip)] for clip in scores.ids]
        return ClipMetadata(
            seconds=np.array([float(row[1]) for row in ordered]),
            sampling_rates=np.array([int(row[2]) for row in ordered], dtype=np.int64),
            groups=np.array([row[3] for row in ordered]) if rows[0][3:] == ["group"] else None,
        )
    except (KeyError, ValueError, IndexError) as error:
        raise RunFolderError(
            f"'{path}' does not belong to the predictions beside it ({error}):"
            " it needs id, seconds, sampling_rate of every clip. Remove it to do without."
        ) from error


def _read_rows(path: Path) -> list[list[str]]:
    """Read a CSV file of at least a header and one row."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RunFolderError(
            f"'{path}' cannot be read ({error}). Give the path of a predictions.csv."
        ) from error
    if len(rows) < 2:
        raise RunFolderError(f"'{path}' holds no clip. Give the predictions.csv of a finished run.")
    return rows
