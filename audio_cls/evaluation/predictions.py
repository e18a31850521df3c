"""predictions.csv and clips.csv: from which every number can be computed again.

predictions.csv has a row a clip: id, label, prediction, and one probability a label, six decimals.
clips.csv beside it has what the tables by length, rate and group need, and the intervals by group:
id, seconds, sampling_rate, and group where there is one.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from audio_cls.data.facts import ClipFacts
from audio_cls.errors import RunFolderError, list_names
from audio_cls.evaluation.scoring import Scores

FIRST_COLUMNS = ["id", "label", "prediction"]

csv.field_size_limit(2**24)  # characters of one cell


def write_predictions(path: Path, scores: Scores, names: Sequence[str]) -> None:
    """Write a row per clip: id, label, prediction, then one probability column a label."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*FIRST_COLUMNS, *names])
        rows = zip(scores.ids, scores.labels, scores.predictions, scores.probabilities, strict=True)
        for clip, label, prediction, probabilities in rows:
            shown = [np.format_float_positional(p, trim="0") for p in probabilities]
            writer.writerow([clip, names[label], names[prediction], *shown])


def read_predictions(path: Path) -> tuple[Scores, tuple[str, ...]]:
    """Read predictions.csv back.

    Returns:
        The scores, and the labels in the order of their columns.

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


def write_facts(path: Path, scores: Scores, facts: ClipFacts) -> None:
    """Write clips.csv."""
    columns = [scores.ids, [f"{s:.3f}" for s in facts.seconds], facts.sampling_rates]
    header = ["id", "seconds", "sampling_rate"]
    if facts.groups is not None:
        columns, header = [*columns, facts.groups], [*header, "group"]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(zip(*columns, strict=True))


def read_facts(path: Path, scores: Scores) -> ClipFacts | None:
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
        return ClipFacts(
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
