"""Style of the figures: size, colours, fonts, and how they are saved.

The background is white, so that a figure is legible on light and on dark pages. A figure is at most
about `MAX_WIDTH` inches wide: shown 750 pixels wide, its smallest text has the size of 8-point text
at 90 dpi. Colours are those of Okabe and Ito 2008 and of cividis, which colour-blind readers can
distinguish. matplotlib is imported when a figure is drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BACKGROUND, TEXT, GREY = "#ffffff", "#1f1f1f", "#6b6b6b"
BLUE, RED, GREEN = "#0072b2", "#d55e00", "#00805d"
COLOURS = (BLUE, RED, GREEN, GREY)
DPI = 150
MAX_WIDTH = 7.5  # inches
FONT_SIZE, TITLE_SIZE, SMALL_SIZE = 9, 10.5, 8  # points
MAX_NAME_LENGTH = 22  # characters of a label on an axis
PLAIN: dict[str, Any] = {"parse_math": False}  # a label may contain $


def make_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches, without changing matplotlib's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor=BACKGROUND)
    FigureCanvasAgg(figure)
    return figure


def label_axes(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    """Set title and axis labels, and the size and colour of all text but that of bars."""
    axes.set_title(title, fontsize=TITLE_SIZE, color=TEXT, **PLAIN)
    axes.set_xlabel(x_label, fontsize=FONT_SIZE, color=TEXT)
    axes.set_ylabel(y_label, fontsize=FONT_SIZE, color=TEXT)
    axes.tick_params(colors=TEXT, labelsize=SMALL_SIZE)
    for spine in axes.spines.values():
        spine.set_color(GREY)
        spine.set_linewidth(0.8)


def add_legend(axes: Axes) -> None:
    """Add a legend below the axes, where it hides no line."""
    axes.figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=2,
        frameon=False,
        labelcolor=TEXT,
        fontsize=SMALL_SIZE,
    )


def shorten(name: str, length: int = MAX_NAME_LENGTH) -> str:
    """Return a label that fits on an axis.

    >>> shorten("drums"), shorten("a very long name", 8)
    ('drums', 'a very …')
    """
    return name if len(name) <= length else name[: length - 1] + "…"


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG; the same numbers give the same bytes."""
    about = {"Software": "audio_cls"}
    figure.savefig(path, dpi=DPI, bbox_inches="tight", facecolor=BACKGROUND, metadata=about)
    return path
