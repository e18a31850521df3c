"""Closing lines of several runs: seeds, folds, or the cases of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audio_cls.config import EvalConfig
from audio_cls.errors import count_of
from audio_cls.evaluation.metrics.intervals import MIN_RUNS
from audio_cls.runs.results import RunResults
from audio_cls.text_table import TERMINAL_WIDTH, format_table, wrap_text
from audio_cls.workflows.summary import (
    describe_epoch,
    format_number,
    metric_title,
    suggest_commands,
)

Found = Mapping[str, Any]  # what `report_runs` returns
Numbers = Mapping[str, Any]  # mean, sd, ci95_low, ci95_high, num_runs of a metric


def describe_mean(found: Found, folder: Path) -> str:
    """Return the mean over several runs, or the best case of a sweep, in one line.

    >>> numbers = {"mean": 0.5, "sd": 0.1, "ci95_low": None, "ci95_high": None, "num_runs": 2}
    >>> describe_mean({"metric": "accuracy", "test": {"accuracy": numbers}}, Path("runs/a"))
    'runs/a: test accuracy 0.5000 (sd 0.1000) over 2 runs'
    """
    metric, test = _find_metric(found), found.get("test", {})
    title = _title(found, metric)
    if "cases" in found:
        best = found["best"]
        parts = [
            f"{role} {_format_mean(best[role].get(metric))}" for role in ("validation", "test")
        ]
        cases = f"best of {count_of(len(found['cases']), 'case')}: {_name_case(best)}"
        return f"{folder}: {cases}, {title}: {', '.join(parts)}"
    if metric not in test:
        return f"{folder}: test {title} is not defined in every run"
    interval = _format_bounds(test[metric])
    end = f", 95 % interval {interval}" if interval != "-" else ""
    mean = _format_mean(test[metric])
    return f"{folder}: test {title} {mean} over {count_of(test[metric]['num_runs'], 'run')}{end}"


def summarize_runs(
    found: Found, runs: Mapping[Path, RunResults], folder: Path, *, is_trained: bool = True
) -> list[str]:
    """Return the closing block of seeds or folds.

    Args:
        found: See `aggregate_folders`.
        runs: The results of each run, by its folder.
        folder: The folder with the mean.
        is_trained: The runs were trained by this command, in sub-folders of `folder`.
    """
    metric = _find_metric(found)
    lines = [
        f"{count_of(len(runs), 'run')}, {_title(found, metric)}",
        *(f"  {line}" for line in _tabulate_runs(runs, metric)),
        "",
        *_tabulate_means(found),
        "",
        f"Folder: {folder}",
    ]
    if not is_trained:
        return [*lines, "  aggregate.json (mean, sd and interval of all metrics)"]
    lines.append("  results.json (mean, sd and interval of all metrics), one folder per run")
    best = find_best(runs)
    if best is not None:
        return [*lines, "", f"Best on validation: {best}", *suggest_commands(best)]
    return [*lines, "", "One of the runs:", *suggest_commands(next(iter(runs)))]


def find_best(runs: Mapping[Path, RunResults]) -> Path | None:
    """Return the run with the best validation metric, of several the first.

    None if the runs were validated on different clips, as folds are: these values do not show
    which model is better.
    """
    splits = {str(results.dataset.split.get("validation")) for results in runs.values()}
    if len(splits) > 1:
        return None
    values = {}
    for path, results in runs.items():
        cfg = EvalConfig(metric=results.metric or "accuracy")
        value = results.validation.get(cfg.metric_key)
        if value is not None:
            values[path] = cfg.to_objective({cfg.metric_key: value})
    return max(values, key=lambda path: values[path]) if values else None


def summarize_sweep(found: Found, folder: Path) -> list[str]:
    """Return the closing block of a sweep.

    Args:
        found: See `compare_cases`.
        folder: The folder with sweep.csv and the runs.
    """
    num_runs = max(len(case["runs"]) for case in found["cases"])
    title = _title(found, _find_metric(found))
    spread = f", mean (sd) over {num_runs} runs each" if num_runs > 1 else ""
    best = folder / found["best"]["runs"][0]
    tied = [_name_case(found["cases"][number - 1]) for number in found["tied"]]
    tie = f"{' and '.join(tied)} tie on validation: the first is taken." if tied else ""
    return [
        f"{count_of(len(found['cases']), 'case')}, {title}{spread}; * = best on validation",
        *(f"  {line}" for line in _tabulate_cases(found)),
        *wrap_text(tie),
        "",
        f"Folder: {folder}",
        "  results.json, sweep.csv (all metrics of each case), one folder per run",
        "",
        f"Best on validation: {best}",
        *suggest_commands(best),
    ]


def _tabulate_runs(runs: Mapping[Path, RunResults], metric: str) -> list[str]:
    """Return one line per run: name, best epoch, validation and test metric."""
    rows = [["run", "best", "validation", "test"]]
    for path, results in runs.items():
        parts = (results.validation, results.test)
        where = describe_epoch(results) if results.validation else "-"
        rows.append([path.name, where, *(format_number(part.get(metric)) for part in parts)])
    return format_table(rows, "llrr", TERMINAL_WIDTH - 2)


def _tabulate_means(found: Found) -> list[str]:
    """Return the lines of the main test metrics: mean, sd and interval over the runs."""
    test, metric = found["test"], _find_metric(found)
    keys = [key for key in dict.fromkeys((metric, "map", "accuracy", "f1_macro")) if key in test]
    if "map_micro" not in test:
        keys = [key for key in keys if key != "map" or key == metric]
    rows = [["test", "mean", "sd", "95 % interval"]]
    rows += [[_title(found, key), *_format_spread(test[key])] for key in keys]
    names = {f"log_mel_{key}": "log-mel + LR" for key in ("map", "accuracy")}
    names |= {"log_mel_difference": "difference"}
    rows += [[name, *_format_spread(test[key])] for key, name in names.items() if key in test]
    if "majority_accuracy" in test:
        rows.append(["majority class", *_format_spread(test["majority_accuracy"])])
    note = f"No interval: it needs {MIN_RUNS} runs, whose values differ."
    is_missing = any(test[key]["ci95_low"] is None for key in keys)
    return [*format_table(rows, "lrrl"), *([note] if is_missing else [])]


def _tabulate_cases(found: Found) -> list[str]:
    """Return one line per case of a sweep: its settings, validation, test, the mark."""
    metric = _find_metric(found)
    names = list(found["cases"][0]["settings"])
    rows = [["", *names, "validation", "test"]]
    for case in found["cases"]:
        means = [_format_mean(case[role].get(metric)) for role in ("validation", "test")]
        mark = "*" if case["runs"] == found["best"]["runs"] else ""
        rows.append([mark, *(str(case["settings"][name]) for name in names), *means])
    return format_table(rows, "l" * (len(names) + 1) + "rr", TERMINAL_WIDTH - 2)


def _name_case(case: Found) -> str:
    """Return the settings of a case.

    >>> _name_case({"settings": {"learning_rate": 0.001, "epochs": 3}})
    'learning_rate=0.001, epochs=3'
    """
    return ", ".join(f"{name}={value}" for name, value in case["settings"].items())


def _find_metric(found: Found) -> str:
    """Return the key of the metric that chose the best epochs; of older runs, accuracy."""
    return str(found["metric"] or "accuracy")


def _title(found: Found, key: str) -> str:
    """Return the name of a metric of the runs within a sentence."""
    test = found["best"]["test"] if "best" in found else found["test"]
    return metric_title(key, multi="map_micro" in test)


def _format_mean(numbers: Numbers | None) -> str:
    """Return mean and sd of a metric; "-" where it is not defined in every run."""
    if numbers is None:
        return "-"
    sd = numbers["sd"]
    return format_number(numbers["mean"]) + (f" (sd {sd:.4f})" if sd is not None else "")


def _format_spread(numbers: Numbers) -> list[str]:
    """Return the cells mean, sd and interval."""
    return [format_number(numbers["mean"]), format_number(numbers["sd"]), _format_bounds(numbers)]


def _format_bounds(numbers: Numbers) -> str:
    """Return the interval over the runs; "-" where there is none."""
    if numbers["ci95_low"] is None:
        return "-"
    return f"{numbers['ci95_low']:.3f} to {numbers['ci95_high']:.3f}"
