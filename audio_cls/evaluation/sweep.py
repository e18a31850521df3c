"""The runs of a sweep side by side: every case's mean and spread, and the best by validation."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audio_cls.config import EvalConfig
from audio_cls.errors import RunFolderError
from audio_cls.evaluation.compare import aggregate
from audio_cls.evaluation.intervals import aggregate_runs
from audio_cls.evaluation.scoring import DECIMALS

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
    (base / "results.json").write_text(text + "\n", "utf-8")
    rows = _tabulate(found)
    with (base / "sweep.csv").open("w", newline="", encoding="utf-8") as file:
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
        RunFolderError: A run has no results.
    """
    groups: dict[str, list[int]] = {}
    for place, case in enumerate(cases):
        groups.setdefault(json.dumps(case, sort_keys=True), []).append(place)
    results = [_read_results(folder) for folder in folders]
    found = []
    for places in groups.values():
        parts: dict[str, Any] = {
            role: {
                name: {key: _round(value) for key, value in numbers.items()}
                for name, numbers in aggregate_runs([results[p][role] for p in places]).items()
            }
            for role in ("validation", "test")
        }
        runs = [folders[place].name for place in places]
        found.append({"settings": dict(cases[places[0]]), "runs": runs, **parts})

    def rank(case: dict[str, Any]) -> float:
        metrics = {name: numbers["mean"] for name, numbers in case["validation"].items()}
        return cfg.to_objective(metrics)

    return {"metric": cfg.metric_key, "cases": found, "best": max(found, key=rank)}


def _read_results(folder: Path) -> dict[str, dict[str, float]]:
    """Read the numbers of validation and test."""
    try:
        tree = json.loads((folder / "results.json").read_text("utf-8"))
        return {
            role: {k: float(v) for k, v in tree[role].items() if isinstance(v, int | float)}
            for role in ("validation", "test")
        }
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise RunFolderError(
            f"'{folder}' has no results.json of a finished run ({error}). Go on by --resume auto."
        ) from error


def _round(value: float | int | None) -> float | int | None:
    """Round to six decimals; counts and nothing stay."""
    return round(value, DECIMALS) if isinstance(value, float) else value


def _tabulate(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row a case: its settings, then the metric's mean and spread of both splits."""
    rows = []
    for case in found["cases"]:
        row = {**case["settings"], "runs": len(case["runs"])}
        for role in ("validation", "test"):
            numbers = case[role].get(found["metric"], {})
            row |= {f"{role}_{found['metric']}_{key}": numbers.get(key) for key in SPREAD}
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
