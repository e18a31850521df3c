"""Evaluation of events: annotated recordings -> timeline -> events -> scores, table and figures."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audio_cls.audio.decode import measure_seconds
from audio_cls.config import Seconds
from audio_cls.data.labels.labels import UNUSABLE
from audio_cls.errors import AudioError, RunFolderError, SettingError, count_of, list_names
from audio_cls.evaluation.evaluate_model import check_output, choose_output
from audio_cls.evaluation.events.curve import (
    THRESHOLDS,
    EventRule,
    make_point,
    sweep_thresholds,
)
from audio_cls.evaluation.events.report import (
    RESULTS_FILE,
    EventReport,
    describe_report,
    write_report,
)
from audio_cls.evaluation.events.window_rows import read_window_rows
from audio_cls.evaluation.label_mapping import find_targets, load_label_map
from audio_cls.events import emit_event
from audio_cls.inference.classifier import Classifier
from audio_cls.inference.events.annotations import read_annotations
from audio_cls.inference.events.event import Event
from audio_cls.inference.events.merge import NO_EVENT, Window
from audio_cls.inference.prediction import WindowPrediction
from audio_cls.progress import show_progress
from audio_cls.run_warnings import collect_warnings, warn
from audio_cls.runs.provenance import describe_command
from audio_cls.versions import describe_versions
from audio_cls.workflows.show_results import show_lines

TOLERANCE: Seconds = 1.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EventRequest:
    """What is evaluated by `audio-cls evaluate --events`; times in seconds."""

    events: Path  # the annotations
    model: str | None = None  # or predictions
    predictions: Path | None = None  # a timeline that `audio-cls predict` wrote
    model_revision: str | None = None
    trust_remote_code: bool = False
    audio_root: str | None = None  # folder of the recordings
    label_column: str | None = None  # of the annotations
    label_map: Path | None = None
    output_dir: Path | None = None
    overwrite: bool = False
    tolerance: Seconds = TOLERANCE
    threshold: float | None = None
    max_gap: Seconds = 0.0
    min_duration: Seconds = 0.0
    no_event: tuple[str, ...] = ()  # labels besides `NO_EVENT` that are no events
    window_seconds: Seconds | None = None
    hop_seconds: Seconds | None = None
    overlap: float | None = None
    log: str = "text"

    def __post_init__(self) -> None:
        """Check that there is one source of predictions.

        Raises:
            SettingError: Both or none of model and predictions are given, or window settings for
                predictions that are there already.
        """
        if (self.model is None) == (self.predictions is None):
            raise SettingError(
                "--events needs --model (a run or a Hub id), or --predictions (a timeline that"
                " `audio-cls predict --timeline --output` wrote)."
            )
        windows = (self.window_seconds, self.hop_seconds, self.overlap)
        if self.predictions is not None and any(value is not None for value in windows):
            raise SettingError(
                "--window-seconds, --hop-seconds and --overlap are for --model: a timeline in"
                " --predictions has its windows already. Leave them out."
            )

    def choose_output(self) -> Path:
        """Return `--output-dir`, or its default."""
        if self.output_dir is not None:
            return self.output_dir
        if self.predictions is not None:
            return self.predictions.parent / f"eval-{self.events.stem}"
        return choose_output(self.model, str(self.events), "test", [])


def evaluate_events(request: EventRequest) -> EventReport:
    """Compare predicted with annotated events, write the report and show it.

    Raises:
        AudioClsError: The annotations, the model, the timeline or the folder cannot be used, or a
            recording cannot be read.
    """
    warnings = collect_warnings()
    output = request.choose_output()
    check_output(output, overwrite=request.overwrite)
    if (output / RESULTS_FILE).is_file() and not request.overwrite:
        raise RunFolderError(
            f"'{output}' has an earlier evaluation ({RESULTS_FILE}). Replace it with --overwrite,"
            " or choose another --output-dir."
        )
    root = None if request.audio_root is None else Path(request.audio_root).expanduser()
    annotated = read_annotations(request.events, root, request.label_column)
    windows, known = _read_windows(request, list(annotated))
    events = _match_labels(annotated, known, request)

    seconds = {file: _measure(file, rows) for file, rows in windows.items()}
    hours = sum(seconds.values()) / 3600
    no_event = (*NO_EVENT, *request.no_event)
    rule = EventRule(request.tolerance, request.max_gap, request.min_duration, no_event)
    rows = [row for own in windows.values() for row in own]
    matches = rule.match(rows, events, request.threshold)
    report = EventReport(
        matches,
        make_point(request.threshold, matches, hours),
        sweep_thresholds(rule, rows, events, hours),
        rule,
        len(windows),
        _name_recordings(request, windows),
    )
    about: dict[str, Any] = {
        "model": request.model,
        "command": describe_command(),
        "versions": describe_versions(),
        "warnings": warnings,
    }
    write_report(output, report, about)
    _show(report, output, request.log)
    return report


def _read_windows(
    request: EventRequest, recordings: list[str]
) -> tuple[dict[str, list[Window]], tuple[str, ...] | None]:
    """Return the windows of each recording, and the labels of the model where they are known."""
    if request.predictions is not None:
        rows = read_window_rows(request.predictions, recordings)
        names = {name for own in rows.values() for row in own for name in row.scores}
        return {file: list(own) for file, own in rows.items()}, tuple(sorted(names)) or None
    assert request.model is not None
    classifier = Classifier.from_pretrained(
        request.model, request.model_revision, trust_remote_code=request.trust_remote_code
    )
    found: dict[str, list[Window]] = {}
    for file in show_progress(recordings, len(recordings), "Recordings", logger):
        windows = classifier.windows(
            file,
            window_seconds=request.window_seconds,
            hop_seconds=request.hop_seconds,
            overlap=request.overlap,
        )
        try:
            found[file] = [_shrink(one) for one in windows]
        except AudioError as error:
            raise AudioError(error.reason, f"the recording '{file}' cannot be read") from error
    return found, classifier.labels


def _name_recordings(
    request: EventRequest, windows: Mapping[str, Sequence[Window]]
) -> dict[str, str]:
    """Return absolute path -> name of each recording: that of the timeline, where it has one.

    Else, the path is relative to the current folder where the folder of the recordings was given
    so, as `audio-cls predict` names the files of a folder.
    """
    is_relative = not Path(request.audio_root or request.events).expanduser().is_absolute()
    names = {file: os.path.relpath(file) if is_relative else file for file in windows}
    given = {file: getattr(rows[0], "name", "") for file, rows in windows.items() if rows}
    return {file: given.get(file) or name for file, name in names.items()}


def _shrink(window: WindowPrediction) -> WindowPrediction:
    """Return a window with the scores that can make an event: large ones, and those of its labels.

    A long recording has many windows, and some models have hundreds of labels.
    """
    labels = window.labels or ()
    scores = {
        label: score
        for label, score in window.scores.items()
        if window.labels is not None and (score >= THRESHOLDS[0] or label in labels)
    }
    return replace(window, scores=scores)


def _match_labels(
    annotated: Mapping[str, list[Event]], known: tuple[str, ...] | None, request: EventRequest
) -> list[Event]:
    """Return the annotated events with the labels of the model, without those it does not have.

    Raises:
        AudioClsError: No label matches, or --label-map names a label that does not exist.
    """
    events = [one for own in annotated.values() for one in own]
    names = sorted({one.label for one in events})
    mapping = load_label_map(request.label_map)
    if not names:
        return []
    if known is None:  # the timeline has events: classes without any are not known
        known = tuple({mapping.get(name) or name for name in names})
    numbers = find_targets(names, known, mapping)
    target = {
        name: None if number == UNUSABLE else known[number]
        for name, number in zip(names, numbers, strict=True)
    }
    skipped = {*NO_EVENT, *request.no_event}
    kept, left_out = [], dict.fromkeys(names, 0)
    for one in events:
        label = target[one.label]
        if label is None or label in skipped:
            left_out[one.label] += 1
        else:
            kept.append(replace(one, label=label))
    lost = {name: number for name, number in left_out.items() if number}
    if lost:
        shown = (f"{name} ({count_of(number, 'event')})" for name, number in lost.items())
        warn(
            logger,
            f"Left out: annotated events with labels that are no events of the model:"
            f" {list_names(shown)}.",
        )
    return kept


def _measure(file: str, windows: Iterable[Window]) -> Seconds:
    """Return the duration of a recording by its header, else the end of its last window."""
    return measure_seconds(None, file) or max((one.end for one in windows), default=0.0)


def _show(report: EventReport, folder: Path, log: str) -> None:
    """Show the table, one line with `quiet`, or the event `test` with `json`."""
    content = report.to_json()
    micro = content["micro"]
    line = (
        f"{folder}: event F1 {micro['f1'] or 0:.4f} (precision {micro['precision'] or 0:.4f},"
        f" recall {micro['recall'] or 0:.4f}) on {count_of(micro['annotated'], 'event')}"
    )
    files = f"  {RESULTS_FILE}, events.csv, figures/"
    show_lines(log, line, [*describe_report(report), "", f"Folder: {folder}", files])
    emit_event(log, "test", **{name: one for name, one in content.items() if name != "thresholds"})
    emit_event(log, "end", output_dir=str(folder))
