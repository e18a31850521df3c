"""Style of the figures: size, colours, fonts, and how they are saved.

The background is white, so that a figure is legible on light and on dark pages. A figure is at most
about `MAX_WIDTH` inches wide: shown 750 pixels wide, its smallest text has the size of 8-point text
at 90 dpi. Colours are those of Okabe and Ito 2008 and of cividis, which colour-blind readers can
distinguish. matplotlib is imported when a figure is drawn.
"""

from __future__ import annotations

import logging
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio_cls.run_warnings import warn
from audio_cls.text_table import shorten, to_line

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

# Fonts for characters that matplotlib's font lacks, such as Chinese; those that are installed.
MAIN_FONT = "DejaVu Sans"
FALLBACK_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans SC", "Noto Sans JP"),
    *("Noto Sans KR", "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari"),
    *("Noto Sans Bengali", "Noto Sans Tamil", "Noto Sans Telugu", "Noto Sans Thai"),
    *("Noto Sans Ethiopic", "Noto Sans", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei"),
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Nirmala UI", "Leelawadee UI"),
    *("PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo", "Arial Unicode MS"),
)

logger = logging.getLogger(__name__)


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


def add_legend_below(axes: Axes) -> None:
    """Add a legend below these axes of several, where it hides no line."""
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.18),
        ncols=2,
        frameon=False,
        labelcolor=TEXT,
        fontsize=SMALL_SIZE,
    )


def shorten_name(name: str) -> str:
    """Return a label that fits on an axis, on one line."""
    return shorten(to_line(name), MAX_NAME_LENGTH)


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG; the same numbers give the same bytes."""
    set_fonts(figure)
    about = {"Software": "audio_cls"}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # `choose_fonts` warns once
        figure.savefig(path, dpi=DPI, bbox_inches="tight", facecolor=BACKGROUND, metadata=about)
    return path


def set_fonts(figure: Figure) -> None:
    """Set fonts that have all characters of the figure, as far as they are installed."""
    from matplotlib.text import Text

    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    fonts = choose_fonts({character for text in texts for character in text.get_text()})
    if fonts != [MAIN_FONT]:
        for text in texts:
            text.set_fontfamily(fonts)


def choose_fonts(characters: set[str]) -> list[str]:
    """Return the installed fonts that draw these characters; warn where one has no font.

    >>> choose_fonts(set("rock ñ"))
    ['DejaVu Sans']
    """
    from matplotlib.font_manager import fontManager

    installed = {entry.name for entry in fontManager.ttflist}
    missing = {ord(character) for character in characters if character.isprintable()}
    fonts: list[str] = []
    for name in (MAIN_FONT, *FALLBACK_FONTS):
        if name not in installed or (fonts and not missing):
            continue
        glyphs = _read_glyphs(name)
        if not fonts or missing & glyphs:
            fonts.append(name)
        missing -= glyphs
    if missing:
        warn(
            logger,
            "Characters of some labels are boxes in the figures, because no installed font has"
            " them. Install a Noto font (Debian and Ubuntu: apt install fonts-noto-cjk"
            " fonts-noto-core), delete matplotlib's font cache and draw the figures again.",
        )
    return fonts


@cache
def _read_glyphs(name: str) -> frozenset[int]:
    """Return the characters that an installed font has, read once per process."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties(family=[name]))).get_charmap())
