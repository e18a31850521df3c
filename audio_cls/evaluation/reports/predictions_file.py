r"""predictions.csv and clips.csv: all metrics of a run can be computed again from them.

predictions.csv has one row for each clip: id, label, prediction, and the probability of each label,
with six decimals. If multi-label, `label` and `prediction` are names joined by `;` (`\;` and `\\`
are a semicolon and a backslash inside a name), or empty, and the probabilities of a row do not sum
to 1: by that the file is recognised as multi-label.
clips.csv has id, seconds, sampling_rate, and group where there is one, for the tables by duration,
rate and group, and for the intervals by group.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audio_cls.data.clips.metadata import ClipMetadata, keep_groups
from audio_cls.data.labels.label_text import join_names, split_names
from audio_cls.errors import RunFolderError, describe_error, list_names
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.inference.aggregation import DECIMALS
from audio_cls.storage.files import open_replaced, write_csv

TOLERANCE = 1e-6  # of the sum of a row, for each label: its rounding error
FIRST_COLUMNS = ["id", "label", "prediction"]

csv.field_size_limit(2**24)  # characters of one cell


def write_predictions(path: Path, scores: Scores, names: Sequence[str]) -> None:
    """Write predictions.csv."""
    with open_replaced(path) as file:
        writer = csv.writer(file)
        writer.writerow([*FIRST_COLUMNS, *names])
        rows = zip(
            scores.ids, scores.targets, scores.predictions, scores.probabilities, strict=True
        )
        for clip, label, prediction, probabilities in rows:
            cells = [np.format_float_positional(p, trim="0") for p in probabilities]
            if scores.is_multilabel:
                label_names = [join_names(select_names(names, row)) for row in (label, prediction)]
            else:
                label_names = [names[label], names[prediction]]
            writer.writerow([clip, *label_names, *cells])


def read_predictions(path: Path) -> tuple[Scores, tuple[str, ...]]:
    """Read predictions.csv.

    Returns:
        The scores, and the label names in the order of the columns. The thresholds of a multi-label
        task are values that lead to the same predictions.

    Raises:
        RunFolderError: The file is missing or not valid; the text names the line.
    """
    rows = _read_rows(path)
    header, names = rows[0], tuple(rows[0][3:])
    if header[:3] != FIRST_COLUMNS or len(names) < 2 or len(set(names)) < len(names):
        raise RunFolderError(
            f"'{path}' has the columns {list_names(header)}: a predictions.csv has"
            f" {', '.join(FIRST_COLUMNS)} and one per label. Give a file that audio_cls wrote."
        )
    if _is_multilabel(rows[1:]):
        return _read_multilabel(path, rows[1:], names), names
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
                f"Line {number + 2} of '{path}' is not valid: its label and prediction must be"
                " columns of the file, the prediction the one with the largest score. Correct"
                " that line."
            )
    ids, labels = np.array([row[0] for row in rows[1:]]), [index[row[1]] for row in rows[1:]]
    return Scores(ids, np.array(labels, dtype=np.int64), probabilities), names


def select_names(names: Sequence[str], targets: NDArray[np.int64]) -> list[str]:
    """Return the names whose target is 1."""
    return [name for name, target in zip(names, targets, strict=True) if target]


def _is_multilabel(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the probabilities of some row do not sum to 1."""
    try:
        sums = np.array([sum(map(float, row[3:])) for row in rows])
    except ValueError:
        return False
    return bool((np.abs(sums - 1) > TOLERANCE * (len(rows[0]) - 3)).any())


def _read_multilabel(path: Path, rows: Sequence[Sequence[str]], names: Sequence[str]) -> Scores:
    """Read the rows of a multi-label task, and find thresholds that lead to their predictions."""
    label_of = {name: label for label, name in enumerate(names)}
    probabilities = np.full((len(rows), len(names)), np.nan)
    targets = np.zeros((2, len(rows), len(names)), dtype=np.int64)  # true, predicted
    for number, row in enumerate(rows):
        try:
            probabilities[number] = [float(cell) for cell in row[3:]]
            for which in (0, 1):
                targets[which, number, [label_of[name] for name in split_names(row[1 + which])]] = 1
        except (ValueError, KeyError) as error:
            raise RunFolderError(
                f"Line {number + 2} of '{path}' is not valid ({error}): its label and prediction"
                " must be columns of the file joined by ';', and the rest numbers. Correct that"
                " line."
            ) from error
    lowest = np.where(targets[1] > 0, probabilities, np.inf).min(axis=0)  # predicted
    highest = np.where(targets[1] > 0, -np.inf, probabilities).max(axis=0)  # not predicted
    if not (lowest > highest).all() or not np.isfinite(probabilities).all():
        raise RunFolderError(
            f"'{path}' is not valid: a label was predicted at a lower score than one at which it"
            " was not. Give a file that audio_cls wrote."
        )
    thresholds = np.where(np.isfinite(lowest), lowest, highest + 10.0**-DECIMALS)
    return Scores(np.array([row[0] for row in rows]), targets[0], probabilities, thresholds)


def write_metadata(path: Path, scores: Scores, metadata: ClipMetadata) -> None:
    """Write clips.csv."""
    columns = [scores.ids, [f"{s:.3f}" for s in metadata.seconds], metadata.sampling_rates]
    header = ["id", "seconds", "sampling_rate"]
    if metadata.groups is not None:
        columns, header = [*columns, metadata.groups], [*header, "group"]
    write_csv(path, header, zip(*columns, strict=True))


def read_metadata(path: Path, scores: Scores) -> ClipMetadata | None:
    """Read clips.csv in the order of the scores; None when there is no such file.

    Raises:
        RunFolderError: The file has other clips, or is not valid.
    """
    if not path.is_file():
        return None
    rows = _read_rows(path)
    row_of = {row[0]: row for row in rows[1:]}
    try:
        ordered = [row_of[str(clip)] for clip in scores.ids]
        return ClipMetadata(
            seconds=np.array([float(row[1]) for row in ordered]),
            sampling_rates=np.array([int(row[2]) for row in ordered], dtype=np.int64),
            groups=keep_groups(np.array([row[3] for row in ordered]))
            if rows[0][3:] == ["group"]
            else None,
        )
    except (KeyError, ValueError, IndexError) as error:
        raise RunFolderError(
            f"'{path}' does not match the predictions.csv in the same folder ({error}): it must"
            " have id, seconds and sampling_rate of every clip. Remove it to continue without"
            " it."
        ) from error


def _read_rows(path: Path) -> list[list[str]]:
    """Read a CSV file of at least a header and one row."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RunFolderError(
            f"'{path}' cannot be read ({describe_error(error)}). Give the path of a"
            " predictions.csv."
        ) from error
    if len(rows) < 2:
        raise RunFolderError(
            f"'{path}' contains no clip. Give the predictions.csv of a finished run."
        )
    return rows
