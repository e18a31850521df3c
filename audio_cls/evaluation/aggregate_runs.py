"""Seeds, folds and cases of a sweep: mean, standard deviation and interval over several runs.

Comes in: folders of finished runs. Goes out: the same metrics, aggregated.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio_cls.config import select_metrics
from audio_cls.errors import RunFolderError, list_names
from audio_cls.evaluation.metrics.intervals import MIN_RUNS, summarize_runs
from audio_cls.inference.aggregation import DECIMALS
from audio_cls.runs.results import RESULTS_FILE, read_results
from audio_cls.storage.files import replace_file

ROLES = ("validation", "test")
Numbers = dict[str, dict[str, float | int | None]]  # metric -> mean, sd, ci95_low ...

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FinishedRun:
    """What a run's results.json says that an average needs."""

    name: str
    metric: str | None  # that chose the best epoch
    labels: tuple[str, ...]
    numbers: Mapping[str, Mapping[str, float]]  # validation, test -> metrics and baselines


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
    """Return mean, sd and interval of every metric that all the runs have, six decimals.

    Raises:
        RunFolderError: The runs are of different labels: their mean says nothing.
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
        name: {
            key: round(value, DECIMALS) if isinstance(value, float) else value
            for key, value in numbers.items()
        }
        for name, numbers in found.items()
    }


def aggregate_folders(folders: Sequence[Path]) -> dict[str, Any]:
    """Bring the test numbers of several seeds or folds together: mean, sd, 95 % interval.

    Raises:
        RunFolderError: One of the folders is no finished run or is given twice, there is only one,
            or their labels differ.
    """
    if len(folders) < 2:
        raise RunFolderError("One run has no spread: give --aggregate twice or more.")
    places = [folder.expanduser().resolve() for folder in folders]
    twice = [
        folder for folder, place in zip(folders, places, strict=True) if places.count(place) > 1
    ]
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


def aggregate(folders: Sequence[Path], folder: Path, name: str = "aggregate.json") -> None:
    """Write mean, sd and interval of several runs' test numbers to FOLDER/NAME, and log some.

    Raises:
        RunFolderError: See `aggregate_folders`.
    """
    found = aggregate_folders(folders)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False)
    replace_file(folder / name, text + "\n")
    shown = dict.fromkeys((found["metric"], "map", "accuracy", "majority_accuracy", "f1_macro"))
    for metric in [name for name in shown if name in found["test"]]:
        logger.info("%s", describe_numbers(metric, found["test"][metric]))


def describe_numbers(metric: str, numbers: Mapping[str, float | int | None]) -> str:
    """Say the mean of a metric with its spread in one line.

    >>> describe_numbers("accuracy", {"mean": 0.5, "sd": 0.1, "ci95_low": None, "num_runs": 2})
    'accuracy 0.5000 over 2 runs (sd 0.1000, no interval: it needs 3 different runs)'
    """
    text = f"{metric} {numbers['mean']:.4f} over {numbers['num_runs']} runs (sd {numbers['sd']:.4f}"
    if numbers["ci95_low"] is None:
        return f"{text}, no interval: it needs {MIN_RUNS} different runs)"
    return f"{text}, 95 % interval {numbers['ci95_low']:.4f} to {numbers['ci95_high']:.4f})"
