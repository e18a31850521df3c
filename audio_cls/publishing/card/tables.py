"""Tables of the card: rows of cells from a run's record; the template escapes every cell.

They are shortened; results.json and the CSV files have everything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from audio_cls.config import flag_name, iterate_settings
from audio_cls.config.metrics import BASELINE_SPECS
from audio_cls.errors import redact_tokens
from audio_cls.publishing.card.markdown import Markdown, escape, to_code, to_duration, to_number
from audio_cls.publishing.eval_results import read_main_metrics
from audio_cls.publishing.metric_names import name_metric
from audio_cls.publishing.redaction.settings import GROUPS
from audio_cls.publishing.run_record import RunRecord
from audio_cls.publishing.split_description import read_split_name
from audio_cls.runs.run_files import SPEED_COLUMNS

MAX_CLASSES = 60  # rows of the table by class; of more classes the weakest are shown
MAX_LOG_ROWS = 30  # rows of the training log
# Columns of summary.csv that the training log of the card does not show.
LOG_OMITS = {*SPEED_COLUMNS, *BASELINE_SPECS, "seconds"}
MAX_MISTAKES = 10  # rows of the table of confident mistakes
# Sections and settings without effect on the result, and the problem type, which the summary names.
HIDDEN_SECTIONS = ("hub",)
HIDDEN_SETTINGS = (
    "problem_type",
    "output_dir",
    "overwrite",
    "resume",
    "log",
    "report_to",
    "measure_energy",
    "energy_country",
)

Row = list[object]


def read_classes(record: RunRecord) -> list[tuple[str, Mapping[str, Any]]]:
    """Return (label, scores) of every class, in the order of the labels, untested ones last."""
    per_class = record.results.test.get("per_class")
    if not isinstance(per_class, Mapping):
        return []
    order = {label: place for place, label in enumerate(record.labels)}
    known = [(str(k), v) for k, v in per_class.items() if isinstance(v, Mapping)]
    return sorted(
        known, key=lambda pair: (pair[1].get("support") == 0, order.get(pair[0], len(order)))
    )


def make_metric_rows(record: RunRecord) -> list[Row]:
    """Return one row per main metric: name, test with interval, validation if there was any."""
    tested, validated = read_main_metrics(record), read_main_metrics(record, "validation")
    rows: list[Row] = []
    for key in {**tested, **validated}:
        cell = to_number(tested.get(key))
        interval = record.results.test.get(f"{key}_ci95")
        if interval and cell:
            cell += f" ({to_number(interval[0])} to {to_number(interval[1])})"
        title = name_metric(key, is_multilabel=record.is_multilabel).title
        rows.append([title, cell, *([to_number(validated.get(key))] * is_validated(record))])
    return rows


def is_validated(record: RunRecord) -> bool:
    """Return whether the run had validation clips."""
    return bool(record.results.validation.get("num_examples") != 0)


def make_detection_rows(record: RunRecord) -> list[Row]:
    """Return one row per operating point of a keyword spotter; none for other classifiers."""
    detection = record.results.test.get("detection")
    points = detection.get("points") if isinstance(detection, Mapping) else None
    rows: list[Row] = []
    for point in points if isinstance(points, list) else []:
        allowed = f"{100 * float(point.get('allowed_false_rejects', 0)):g} %"
        hourly, bounds = (
            point.get("false_accepts_per_hour"),
            point.get("false_accepts_per_hour_ci95"),
        )
        cell = "not reached" if hourly is None else f"{hourly:g}"
        if bounds:
            cell += f" ({bounds[0]:g} to {bounds[1]:g})"
        rows.append([allowed, to_number(point.get("threshold")), cell])
    return rows


def make_class_header(record: RunRecord) -> list[str]:
    """Return the titles of the table by class."""
    titles = ["precision", "recall", "F1"]
    if record.is_multilabel:
        return ["label", "average precision", *titles, "threshold", "test clips"]
    return ["class", *titles, "test clips"]


def make_class_rows(record: RunRecord) -> list[Row]:
    """Return one row per class, a dash for the scores of an untested one.

    Of more than `MAX_CLASSES` classes, those with the lowest F1 are shown.
    """
    classes = read_classes(record)
    if len(classes) > MAX_CLASSES:
        classes = sorted(classes, key=lambda pair: _read_f1(pair[1]))[:MAX_CLASSES]
    names = ["precision", "recall", "f1"]
    if record.is_multilabel:
        names = ["average_precision", *names, "threshold"]
    rows: list[Row] = []
    for label, scores in classes:
        is_tested = scores.get("support") != 0
        cells = [to_number(scores.get(name) if is_tested else None, missing="-") for name in names]
        rows.append([label, *cells, to_number(scores.get("support"), missing="-")])
    return rows


def _read_f1(scores: Mapping[str, Any]) -> float:
    """Return the F1 of a class; infinity for an untested one, so that it sorts last."""
    value = scores.get("f1") if scores.get("support") != 0 else None
    is_number = isinstance(value, int | float) and math.isfinite(value)
    return float(value) if is_number and value is not None else math.inf


def make_mistake_rows(record: RunRecord) -> list[Row]:
    """Return the most confident wrong predictions: clip, row, both labels, probability.

    The row is that of predictions.csv; earlier versions did not record it. The ids of the clips are
    those of the redacted record, as `--publish-ids` allows.
    """
    mistakes = record.results.test.get("confident_mistakes")
    rows = [one for one in mistakes if isinstance(one, Mapping)] if mistakes else []
    return [
        [*(one.get(key) or "" for key in ("id", "row", "label", "prediction")),
         to_number(one.get("confidence"))]
        for one in rows[:MAX_MISTAKES]
    ]  # fmt: skip


def make_split_rows(record: RunRecord) -> list[Row]:
    """Return one row per split: role, name, number of clips, duration."""
    rows: list[Row] = []
    for role in ("train", "validation", "test"):
        part = record.results.dataset.split.get(role)
        if part is not None:
            name = to_code(read_split_name(record, role))
            rows.append([role, name, to_number(part.num_examples), to_duration(part.seconds)])
    return rows


def make_hyperparameter_rows(record: RunRecord) -> list[Row]:
    """Return one row per setting that differs from its default: flag, value, default."""
    rows: list[Row] = []
    for spec in iterate_settings():
        section = record.settings.get(spec.section, {})
        is_hidden = spec.section in HIDDEN_SECTIONS or spec.name in HIDDEN_SETTINGS
        if is_hidden or spec.name not in section:
            if section and spec.name in {*GROUPS, "fold"}:
                withheld = "withheld (may contain names)"
                rows.append([to_code(flag_name(spec.name)), withheld, to_code("none")])
            continue
        value = section[spec.name]
        if spec.name == "mixed_precision":  # auto and fp16 without a GPU are another one in use
            value = record.results.hardware.mixed_precision or value
        if (spec.name, value) == ("metric", record.results.headline_key):
            continue  # the value of 'auto' for this task
        default = list(spec.default) if isinstance(spec.default, tuple) else spec.default
        if value != default:
            cells = [to_code(_show_value(value)), to_code(_show_value(default))]
            rows.append([to_code(flag_name(spec.name)), *cells])
    return rows


def make_candidate_rows(record: RunRecord) -> list[Row]:
    """Return one row per candidate of `--method auto`; none for other methods."""
    found = record.results.candidates
    rows: list[Row] = []
    for one in found.rows if found is not None else ():
        settings = ", ".join(
            f"{to_code(f'{flag_name(name)} {_show_value(value)}')}"
            for name, value in one.settings.items()
        )
        what = "; ".join(part for part in (settings, escape(one.note or "")) if part)
        name = Markdown(f"**{escape(one.name)}**") if one.is_kept else one.name
        metric = to_number(one.metrics.get(record.results.headline_key))
        minutes = to_number((one.seconds or 0.0) / 60, 2)
        rows.append([name, to_number(one.log_loss), metric, minutes, Markdown(what)])
    return rows


def name_chosen_on(record: RunRecord) -> str:
    """Return the clips that the candidates of `--method auto` were compared on."""
    return record.results.held_out or "validation"


def _show_value(value: object) -> str:
    """Return a setting's value as on the command line."""
    if isinstance(value, list):
        return ",".join(map(_show_value, value)) or "none"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else redact_tokens(str(value))


def make_layer_rows(record: RunRecord) -> list[Row]:
    """Return one row per layer that a linear probe compared; none for other runs."""
    probe = record.results.probe
    rows: list[Row] = []
    for one in probe.layers if probe is not None else ():
        cells = [one.name, to_number(one.score), to_number(one.log_loss), _show_value(one.c)]
        shown = [escape(cell) for cell in cells]
        rows.append([Markdown(f"**{cell}**" if one.is_chosen else cell) for cell in shown])
    return rows


def name_layer_metric(record: RunRecord) -> str:
    """Return the title of the metric in the table of layers; empty without one."""
    probe = record.results.probe
    return "" if probe is None else name_metric(probe.metric or "accuracy").title


def make_log(record: RunRecord) -> tuple[list[object], list[Row], str]:
    """Return the training log's header, rows and a note on rows that are left out."""
    rows = record.summary
    if not rows:
        return [], [], ""
    header = [name for name in rows[0] if name not in LOG_OMITS]
    saved = _find_saved_row(record)
    shown = list(range(len(rows)))
    if len(rows) > MAX_LOG_ROWS:
        stride = math.ceil(len(rows) / MAX_LOG_ROWS)
        shown = [i for i in shown if i % stride == 0 or i in (saved, len(rows) - 1)]
    note = f"{len(shown)} of {len(rows)} evaluations are shown; summary.csv has all."
    cells = [_make_log_row([rows[i].get(name, "") for name in header], i == saved) for i in shown]
    return list(header), cells, note if len(shown) < len(rows) else ""


def _find_saved_row(record: RunRecord) -> int | None:
    """Return the index of the row of the saved weights, by step, else by epoch."""
    validation = record.results.validation
    for name in ("step", "epoch"):
        wanted = _parse_finite(validation.get(name))
        for place, row in enumerate(record.summary):
            if wanted is not None and _parse_finite(row.get(name)) == wanted:
                return place
    return None


def _make_log_row(cells: Sequence[str], is_saved: bool) -> Row:  # noqa: FBT001 (private)
    """Return a row with shortened numbers; that of the saved checkpoint is bold."""
    shown = []
    for cell in cells:
        number = _parse_finite(cell)
        is_whole = number is not None and number == int(number) and "." not in cell
        shown.append(escape(cell) if number is None or is_whole else escape(f"{number:.4g}"))
    return [Markdown(f"**{cell}**" if is_saved and cell else cell) for cell in shown]


def _parse_finite(text: object) -> float | None:
    """Parse a finite number; None for anything else."""
    try:
        number = float(str(text))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
