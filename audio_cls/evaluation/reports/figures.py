"""Figures of a run: confusions, reliability diagram, durations and training curves.

They are drawn from predictions.csv and, where they exist, results.json, clips.csv, summary.csv::

    FOLDER/figures/
      confusion_matrix.png confusion_matrix.csv   clips by true and predicted label
      most_confused.png                           for more than 40 classes, instead of the matrix
      families.png                                the matrix of families, where labels are languages
      labels.png                                  instead of these, if multi-label
      reliability.png                             accuracy by confidence
      durations.png                               correct and wrong clips by duration
      curves.png                                  losses and metrics of the training
      probe_layers.png                            metric by layer, of a linear probe
      training_examples.png                       see `training_examples`
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
from audio_cls.evaluation.reports.confusion_figures import (
    MAX_CLASSES,
    draw_confused_pairs,
    draw_matrix,
)
from audio_cls.evaluation.reports.figure_style import (
    BLUE,
    COLOURS,
    GREY,
    MAX_WIDTH,
    PLAIN,
    RED,
    SMALL_SIZE,
    add_legend,
    add_legend_below,
    label_axes,
    make_figure,
    save_figure,
    shorten_name,
)
from audio_cls.evaluation.reports.language_families import find_families
from audio_cls.evaluation.reports.predictions_file import read_metadata, read_predictions
from audio_cls.evaluation.reports.probe_figure import draw_probe_layers
from audio_cls.evaluation.reports.weakest_classes import count_families
from audio_cls.runs.results import RESULTS_FILE, RunResults, read_results
from audio_cls.storage.files import write_csv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CURVES: tuple[dict[str, Any], ...] = tuple(  # dashes show both of two equal curves
    {"color": colour, "marker": marker, "linestyle": dashes}
    for colour, marker, dashes in zip(COLOURS, "os^v", ("-", "--", "-.", ":"), strict=True)
)
MAX_LABELS = 40  # labels of a multi-label task that are drawn
MAX_MARKERS = 40  # evaluations; with more, curves have no markers
MIN_SPREAD = 0.05  # seconds between the shortest and the longest clip of a histogram


def draw_figures(folder: Path) -> list[Path]:
    """Draw the figures that the files of a folder allow. Main process only.

    Returns:
        The files written.
    """
    scores, names = read_predictions(folder / "predictions.csv")
    path = folder / RESULTS_FILE
    results = read_results(path) if path.is_file() else RunResults()
    (folder / "figures").mkdir(exist_ok=True)
    figures = {"reliability": draw_reliability(scores, results.calibration)}
    if scores.is_multilabel:
        figures["labels"] = draw_labels(scores, names)
    else:
        figures |= _draw_confusions(folder, scores, names)
    probe = results.probe
    if probe is not None and probe.scored_on is not None and len(probe.layers) > 1:
        figures["probe_layers"] = draw_probe_layers(probe)
    metadata = read_metadata(folder / "clips.csv", scores)
    if metadata is not None and np.ptp(metadata.seconds) >= MIN_SPREAD:
        figures["durations"] = draw_durations(metadata.seconds, scores.is_correct)
    if (folder / "summary.csv").is_file():
        with (folder / "summary.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        if rows:
            figures["curves"] = draw_curves(rows, results)
    return [
        save_figure(figure, folder / "figures" / f"{name}.png") for name, figure in figures.items()
    ]


def write_matrix(path: Path, matrix: NDArray[np.int64], names: Sequence[str]) -> None:
    """Write the confusion matrix: clips by true label (row) and predicted label (column)."""
    rows = zip(names, matrix.tolist(), strict=True)
    write_csv(path, ["label", *names], ([name, *row] for name, row in rows))


def draw_labels(scores: Scores, names: Sequence[str]) -> Figure:
    """Draw average precision and F1 of each label, the weakest at the bottom.

    With more than `MAX_LABELS` labels, the weakest are drawn; labels without clips are left out.
    """
    precisions = average_precisions(scores.targets > 0, scores.probabilities)
    f1 = score_labels(scores.targets, scores.predictions)[2]
    tested = np.flatnonzero(np.isfinite(precisions))
    shown = tested[np.argsort(precisions[tested], kind="stable")][:MAX_LABELS]
    places, support = np.arange(len(shown)), scores.targets.sum(axis=0)
    figure = make_figure(6.4, 1.4 + 0.24 * max(3, len(shown)))
    axes = figure.add_subplot()
    axes.barh(places, precisions[shown], color=BLUE, height=0.6, label="average precision")
    style: dict[str, Any] = {"color": RED, "marker": "D", "markersize": 5, "linestyle": "none"}
    axes.plot(f1[shown], places, label="F1 at the label's threshold", **style)
    few = f", the {len(shown)} weakest of {len(names)}" if len(shown) < len(tested) else ""
    label_axes(axes, f"Average precision and F1 by label{few}", "score", "label (clips with it)")
    ticks = [f"{shorten_name(names[label])} ({support[label]})" for label in shown]
    axes.set_yticks(places, ticks, fontsize=SMALL_SIZE, **PLAIN)
    axes.set_xlim(0, 1.02)
    axes.margins(y=0.01)
    add_legend(axes)
    return figure


def draw_reliability(scores: Scores, calibration: dict[str, Any]) -> Figure:
    """Draw a reliability diagram: accuracy by confidence, above the number of clips.

    Multi-label: the share of clips that have a label, by its probability, above the number of
    clip-label pairs.

    Args:
        scores: Of the test clips.
        calibration: `calibration` of results.json: the temperature, and whether the scores have it.
            If they do not, a second curve shows the calibrated scores, unless the temperature is 1.
            Empty: none was fitted.
    """
    from matplotlib.ticker import MaxNLocator

    figure = make_figure(5.2, 5.4)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.plot([0, 1], [0, 1], linestyle="--", color=GREY, linewidth=1, label="perfect calibration")
    temperature = float(calibration.get("temperature") or 1)
    scaled = f"after temperature scaling (T = {temperature:.2f})"
    curves = [("uncalibrated", scores, BLUE, "o")]
    if calibration.get("is_applied"):
        curves = [(scaled, scores, RED, "s")]
    elif temperature != 1:
        curves.append((scaled, calibrate(scores, temperature), RED, "s"))
    for name, curve, colour, marker in curves:
        counts, confidence, accuracy = bin_confidence(curve.targets, curve.probabilities)
        has_clips = counts > 0
        line = {"color": colour, "marker": marker, "markersize": 5, "linewidth": 1.5}
        upper.plot(confidence[has_clips], accuracy[has_clips], label=name, **line)
        edges = np.linspace(0, 1, len(counts) + 1)
        lower.stairs(counts, edges, color=colour, linewidth=1.5)
    multi = scores.is_multilabel
    share = "share of clips with the label" if multi else "accuracy"
    label_axes(upper, "Reliability diagram", "", share)
    x_label = "predicted probability of the label" if multi else "confidence (highest probability)"
    label_axes(lower, "", x_label, "clip-label pairs" if multi else "clips")
    upper.set_ylim(-0.03, 1.03)
    lower.set_xlim(0, 1)
    lower.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    add_legend(upper)
    return figure


def draw_durations(seconds: NDArray[np.float64], is_correct: NDArray[np.bool_]) -> Figure:
    """Draw a histogram of the durations of correct and wrong clips, which must differ."""
    from matplotlib.ticker import MaxNLocator

    figure = make_figure(6.4, 3.4)
    axes = figure.add_subplot()
    axes.hist(
        [seconds[is_correct], seconds[~is_correct]],
        bins=list(np.linspace(seconds.min(), seconds.max(), 31)),
        stacked=True,
        color=[BLUE, RED],
        label=["correct", "wrong"],
    )
    label_axes(axes, "Predictions by duration of the clip", "duration (s)", "clips")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    add_legend(axes)
    return figure


def draw_curves(rows: Sequence[dict[str, str]], results: RunResults) -> Figure:
    """Draw losses (left) and validation metrics (right) by epoch, from the rows of summary.csv.

    Without validation clips there is only the loss of training.

    Args:
        rows: One per evaluation, at least one.
        results: Of the run: the metric that selected the best epoch, and that epoch.
    """
    from matplotlib.ticker import MaxNLocator

    epochs = [float(row["epoch"]) for row in rows]
    metrics = find_curves(rows, results.metric)
    panels: list[tuple[str, Sequence[str]]] = [("Loss", ["train_loss"])]
    best = None
    if metrics:
        best = results.validation.get("epoch")
        panels = [("Loss", ["train_loss", "validation_loss"]), ("Validation metrics", metrics)]
    figure = make_figure(MAX_WIDTH if metrics else MAX_WIDTH / 2, 3.2)
    all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, columns) in zip(all_axes, panels, strict=True):
        for column, style in zip(columns, CURVES, strict=False):
            values = [_parse_number(row.get(column)) for row in rows]
            name = column.removesuffix("_loss") if title == "Loss" else column
            (line,) = axes.plot(epochs, values, label=name, markersize=4, linewidth=1.5, **style)
            if len(rows) > MAX_MARKERS:
                line.set_marker("")
        if best is not None and len(rows) > 1:
            name = f"best epoch ({best:g})"
            axes.axvline(best, color=GREY, linestyle="--", linewidth=1, label=name, zorder=0)
        if len(set(epochs)) == 1:
            axes.set_xticks([epochs[0]], [f"{epochs[0]:g}"])
        else:
            is_whole = epochs[-1] - epochs[0] >= 2 or all(one.is_integer() for one in epochs)
            axes.xaxis.set_major_locator(
                MaxNLocator(nbins=8, integer=is_whole, min_n_ticks=2 if is_whole else 3)
            )
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.ticklabel_format(axis="y", useOffset=False)
        add_legend_below(axes)
        label_axes(axes, title, "epoch", "loss per clip" if title == "Loss" else "score")
    return figure


def find_curves(rows: Sequence[dict[str, str]], chosen: str | None) -> list[str]:
    """Return the columns of summary.csv that are drawn, the chosen metric first.

    They are the chosen one, and metrics from 0 to 1 of which larger is better, if they have values.

    >>> find_curves([{"epoch": "1", "accuracy": "0.5", "ece": "0.1", "mine": "7"}], "mine")
    ['mine', 'accuracy']
    """
    found = []
    for name in rows[0]:
        spec = METRIC_SPECS.get(name)
        is_score = spec is not None and spec.highest == 1 and not spec.lower_is_better
        has_values = any(math.isfinite(_parse_number(row.get(name))) for row in rows)
        if (is_score or name == chosen) and has_values:
            found.append(name)
    return sorted(found, key=lambda name: name != chosen)[: len(COLOURS)]


def _draw_confusions(folder: Path, scores: Scores, names: Sequence[str]) -> dict[str, Figure]:
    """Write the confusion matrix, and draw it or the most confused pairs, and that of families."""
    matrix = count_confusions(scores.targets, scores.predictions, len(names))
    write_matrix(folder / "figures" / "confusion_matrix.csv", matrix, names)
    figures: dict[str, Figure] = {}
    if len(names) <= MAX_CLASSES:
        figures["confusion_matrix"] = draw_matrix(matrix, names)
    elif (pairs := draw_confused_pairs(matrix, names)) is not None:
        figures["most_confused"] = pairs
    families = find_families(names)
    if families is not None:
        shown, family_matrix = count_families(scores, families)
        title = "Confusion matrix of language families"
        figures["families"] = draw_matrix(family_matrix, shown, title)
    return figures


def _parse_number(text: str | None) -> float:
    """Return the number in a cell of summary.csv; NaN where it has none."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
