"""Aggregation over runs: mean, standard deviation and interval over seeds, folds and cases."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio_cls.config import EvalConfig, select_metrics
from audio_cls.errors import RunFolderError, list_names
from audio_cls.evaluation.metrics.intervals import summarize_runs
from audio_cls.inference.aggregation import DECIMALS
from audio_cls.runs.results import RESULTS_FILE, Baseline, read_results
from audio_cls.storage.files import open_replaced, write_json

ROLES = ("validation", "test")
SPREAD = ("mean", "sd", "ci95_low", "ci95_high")  # columns of sweep.csv
Numbers = dict[str, dict[str, float | int | None]]  # metric -> mean, sd, ci95_low ...


@dataclass(frozen=True)
class FinishedRun:
    """The parts of a run's results.json that are aggregated."""

    name: str
    metric: str | None  # that chose the best epoch
    labels: tuple[str, ...]
    numbers: Mapping[str, Mapping[str, float]]  # validation, test -> metrics and baselines


def report_runs(
    folders: Sequence[Path], cases: Sequence[Mapping[str, Any]], cfg: EvalConfig, base: Path
) -> dict[str, Any]:
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

    Returns:
        The content of results.json: see `compare_cases` and `aggregate_folders`.
    """
    if not any(cases):
        return write_aggregate(folders, base / RESULTS_FILE)
    found = compare_cases(folders, cases, cfg)
    write_json(base / RESULTS_FILE, found)
    rows = _tabulate(found)
    with open_replaced(base / "sweep.csv") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return found


def write_aggregate(folders: Sequence[Path], path: Path) -> dict[str, Any]:
    """Write mean, sd and interval of the test metrics of several runs; return the content.

    Raises:
        RunFolderError: See `aggregate_folders`.
    """
    found = aggregate_folders(folders)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, found)
    return found


def aggregate_folders(folders: Sequence[Path]) -> dict[str, Any]:
    """Return mean, sd and 95 % interval of the test metrics of several seeds or folds.

    Raises:
        RunFolderError: One of the folders is no finished run or is given twice, there is only one,
            or their labels differ.
    """
    if len(folders) < 2:
        raise RunFolderError(
            "One run has no standard deviation: give --aggregate two or more times."
        )
    paths = [folder.expanduser().resolve() for folder in folders]
    twice = [folder for folder, path in zip(folders, paths, strict=True) if paths.count(path) > 1]
    if twice:
        raise RunFolderError(
            f"'{twice[0]}' is given twice. Give each run folder once with --aggregate."
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
            f"'{folder}' is not the folder of a finished run: {error} Finish a run that was stopped"
            " with --resume auto, or remove it from --aggregate."
        ) from error
    numbers = {
        role: select_metrics(part, results.metric, with_baselines=True)
        for role, part in parts.items()
    }
    if "test" in numbers:
        numbers["test"] |= _read_baseline(results.baseline)
    return FinishedRun(folder.name, results.metric, tuple(results.labels), numbers)


def _read_baseline(baseline: Baseline) -> dict[str, float]:
    """Return the test result of the plain baseline and the difference of the model from it."""
    if baseline.test is None or baseline.difference is None:
        return {}
    return {
        f"log_mel_{baseline.metric}": baseline.test,
        "log_mel_difference": baseline.difference,
    }


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
            " only runs with the same labels can be averaged. Remove it."
        )
    found = summarize_runs([run.numbers[role] for run in runs])
    return {
        metric: {
            key: round(value, DECIMALS) if isinstance(value, float) else value
            for key, value in numbers.items()
        }
        for metric, numbers in found.items()
    }


def compare_cases(
    folders: Sequence[Path], cases: Sequence[Mapping[str, Any]], cfg: EvalConfig
) -> dict[str, Any]:
    """Return the aggregated runs of each case, and the case with the best validation metric.

    Returns:
        `metric`: the key of the metric; `cases`: {settings, runs, validation, test} of each;
        `best`: the first case with the best mean on validation; `tied`: the numbers of the cases
        with that mean, counted from 1, empty if there is only one.

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

    means = [case["validation"].get(cfg.metric_key, {}).get("mean", math.nan) for case in found]
    values = [cfg.to_objective({cfg.metric_key: mean}) for mean in means]
    best = max(values)
    tied = [number for number, value in enumerate(values, start=1) if value == best]
    return {
        "metric": cfg.metric_key,
        "cases": found,
        "best": found[tied[0] - 1],
        "tied": tied if len(tied) > 1 and math.isfinite(best) else [],
    }


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
