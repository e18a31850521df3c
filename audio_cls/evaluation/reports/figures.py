"""Figures of a run: confusion matrix, reliability diagram, durations and training curves.

They are drawn from predictions.csv and, where they exist, results.json, clips.csv, summary.csv::

    FOLDER/figures/
      confusion_matrix.png confusion_matrix.csv   clips by true and predicted label
      families.png                                the same for families, where labels are languages
      labels.png                                  instead of both, if multi-label
      reliability.png                             accuracy by confidence
      durations.png                               correct and wrong clips by duration
      curves.png                                  losses and metrics of the training

Backgrounds are transparent, and lines are a grey with equal contrast to white and to a dark page
(4.4 : 1), so that one file is legible on both. The colours are those of Okabe and Ito 2008 and of
cividis, which colour-blind readers can distinguish. matplotlib is imported when a figure is drawn.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audio_cls.config import METRIC_SPECS
from audio_cls.evaluation.metrics.calibration import calibrate
from audio_cls.evaluation.metrics.multi_label import score_labels
from audio_cls.evaluation.metrics.probabilistic import average_precisions, bin_confidence
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.metrics.single_label import count_confusions
from audio_cls.evaluation.reports.language_families import find_families
from audio_cls.evaluation.reports.predictions_file import read_metadata, read_predictions
from audio_cls.evaluation.reports.weakest_classes import count_families
from audio_cls.runs.results import RESULTS_FILE, read_results
from audio_cls.storage.files import write_csv

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREY = "#797979"  # of text and lines: equal contrast to white and to #0d1117
BLUE, RED, GREEN = "#0072b2", "#d55e00", "#009e73"  # Okabe and Ito: contrast 3 : 1 or more to both
DPI = 150
MAX_COUNTS = 30  # classes; with more, the matrix has no counts
MAX_NAMES = 120  # classes; with more, not every one is named
MAX_BARS = 60  # labels of a multi-label task that are drawn
MAX_NAME_LENGTH = 22  # characters of a label on an axis


def draw_figures(folder: Path) -> list[Path]:
    """Draw the figures that the files of a folder allow. Main process only.

    Returns:
        The files written.
    """
    scores, names = read_predictions(folder / "predictions.csv")
    (folder / "figures").mkdir(exist_ok=True)
    figures = {"reliability": draw_reliability(scores, _read_temperature(folder))}
    if scores.is_multilabel:
        figures["labels"] = draw_labels(scores, names)
    else:
        matrix = count_confusions(scores.targets, scores.predictions, len(names))
        write_matrix(folder / "figures" / "confusion_matrix.csv", matrix, names)
        figures["confusion_matrix"] = draw_matrix(matrix, names)
        families = find_families(names)
        if families is not None:
            shown, family_matrix = count_families(scores, families)
            figures["families"] = draw_matrix(family_matrix, shown)
    metadata = read_metadata(folder / "clips.csv", scores)
    if metadata is not None:
        figures["durations"] = draw_durations(metadata.seconds, scores.is_correct)
    if (folder / "summary.csv").is_file():
        with (folder / "summary.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        figures["curves"] = draw_curves(rows)
    return [_save(figure, folder / "figures" / f"{name}.png") for name, figure in figures.items()]


def write_matrix(path: Path, matrix: NDArray[np.int64], names: Sequence[str]) -> None:
    """Write the confusion matrix: clips by true label (row) and predicted label (column)."""
    rows = zip(names, matrix.tolist(), strict=True)
    write_csv(path, ["label", *names], ([name, *row] for name, row in rows))


def draw_matrix(matrix: NDArray[np.int64], names: Sequence[str]) -> Figure:
    """Draw the confusion matrix: colours are shares of the row, numbers are clips."""
    from matplotlib.colors import PowerNorm

    size = len(names)
    font = 9.0 if size <= 12 else 7.0 if size <= 40 else max(3.0, 650 / size)
    side = max(3.2, size * max(0.42 if size <= MAX_COUNTS else 0.0, font * 0.0175))
    margin = 1.1 + min(MAX_NAME_LENGTH, max(map(len, names))) * font * 0.009
    figure = _make_figure(side + margin + 0.9, side + margin)
    axes = figure.add_subplot()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    # The square root makes one clip of fifty visible: most mistakes are that rare.
    image = axes.imshow(shares, cmap="cividis", norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
    shown = range(0, size, math.ceil(size / MAX_NAMES))
    short = [_shorten(names[label]) for label in shown]
    style: dict[str, Any] = {"fontsize": font, "parse_math": False}
    axes.set_xticks(list(shown), short, rotation=90, **style)
    axes.set_yticks(list(shown), short, **style)
    axes.tick_params(length=2 if size <= 40 else 1)
    if size <= MAX_COUNTS:
        for (row, column), count in np.ndenumerate(matrix):
            colour = "#111111" if shares[row, column] > 0.3 else "#f4f4f4"
            text = str(count or "")
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=font)
    axes.set_xlabel("predicted label")
    axes.set_ylabel("true label")
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02, shrink=0.6)
    bar.set_label("share of the true label's clips")
    _set_grey(bar.ax)
    _set_grey(axes)
    return figure


def draw_labels(scores: Scores, names: Sequence[str]) -> Figure:
    """Draw average precision and F1 of each label, the weakest at the bottom.

    With more than `MAX_BARS` labels, the weakest are drawn; labels without clips are left out.
    """
    precisions = average_precisions(scores.targets > 0, scores.probabilities)
    f1 = score_labels(scores.targets, scores.predictions)[2]
    tested = np.flatnonzero(np.isfinite(precisions))
    shown = tested[np.argsort(precisions[tested], kind="stable")][:MAX_BARS]
    positions, support = np.arange(len(shown)), scores.targets.sum(axis=0)
    figure = _make_figure(6.4, 1.2 + 0.26 * len(shown))
    axes = figure.add_subplot()
    axes.barh(positions, precisions[shown], color=BLUE, height=0.6, label="average precision")
    style: dict[str, Any] = {"color": RED, "marker": "D", "markersize": 5, "linestyle": "none"}
    axes.plot(f1[shown], positions, label="F1 at the threshold", **style)
    ticks = [f"{_shorten(names[label])} ({support[label]})" for label in shown]
    axes.set_yticks(positions, ticks, fontsize=8, parse_math=False)
    axes.set_xlim(0, 1.02)
    axes.set_xlabel("score (clips with the label in brackets)")
    axes.legend(
        frameon=False, labelcolor=GREY, fontsize=9, ncols=2, loc="lower left", bbox_to_anchor=(0, 1)
    )
    _set_grey(axes)
    return figure


def draw_reliability(scores: Scores, temperature: float | None) -> Figure:
    """Draw a reliability diagram: accuracy by confidence, above the number of clips.

    Multi-label: the share of clips that have a label, by its probability, above the number of
    clip-label pairs.

    Args:
        scores: Of the test clips.
        temperature: A second curve is drawn for it; None: no second curve.
    """
    figure = _make_figure(5.2, 5.4)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.plot([0, 1], [0, 1], linestyle="--", color=GREY, linewidth=1, label="as sure as right")
    curves = [("as it is", scores, BLUE, "o")]
    if temperature is not None:
        scaled = calibrate(scores, temperature)
        curves.append((f"at temperature {temperature:.2f}", scaled, RED, "s"))
    for name, curve, colour, marker in curves:
        counts, confidence, accuracy = bin_confidence(curve.targets, curve.probabilities)
        has_clips = counts > 0
        line = {"color": colour, "marker": marker, "markersize": 5, "linewidth": 1.5}
        upper.plot(confidence[has_clips], accuracy[has_clips], label=name, **line)
        edges = np.linspace(0, 1, len(counts) + 1)
        lower.stairs(counts, edges, color=colour, linewidth=1.5)
    upper.set_ylabel("share that is there" if scores.is_multilabel else "accuracy")
    upper.set_ylim(-0.03, 1.03)
    lower.set_ylabel("clip-label pairs" if scores.is_multilabel else "clips")
    lower.set_xlabel("probability of a label" if scores.is_multilabel else "confidence")
    lower.set_xlim(0, 1)
    _add_legend(upper)
    _set_grey(upper)
    _set_grey(lower)
    return figure


def draw_durations(seconds: NDArray[np.float64], is_correct: NDArray[np.bool_]) -> Figure:
    """Draw a histogram of the durations of correct and wrong clips."""
    from matplotlib.ticker import MaxNLocator

    figure = _make_figure(6.4, 3.4)
    axes = figure.add_subplot()
    low, high = float(seconds.min()), float(seconds.max())
    if high - low < 0.05:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(max(0.0, low), high, 31)
    axes.hist(
        [seconds[is_correct], seconds[~is_correct]],
        bins=list(edges),
        stacked=True,
        color=[BLUE, RED],
        label=["right", "wrong"],
    )
    axes.set_xlabel("length of the clip in seconds")
    axes.set_ylabel("clips")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    _add_legend(axes)
    _set_grey(axes)
    return figure


def draw_curves(rows: Sequence[dict[str, str]]) -> Figure:
    """Draw losses (left) and metrics (right) by epoch, from the rows of summary.csv."""
    from matplotlib.ticker import MaxNLocator

    figure = _make_figure(9.2, 3.6)
    left, right = figure.subplots(1, 2)
    for axes, columns in ((left, ("train_loss", "validation_loss")), (right, _find_metrics(rows))):
        styles = zip(columns, (BLUE, RED, GREEN, GREY), "os^v", strict=False)
        for column, colour, marker in styles:
            points = [(float(row["epoch"]), _parse_number(row.get(column))) for row in rows]
            epochs, values = zip(*points, strict=True)
            style = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1.5}
            axes.plot(epochs, values, label=column.replace("_", " "), **style)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=len(rows) > 1))
        _add_legend(axes)
        _set_grey(axes)
    left.set_ylabel("loss")
    right.set_ylabel("validation")
    return figure


def _find_metrics(rows: Sequence[dict[str, str]]) -> list[str]:
    """Return the columns of summary.csv that are metrics, those of this package first."""
    others = ("epoch", "step", "train_loss", "validation_loss", "learning_rate", "seconds")
    found = [name for name in rows[0] if name not in others] if rows else []
    return sorted(found, key=lambda name: (name not in METRIC_SPECS, found.index(name)))


def _parse_number(text: str | None) -> float:
    """Return the number in a cell of summary.csv; NaN where it has none."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def _read_temperature(folder: Path) -> float | None:
    """Return the temperature in results.json, unless it is applied to the predictions already."""
    path = folder / RESULTS_FILE
    calibration = read_results(path).calibration if path.is_file() else {}
    return None if calibration.get("is_applied", True) else float(calibration["temperature"])


def _shorten(name: str) -> str:
    """Return a label that fits on an axis."""
    return name if len(name) <= MAX_NAME_LENGTH else name[: MAX_NAME_LENGTH - 1] + "…"


def _make_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches, without changing matplotlib's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG; the same numbers give the same bytes."""
    about = {"Software": "audio_cls"}
    figure.savefig(path, dpi=DPI, bbox_inches="tight", transparent=True, metadata=about)
    return path


def _set_grey(axes: Axes) -> None:
    """Set the colour of text, ticks and frame."""
    axes.tick_params(colors=GREY)
    for part in (axes.xaxis.label, axes.yaxis.label, axes.title):
        part.set_color(GREY)
    for spine in axes.spines.values():
        spine.set_color(GREY)
        spine.set_linewidth(0.8)


def _add_legend(axes: Axes) -> None:
    """Add a legend without a frame."""
    axes.legend(frameon=False, labelcolor=GREY, fontsize=9)
