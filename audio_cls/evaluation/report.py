"""Scores -> the numbers of results.json and the rows of predictions.csv."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from audio_cls.data.batches import Clips
from audio_cls.evaluation.metrics import (
    compute_metrics,
    expected_calibration_error,
    tabulate_classes,
    wilson_interval,
)
from audio_cls.evaluation.scoring import DECIMALS, Scorer, Scores
from audio_cls.training.checkpoint import Position


def summarize_scores(scores: Scores) -> dict[str, float]:
    """Return every metric and the loss, for choosing an epoch."""
    metrics = compute_metrics(scores.labels, scores.predictions)
    rounded = {name: round(value, DECIMALS) for name, value in metrics.items()}
    return {**rounded, "loss": round(scores.loss, DECIMALS)}


def make_judge(scorer: Scorer, clips: Clips) -> Callable[[nn.Module], dict[str, float]]:
    """Return the function that judges a model on these clips; it is called on every process."""
    return lambda model: summarize_scores(scorer.score(model, clips))


def report_best(position: Position, num_clips: int) -> dict[str, Any]:
    """Return the `validation` part of results.json: the evaluation that chose the model."""
    best = position.best
    if best is None:
        return {"num_examples": num_clips}
    where = {"epoch": round(best.epoch, 4), "step": best.step}
    return {**best.metrics, "num_examples": num_clips, **where}


def report_scores(scores: Scores, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the `test` part of results.json: metrics, interval, calibration, per class."""
    right = int((scores.predictions == scores.labels).sum())
    interval = wilson_interval(right, len(scores.labels))
    error = expected_calibration_error(scores.probabilities, scores.labels)
    return {
        **summarize_scores(scores),
        "accuracy_ci95": [round(bound, DECIMALS) for bound in interval],
        "ece": round(error, DECIMALS),
        "num_examples": len(scores.labels),
        "per_class": tabulate_classes(scores.labels, scores.predictions, names),
    }


def write_predictions(path: Path, scores: Scores, names: tuple[str, ...]) -> None:
    """Write a row per clip: id, label, prediction, then one probability column a label."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "label", "prediction", *names])
        rows = zip(scores.ids, scores.labels, scores.predictions, scores.probabilities, strict=True)
        for clip, label, prediction, probabilities in rows:
            shown = [np.format_float_positional(p, trim="0") for p in probabilities]
            writer.writerow([clip, names[label], names[prediction], *shown])


def write_report(folder: Path, results: Mapping[str, Any], scores: Scores) -> None:
    """Write results.json and predictions.csv. Main process only."""
    text = json.dumps(results, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "results.json").write_text(text + "\n", "utf-8")
    write_predictions(folder / "predictions.csv", scores, tuple(results["labels"]))
