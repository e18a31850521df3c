"""Report of events: results.json, events.csv and figures, and the table for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audio_cls.errors import count_of
from audio_cls.evaluation.events.curve import CurvePoint, EventRule
from audio_cls.evaluation.events.figures import draw_classes, draw_curve
from audio_cls.evaluation.events.matching import EventMatch
from audio_cls.evaluation.events.scores import EventCounts, average_f1, count_classes
from audio_cls.evaluation.reports.figure_style import save_figure
from audio_cls.storage.files import write_csv, write_json
from audio_cls.text_table import format_table

RESULTS_FILE = "event_results.json"
EVENTS_FILE = "events.csv"
EVENT_COLUMNS = (
    *("file", "label", "result", "annotated_start", "annotated_end"),
    *("predicted_start", "predicted_end", "score"),
)
MAX_ROWS = 20  # classes in the table of the terminal


@dataclass(frozen=True)
class EventReport:
    """The result of an evaluation of events."""

    matches: Sequence[EventMatch]
    point: CurvePoint  # of all classes
    curve: Sequence[CurvePoint]
    rule: EventRule
    num_recordings: int
    names: Mapping[str, str] = field(default_factory=dict)  # of recordings in events.csv, by path

    @property
    def classes(self) -> dict[str, EventCounts]:
        """Return the counts of each class."""
        return count_classes(self.matches)

    def to_json(self) -> dict[str, Any]:
        """Return the content of event_results.json, without the model and the warnings."""
        hours = self.point.hours
        return {
            "recordings": self.num_recordings,
            "hours": hours,
            "onset_tolerance": self.rule.tolerance,
            "threshold": self.point.threshold,
            "max_gap": self.rule.max_gap,
            "min_duration": self.rule.min_duration,
            "labels_without_events": sorted(self.rule.no_event),
            "micro": self.point.counts.to_json(hours),
            "macro_f1": self.point.macro_f1,
            "classes": {name: one.to_json(hours) for name, one in self.classes.items()},
            "thresholds": [one.to_json() for one in self.curve],
        }


def write_report(folder: Path, report: EventReport, about: dict[str, Any]) -> None:
    """Write the files of an evaluation of events.

    ::

        FOLDER/
          event_results.json    scores per class and in all, and for other thresholds
          events.csv            a row per event: matched, missed or false alarm
          figures/events.png    precision, recall and F1 of each class
          figures/thresholds.png  scores and false alarms by threshold

    Args:
        folder: Made if needed.
        report: The result.
        about: Further keys of event_results.json: the model, the annotations, warnings.
    """
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    write_csv(
        folder / EVENTS_FILE,
        EVENT_COLUMNS,
        (_list_cells(one, report.names) for one in report.matches),
    )
    figure = draw_classes(report.classes, report.rule.tolerance)
    save_figure(figure, folder / "figures" / "events.png")
    save_figure(draw_curve(report.curve, report.point), folder / "figures" / "thresholds.png")
    write_json(folder / RESULTS_FILE, {**about, **report.to_json()})


def describe_report(report: EventReport) -> list[str]:
    """Return the lines for the terminal: a table, and how events were matched."""
    classes = sorted(report.classes.items(), key=lambda item: (item[1].f1 or 0.0, item[0]))
    shown = sorted(classes[:MAX_ROWS])
    hours = report.point.hours
    head = ["class", "annotated", "predicted", "matched", "precision", "recall", "F1", "FA/h"]
    rows = [head, *(_format_row(name, one, hours) for name, one in shown)]
    rows.append(_format_row("all (micro)", report.point.counts, hours))
    macro = average_f1(report.classes.values())
    rows.append(["mean (macro)", *[""] * 5, _format(macro), ""])
    length = f"{hours:.2f} hours" if hours >= 1 else f"{hours * 60:.1f} minutes"
    lines = [f"Events in {count_of(report.num_recordings, 'recording')}, {length}:"]
    lines += [f"  {line}" for line in format_table(rows, "lrrrrrrr", width=78)]
    if len(classes) > len(shown):
        lines.append(f"  The {len(shown)} classes of lowest F1 of {len(classes)}.")
    return [
        *lines,
        "FA/h: false alarms per hour. An event is matched if its start is at most"
        f" {report.rule.tolerance:g} s",
        "from that of an annotated event of its class, one to one.",
    ]


def _list_cells(match: EventMatch, names: Mapping[str, str]) -> list[object]:
    """Return the cells of an event's row in events.csv."""
    file = match.event.file
    cells: list[object] = [names.get(file, file), match.event.label, match.result]
    for one in (match.annotated, match.predicted):
        cells += ["", ""] if one is None else [f"{one.start:.6f}", f"{one.end:.6f}"]
    return [*cells, "" if match.predicted is None else match.predicted.score]


def _format_row(name: str, counts: EventCounts, hours: float) -> list[str]:
    """Return the cells of a class in the table of the terminal."""
    numbers: Iterable[int] = (counts.annotated, counts.predicted, counts.matched)
    scores = (counts.precision, counts.recall, counts.f1)
    alarms = f"{counts.false_alarms / hours:.1f}"
    return [name, *map(str, numbers), *map(_format, scores), alarms]


def _format(score: float | None) -> str:
    """Format a score; one that is not defined is a dash."""
    return "-" if score is None else f"{score:.3f}"
