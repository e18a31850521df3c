"""Figures of confusions: the matrix, and for many classes the most confused pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audio_cls.errors import count_of
from audio_cls.evaluation.reports.figure_style import (
    BLUE,
    FONT_SIZE,
    PLAIN,
    SMALL_SIZE,
    TEXT,
    label_axes,
    make_figure,
    shorten_name,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_CLASSES = 40  # of a matrix; with more, the most confused pairs are drawn
MAX_PAIRS = 30
MIN_COUNT_SIZE = 5.5  # points; where a count would be smaller, the matrix has none


def draw_matrix(
    matrix: NDArray[np.int64], names: Sequence[str], title: str = "Confusion matrix"
) -> Figure:
    """Draw the confusion matrix: colours are shares of the row, numbers are clips."""
    from matplotlib.colors import PowerNorm

    size = len(names)
    cell = min(0.5, max(0.15, 5.6 / size))  # inches
    font = SMALL_SIZE if size <= 30 else 7
    side, margin = (
        max(2.4, size * cell),
        0.9 + 0.009 * font * max(map(len, map(shorten_name, names))),
    )
    figure = make_figure(side + margin + 0.9, side + margin)
    axes = figure.add_subplot()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    # The square root makes one clip of fifty visible: most mistakes are that rare.
    image = axes.imshow(shares, cmap="cividis", norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
    clips = count_of(int(matrix.sum()), "clip")
    label_axes(axes, f"{title} ({clips})", "predicted label", "true label")
    short = [shorten_name(name) for name in names]
    axes.set_xticks(range(size), short, rotation=90, fontsize=font, **PLAIN)
    axes.set_yticks(range(size), short, fontsize=font, **PLAIN)
    _write_counts(axes, matrix, shares, side / size)
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02, shrink=0.6)
    label_axes(
        bar.ax, "", "", "share of the clips with the true label\n(colours by its square root)"
    )
    return figure


def draw_confused_pairs(matrix: NDArray[np.int64], names: Sequence[str]) -> Figure | None:
    """Draw the most frequent confusions as bars: true label, predicted label, clips.

    Returns:
        The figure; None if no clip is wrong.
    """
    from matplotlib.ticker import MaxNLocator

    pairs = list_confused_pairs(matrix)
    if not pairs:
        return None
    counts, support = [matrix[pair] for pair in pairs], matrix.sum(axis=1)
    figure = make_figure(6.6, 1.0 + 0.22 * max(3, len(pairs)))
    axes = figure.add_subplot()
    places = np.arange(len(pairs))
    axes.barh(places, counts, color=BLUE, height=0.7)
    for place, (pair, count) in enumerate(zip(pairs, counts, strict=True)):
        text = f" {count} of {support[pair[0]]}"
        axes.text(count, place, text, va="center", fontsize=SMALL_SIZE, color=TEXT)
    title = f"Most confused pairs of {len(names)} classes ({len(pairs)} most frequent)"
    label_axes(axes, title, "clips (of all clips with the true label)", "true → predicted label")
    short = [f"{shorten_name(names[true])} → {shorten_name(names[other])}" for true, other in pairs]
    axes.set_yticks(places, short, fontsize=SMALL_SIZE, **PLAIN)
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.set_xlim(0, max(counts) * 1.15)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def list_confused_pairs(matrix: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return the (true, predicted) labels that differ, the most frequent first.

    Of pairs with equally many clips, that with fewer clips of the true label is first.

    >>> list_confused_pairs(np.array([[5, 1, 0], [0, 2, 1], [3, 0, 0]]))
    [(2, 0), (1, 2), (0, 1)]
    """
    support = matrix.sum(axis=1)
    wrong = [(int(a), int(b)) for a, b in np.argwhere(matrix) if a != b]
    wrong.sort(key=lambda pair: (-matrix[pair], support[pair[0]], pair))
    return wrong[:MAX_PAIRS]


def _write_counts(
    axes: Axes, matrix: NDArray[np.int64], shares: NDArray[np.float64], cell: float
) -> None:
    """Write the number of clips into each cell of this size in inches, where it is legible."""
    digits = len(str(matrix.max()))
    font = min(FONT_SIZE, cell * 72 * 0.85 / (0.65 * max(2, digits)))
    if font < MIN_COUNT_SIZE:
        return
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            colour = "#111111" if shares[row, column] > 0.3 else "#f4f4f4"
            style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": font}
            axes.text(column, row, str(count), color=colour, **style)
