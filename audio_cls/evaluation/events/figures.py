"""Figures of events: scores of each class, and of all events by threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from audio_cls.evaluation.events.curve import CurvePoint
from audio_cls.evaluation.events.scores import EventCounts
from audio_cls.evaluation.reports.figure_style import (
    BLUE,
    GREEN,
    GREY,
    PLAIN,
    RED,
    SMALL_SIZE,
    TEXT,
    add_legend,
    label_axes,
    make_figure,
    shorten_name,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {"precision": "precision", "recall": "recall", "f1": "F1"}
STYLES: tuple[dict[str, Any], ...] = (
    {"color": RED, "marker": "D", "markersize": 4, "linestyle": "--"},
    {"color": GREEN, "marker": "o", "markersize": 4, "linestyle": "-."},
    {"color": BLUE, "marker": "s", "markersize": 4},
)
MAX_CLASSES = 40  # drawn; with more, those of lowest F1


def draw_classes(classes: Mapping[str, EventCounts], tolerance: float) -> Figure:
    """Draw precision, recall and F1 of each class, the lowest F1 at the bottom."""
    ranked = sorted(classes.items(), key=lambda item: (item[1].f1 or 0.0, item[0]))[:MAX_CLASSES]
    figure = make_figure(6.4, 1.5 + 0.26 * max(3, len(ranked)))
    axes = figure.add_subplot()
    places = range(len(ranked))
    axes.barh(places, [one.f1 or 0.0 for _, one in ranked], color=BLUE, height=0.6, label="F1")
    for name, colour, marker, size in (("precision", RED, "D", 8), ("recall", GREEN, "o", 6)):
        values = [getattr(one, name) for _, one in ranked]
        known = [(value, place) for place, value in enumerate(values) if value is not None]
        style: dict[str, Any] = {"color": colour, "marker": marker, "markersize": size}
        style["markeredgecolor"] = "white"  # visible on a bar of F1
        axes.plot(*zip(*known, strict=True), linestyle="none", label=name, **style)
    few = f", the {len(ranked)} lowest of {len(classes)}" if len(ranked) < len(classes) else ""
    title = f"Events found within {tolerance:g} s{few}"
    label_axes(axes, title, "score", "class (annotated events)")
    ticks = [f"{shorten_name(label)} ({one.annotated})" for label, one in ranked]
    axes.set_yticks(places, ticks, fontsize=SMALL_SIZE, **PLAIN)
    axes.set_xlim(0, 1.03)
    axes.margins(y=0.01)
    add_legend(axes)
    return figure


def draw_curve(points: Sequence[CurvePoint], chosen: CurvePoint) -> Figure:
    """Draw precision, recall and F1 by threshold, above the false alarms per hour."""
    figure = make_figure(6.4, 4.8)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    for name, style in zip(("precision", "recall", "f1"), STYLES, strict=True):
        known = [one for one in points if getattr(one.counts, name) is not None]
        values = [getattr(one.counts, name) for one in known]
        upper.plot([one.threshold for one in known], values, label=NAMES[name], **style)
    alarms = [one.false_alarms_per_hour for one in points]
    lower.plot([one.threshold for one in points], alarms, color=GREY, marker="o", markersize=4)
    if chosen.threshold is not None:
        name = f"this evaluation ({chosen.threshold:g})"
        for axes in (upper, lower):
            axes.axvline(chosen.threshold, color=TEXT, linestyle="--", linewidth=1, label=name)
    label_axes(upper, "All events by threshold", "", "score")
    label_axes(lower, "", "least score of a window", "false alarms/h")
    upper.set_ylim(-0.03, 1.03)
    lower.set_ylim(0, 1.1 * max(*alarms, 1))
    lower.set_xlim(0, 1)
    add_legend(upper)
    return figure
