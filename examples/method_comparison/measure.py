"""Compare fine-tuning, `--method probe` and `--method auto` on four data sets.

    python measure.py train CASE METHOD SEED --data FOLDER --model CHECKPOINT --runs FOLDER
    python measure.py table --runs FOLDER

CASE is one of fsdd, arabic_commands, esc10, soundtracks, fsdd_shifted (folders in --data), METHOD
one of fine-tune, probe, auto. The clips of a case are the same for all methods and seeds; a seed
changes the order of the clips, the crops and a new head. `train` writes RUNS/CASE/METHOD-SEED and
its CPU seconds; `table` prints Markdown. All processes use one thread, so that CPU seconds can be
compared.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np

from audio_cls.evaluation.metrics.intervals import difference_interval, group_rows

METHODS = ("fine-tune", "probe", "auto")
TEN_WORDS = "up,down,left,right,yes,no,start,stop,open,close"
CASES = {
    # Two speakers are tested, one validates, three train.
    "fsdd": "--label-column label --group-column speaker --test-groups lucas,theo"
    " --validation-groups george --max-seconds 1 --max-train-samples 300 --max-eval-samples 300",
    # The authors' split of the speakers; ten words, silence from the noise recordings, other words.
    "arabic_commands": f"--preset keyword-spotting --label-column label --keywords {TEN_WORDS}"
    " --group-column split_of_speaker --test-groups test --validation-groups validation",
    # The official folds: four train, one is tested, none validates. Without --fold 1: all five.
    "esc10": "--label-column category --fold-column fold --folds 5 --fold 1"
    " --fold-validation none --max-seconds 5",
    # No track is in two folds.
    "soundtracks": "--label-column genre --group-column track --folds 5 --max-seconds 5",
    # Two speakers, recorded in other conditions than the clips to train on (make_shifted.py).
    "fsdd_shifted": "--label-column label --group-column speaker --max-seconds 1"
    " --max-train-samples 300 --max-eval-samples 300",
}
GRADIENT_STEPS = {  # of fine-tune and auto; the rest is as in the audio course, or in the preset
    "fsdd": "--epochs 6",
    "arabic_commands": "--learning-rate 1e-4",
    "esc10": "--epochs 4",
    "soundtracks": "--epochs 5",
    "fsdd_shifted": "--epochs 6",
}


def train(given: argparse.Namespace) -> None:
    """Train one run (or one per fold), and write what it cost to cost.json."""
    out = Path(given.runs) / given.case / f"{given.method}-{given.seed}"
    command = [sys.executable, "-m", "audio_cls", "train"]
    command += ["--dataset", str(Path(given.data) / given.case), "--model", given.model]
    command += CASES[given.case].split()
    command += GRADIENT_STEPS[given.case].split() if given.method != "probe" else []
    command += ["--method", given.method, "--seed", str(given.seed), "--output-dir", str(out)]
    command += given.more
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    cost = {"command": command[2:], "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1)}
    (out / "cost.json").write_text(json.dumps(cost), encoding="utf-8")


def read_runs(folder: Path) -> list[Path]:
    """Return the folders with predictions of one seed: one, or one per fold."""
    return sorted(
        path.parent for path in folder.rglob("predictions.csv") if "candidates" not in path.parts
    )


def read_correct(folder: Path) -> dict[str, float]:
    """Return whether each tested clip is right (1.0 or 0.0), by clip id, over all folds."""
    found = {}
    for path in read_runs(folder):
        with (path / "predictions.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                found[row["id"]] = float(row["label"] == row["prediction"])
    return found


def compare(first: list[dict[str, float]], other: list[dict[str, float]]) -> str:
    """Return the mean difference in accuracy and its interval over clips, means over the seeds."""
    names = sorted(first[0])
    assert all(sorted(one) == names for one in [*first, *other]), "other clips were tested"
    means = [
        np.mean([[one[name] for name in names] for one in part], axis=0) for part in (first, other)
    ]
    gained = means[0] - means[1]
    units = group_rows(len(gained), None)
    interval = difference_interval(lambda rows: float(gained[rows].mean()), units)
    return show(float(gained.mean()), interval)


def compare_with_baseline(folders: list[Path]) -> tuple[float, str]:
    """Return the baseline's accuracy, and the difference to it with its interval.

    The folds of a seed have different clips: their variances add. Seeds have the same clips: their
    standard errors are averaged.
    """
    accuracies, differences, errors = [], [], []
    for folder in folders:
        results = [
            json.loads((path / "results.json").read_text("utf-8")) for path in read_runs(folder)
        ]
        weights = np.array([one["test"]["num_examples"] for one in results], dtype=float)
        weights /= weights.sum()
        parts = [one["baseline"] for one in results]
        width = np.array([one["difference_ci95"][1] - one["difference_ci95"][0] for one in parts])
        accuracies.append(float(weights @ np.array([one["test"] for one in parts])))
        differences.append(float(weights @ np.array([one["difference"] for one in parts])))
        errors.append(float(np.sqrt(((weights * width / 3.92) ** 2).sum())))
    value, half = statistics.mean(differences), 1.96 * statistics.mean(errors)
    return statistics.mean(accuracies), show(value, (value - half, value + half))


def show(value: float, interval: tuple[float, float] | None) -> str:
    """Return a difference and its interval as text."""
    return f"{value:+.3f}" + (f" ({interval[0]:+.3f} to {interval[1]:+.3f})" if interval else "")


def table(given: argparse.Namespace) -> None:
    """Print the table of all runs that are there."""
    lines = [
        "| data | method | seeds | accuracy | sd | CPU min | `auto` minus this |",
        "|" + "---|" * 7,
    ]
    for case in CASES:
        base = Path(given.runs) / case
        found = {
            method: [
                path for path in sorted(base.glob(f"{method}-*")) if (path / "cost.json").is_file()
            ]
            for method in METHODS
        }
        correct = {method: [read_correct(path) for path in found[method]] for method in METHODS}
        best = next((found[method] for method in reversed(METHODS) if found[method]), None)
        if best is None:
            continue
        accuracy, difference = compare_with_baseline(best)
        row = f"| {case} | log-mel statistics | {len(best)} | {accuracy:.3f} | | |"
        lines.append(f"{row} {difference} |")
        for method, parts in correct.items():
            if not parts:
                continue
            means = [statistics.mean(part.values()) for part in parts]
            spread = f"{statistics.stdev(means):.3f}" if len(means) > 1 else ""
            costs = [json.loads((path / "cost.json").read_text("utf-8")) for path in found[method]]
            minutes = statistics.mean(cost["cpu_seconds"] for cost in costs) / 60
            gain = ""
            if method != "auto" and correct["auto"]:
                gain = compare(correct["auto"], parts)
            lines.append(
                f"| {case} | {method} | {len(parts)} | {statistics.mean(means):.3f} | {spread}"
                f" | {minutes:.1f} | {gain} |"
            )
    sys.stdout.write("\n".join(lines) + "\n")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("train")
    one.add_argument("case", choices=CASES)
    one.add_argument("method", choices=METHODS)
    one.add_argument("seed", type=int)
    one.add_argument("--data", required=True)
    one.add_argument("--model", required=True)
    one.add_argument("--runs", required=True)
    one.add_argument("more", nargs="*", help="after --, further options of `audio-cls train`")
    every = commands.add_parser("table")
    every.add_argument("--runs", required=True)
    given = parser.parse_args()
    (train if given.command == "train" else table)(given)


if __name__ == "__main__":
    main()
