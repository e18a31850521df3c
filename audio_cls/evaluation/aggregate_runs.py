"""Aggregation over runs: mean, standard deviation and interval over seeds, folds and cases."""

from __future__ import annotations

import csv
import dataclasses
import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio_cls.config import EvalConfig, select_metrics
from audio_cls.errors import RunFolderError, list_names
from audio_cls.evaluation.metrics.intervals import MIN_RUNS, summarize_runs
from audio_cls.inference.aggregation import DECIMALS
from audio_cls.runs.results import RESULTS_FILE, read_results
from audio_cls.storage.files import open_replaced, write_json

ROLES = ("validation", "test")
SPREAD = ("mean", "sd", "ci95_low", "ci95_high")  # columns of sweep.csv
Numbers = dict[str, dict[str, float | int | None]]  # metric -> mean, sd, ci95_low ...

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FinishedRun:
    """The parts of a run's results.json that are aggregated."""

    name: str
    metric: str | None  # that chose the best epoch
    labels: tuple[str, ...]
    numbers: Mapping[str, Mapping[str, float]]  # validation, test -> metrics and baselines


def report_runs(
    folders: Sequence[Path], cases: Sequence[Mapping[str, Any]], cfg: EvalConfig, base: Path
) -> None:
    """Write the results of several runs into the folder that has their folders.

    Main process only::

        RUN/
          results.json      of a sweep: every case; else mean, sd and interval over seeds or folds
          sweep.csv         of a sweep: one row for each case
          seed-0/ ...       the runs

    Args:
        folders: The run folders.
        cases: The settings of the sweep that each run has; empty ones if there is no sweep.
        cfg: The metric that chooses the best case.
        base: The folder RUN.
    """
    if not any(cases):
        write_aggregate(folders, base / RESULTS_FILE)
        return
    found = compare_cases(folders, cases, cfg)
    write_json(base / RESULTS_FILE, found)
    rows = _tabulate(found)
    with open_replaced(base / "sweep.csv") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for line in _format_rows(rows):
        logger.info("%s", line)
    logger.info("Best on validation: %s", found["best"]["runs"][0])


def write_aggregate(folders: Sequence[Path], path: Path) -> None:
    """Write mean, sd and interval of the test metrics of several runs, and log the main ones.

    Raises:
        RunFolderError: See `aggregate_folders`.
    """
    found = aggregate_folders(folders)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, found)
    shown = dict.fromkeys((found["metric"], "map", "accuracy", "majority_accuracy", "f1_macro"))
    for metric in [name for name in shown if name in found["test"]]:
        logger.info("%s", describe_numbers(metric, found["test"][metric]))


def aggregate_folders(folders: Sequence[Path]) -> dict[str, Any]:
    """Return mean, sd and 95 % interval of the test metrics of several seeds or folds.

    Raises:
        RunFolderError: One of the folders is no finished run or is given twice, there is only one,
            or their labels differ.
    """
    if len(folders) < 2:
        raise RunFolderError("One run has no spread: give --aggregate twice or more.")
    paths = [folder.expanduser().resolve() for folder in folders]
    twice = [folder for folder, path in zip(folders, paths, strict=True) if paths.count(path) > 1]
    if twice:
        raise RunFolderError(
            f"'{twice[0]}' is given twice: a run counts once. Give each folder once by --aggregate."
        )
    runs = [read_run(folder, ("test",)) for folder in folders]
    return {
        "runs": [run.name for run in runs],
        "metric": runs[0].metric,
        "test": aggregate_numbers(runs, "test"),
    }


def read_run(folder: Path, roles: Sequence[str] = ROLES) -> FinishedRun:
    """Read results.json of a finished run.

    Raises:
        RunFolderError: There is none, or it lacks one of the roles.
    """
    try:
        results = read_results(folder / RESULTS_FILE)
        parts = dict(zip(roles, results.require(*roles), strict=True))
    except RunFolderError as error:
        raise RunFolderError(
            f"'{folder}' has no results.json of a finished run ({error}). Finish it by --resume"
            " auto, or give folders of finished runs."
        ) from error
    numbers = {
        role: select_metrics(part, results.metric, with_baselines=True)
        for role, part in parts.items()
    }
    return FinishedRun(folder.name, results.metric, tuple(results.labels), numbers)


def aggregate_numbers(runs: Sequence[FinishedRun], role: str) -> Numbers:
    """Return mean, sd and interval of every metric that all runs have, rounded to six decimals.

    Raises:
        RunFolderError: The runs have different labels.
    """
    other = next((run for run in runs if set(run.labels) != set(runs[0].labels)), None)
    if other is not None:
        differing = sorted(set(other.labels) ^ set(runs[0].labels))
        raise RunFolderError(
            f"'{other.name}' has other labels than '{runs[0].name}' ({list_names(differing)}):"
            " only runs of one task have a mean. Leave it out."
        )
    found = summarize_runs([run.numbers[role] for run in runs])
    return {
        metric: {
            key: round(value, DECIMALS) if isinstance(value, float) else value
            for key, value in numbers.items()
        }
        for metric, numbers in found.items()
    }


def describe_numbers(metric: str, numbers: Mapping[str, float | int | None]) -> str:
    """Return a line with the mean of a metric and its spread.

    >>> describe_numbers("accuracy", {"mean": 0.5, "sd": 0.1, "ci95_low": None, "num_runs": 2})
    'accuracy 0.5000 over 2 runs (sd 0.1000, no interval: it needs 3 different runs)'
    """
    text = f"{metric} {numbers['mean']:.4f} over {numbers['num_runs']} runs (sd {numbers['sd']:.4f}"
    if numbers["ci95_low"] is None:
        return f"{text}, no interval: it needs {MIN_RUNS} different runs)"
    return f"{text}, 95 % interval {numbers['ci95_low']:.4f} to {numbers['ci95_high']:.4f})"


def compare_cases(
    folders: Sequence[Path], cases: Sequence[Mapping[str, Any]], cfg: EvalConfig
) -> dict[str, Any]:
    """Return the aggregated runs of each case, and the case with the best validation metric.

    Raises:
        RunFolderError: A run has no results, or the labels of a case's runs differ.
    """
    rows_of: dict[str, list[int]] = {}  # settings as text -> rows of the runs
    for row, case in enumerate(cases):
        rows_of.setdefault(json.dumps(case, sort_keys=True), []).append(row)
    runs = [read_run(folder) for folder in folders]
    # 'auto' means another metric for a multi-label task; the results name the one that was used.
    cfg = dataclasses.replace(cfg, metric=runs[0].metric or cfg.metric)
    found: list[dict[str, Any]] = []
    for rows in rows_of.values():
        case_runs = [runs[row] for row in rows]
        parts = {role: aggregate_numbers(case_runs, role) for role in ROLES}
        names = [run.name for run in case_runs]
        found.append({"settings": dict(cases[rows[0]]), "runs": names, **parts})

    def to_objective(case: Mapping[str, Any]) -> float:
        mean = case["validation"].get(cfg.metric_key, {}).get("mean", math.nan)
        return cfg.to_objective({cfg.metric_key: mean})

    return {"metric": cfg.metric_key, "cases": found, "best": max(found, key=to_objective)}


def _tabulate(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one row for each case: settings, and the metric's mean and spread on both splits."""
    rows = []
    for case in found["cases"]:
        row = {**case["settings"], "runs": len(case["runs"])}
        for role in ROLES:
            numbers = case[role].get(found["metric"], {})
            row |= {f"{role}_{found['metric']}_{key}": numbers.get(key) for key in SPREAD}
        row["test_majority_accuracy"] = case["test"].get("majority_accuracy", {}).get("mean")
        rows.append(row | {"best": case is found["best"]})
    return rows


def _format_rows(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the rows as aligned lines."""
    cells = [list(rows[0]), *([_format_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in cells]


def _format_cell(value: object) -> str:
    """Return the text of a cell; '-' for None."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
