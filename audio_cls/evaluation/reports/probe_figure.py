"""Figure of the layers that a linear probe compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from audio_cls.evaluation.reports.figure_style import (
    BLUE,
    GREY,
    RED,
    add_legend,
    label_axes,
    make_figure,
)
from audio_cls.runs.results import ProbedLayer, ProbeResults

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRIC_TITLES = {"accuracy": "accuracy", "map": "mean average precision"}


def draw_probe_layers(probe: ProbeResults) -> Figure:
    """Draw the metric by layer, with and without the encoder's final norm, and the saved one."""
    from matplotlib.ticker import MaxNLocator

    figure = make_figure(6.4, 3.6)
    axes = figure.add_subplot()
    parts = {
        is_raw: [one for one in probe.layers if one.is_raw == is_raw] for is_raw in (False, True)
    }
    names = ("with final norm", "without final norm") if parts[True] else ("encoder cut here",)
    styles: list[dict[str, Any]] = [
        {"color": BLUE, "marker": "o", "linestyle": "-"},
        {"color": RED, "marker": "s", "linestyle": "--"},
    ]
    for name, part, style in zip(names, parts.values(), styles, strict=False):
        axes.plot(*_read_points(part), label=name, linewidth=1.5, markersize=5, **style)
    chosen = probe.chosen
    ring: dict[str, Any] = {"markersize": 13, "markerfacecolor": "none", "markeredgewidth": 1.5}
    axes.plot(*_read_points([chosen]), "o", color=GREY, label="saved", **ring)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    metric = METRIC_TITLES[probe.metric or "accuracy"]
    title = f"{metric[0].upper()}{metric[1:]} by layer, {probe.scored_on}"
    label_axes(axes, title, "layer", metric)
    add_legend(axes)
    return figure


def _read_points(layers: Sequence[ProbedLayer]) -> tuple[list[int], list[float]]:
    """Return the numbers of the layers, and their scores."""
    return [one.layer or 0 for one in layers], [one.score or 0.0 for one in layers]
