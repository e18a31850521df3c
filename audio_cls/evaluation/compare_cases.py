"""The runs of a sweep side by side: every case's mean and spread, and the best by validation."""

from __future__ import annotations

import csv
import dataclasses
import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audio_cls.config import EvalConfig
from audio_cls.evaluation.aggregate_runs import ROLES, aggregate, aggregate_numbers, read_run
from audio_cls.storage.files import open_replaced, replace_file

logger = logging.getLogger(__name__)

SPREAD = ("mean", "sd", "ci95_low", "ci95_high")


def report_runs(
    folders: Sequence[Path], cases: Sequence[Mapping[str, Any]], cfg: EvalConfig, base: Path
) -> None:
    """Write results.json of several runs beside their folders. Main process only.

    ::

        RUN/
          results.json      of a sweep: every case; else mean, sd and interval over seeds or folds
          sweep.csv         of a sweep: a row a case
          seed-0/ ...       the runs
    """
    if not any(cases):
        aggregate(folders, base, "results.json")
        return
    found = compare_cases(folders, cases, cfg)
    text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False)
    replace_file(base / "results.json", text + "\n")
    rows = _tabulate(found)
    with open_replaced(base / "sweep.csv") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for line in _format_rows(rows):
        logger.info("%s", line)
    logger.info("Best on validation: %s", found["best"]["runs"][0])


def compare_cases(
    folders: Sequence[Path], cases: Sequence[Mapping[str, Any]], cfg: EvalConfig
) -> dict[str, Any]:
    """Bring the runs of each case together; validation alone says which case is the best.

    Raises:
        RunFolderError: A run has no results, or the labels of a case's runs differ.
    """
    groups: dict[str, list[int]] = {}
    for place, case in enumerate(cases):
        groups.setdefault(json.dumps(case, sort_keys=True), []).append(place)
    runs = [read_run(folder) for folder in folders]
    # 'auto' means another metric for several labels a clip; a run's results name what it meant.
    cfg = dataclasses.replace(cfg, metric=runs[0].metric or cfg.metric)
    found: list[dict[str, Any]] = []
    for places in groups.values():
        own = [runs[place] for place in places]
        parts = {role: aggregate_numbers(own, role) for role in ROLES}
        names = [run.name for run in own]
        found.append({"settings": dict(cases[places[0]]), "runs": names, **parts})

    def rank(case: Mapping[str, Any]) -> float:
        mean = case["validation"].get(cfg.metric_key, {}).get("mean", math.nan)
        return cfg.to_objective({cfg.metric_key: mean})

    return {"metric": cfg.metric_key, "cases": found, "best": max(found, key=rank)}


def _tabulate(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row a case: its settings, then the metric's mean and spread of both splits."""
    rows = []
    for case in found["cases"]:
        row = {**case["settings"], "runs": len(case["runs"])}
        for role in ("validation", "test"):
            numbers = case[role].get(found["metric"], {})
            row |= {f"{role}_{found['metric']}_{key}": numbers.get(key) for key in SPREAD}
        row["test_majority_accuracy"] = case["test"].get("majority_accuracy", {}).get("mean")
        rows.append(row | {"best": case is found["best"]})
    return rows


def _format_rows(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the rows as aligned lines."""
    shown = [list(rows[0]), *([_to_text(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in shown]


def _to_text(value: object) -> str:
    """Write a cell; nothing is '-'."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
