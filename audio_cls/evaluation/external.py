"""Metrics that are not ours: a module on this disk, or one from the Hub by its id.

Both are loaded by `evaluate.load`. The metric that chooses the best epoch is tried on made-up
clips before training begins, so that hours later is not when it is found not to fit.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import evaluate
import numpy as np
from numpy.typing import NDArray

from audio_cls.config import EvalConfig
from audio_cls.errors import SettingError, suggest_name
from audio_cls.evaluation.metrics import METRICS, compute_metrics

# (true label ids (N,), probabilities (N, L)) -> value, NaN where it is undefined
Metric = Callable[[NDArray[np.int64], NDArray[np.float64]], float]


def load_metric(cfg: EvalConfig, num_labels: int) -> Metric:
    """Return the metric that `--metric` names, tried on made-up clips. May download.

    Args:
        cfg: The metric: one of `METRICS`, the folder or file of an `evaluate` module, a Hub id.
        num_labels: Labels of the task.

    Raises:
        SettingError: There is no such metric, or it says nothing for so many labels.
    """
    name = cfg.metric
    if name == "loss":
        name = "log_loss"
    if name not in METRICS:
        return _load_module(cfg, num_labels)
    if not METRICS[name].suits(num_labels):
        limit = METRICS[name].most_labels
        wanted = f"at most {limit}" if limit else f"at least {METRICS[name].least_labels}"
        raise SettingError(
            f"--metric {name} needs {wanted} labels, this task has {num_labels}."
            " Choose another metric, such as accuracy."
        )
    return lambda true, probabilities: compute_metrics(true, probabilities, [name])[name]


def _load_module(cfg: EvalConfig, num_labels: int) -> Metric:
    """Load an `evaluate` module and make it a function like our own."""
    is_local = Path(cfg.metric).exists()
    try:
        module = evaluate.load(cfg.metric, keep_in_memory=True)
    except (OSError, ImportError, ValueError, TypeError, AttributeError, SyntaxError) as error:
        reason = " ".join(str(error).split())[:200]
        place = "as an `evaluate` module" if is_local else "from the Hub, and is no file here"
        raise SettingError(
            f"--metric {cfg.metric} cannot be loaded {place} ({reason}). Ours are"
            f" {', '.join(METRICS)}.{suggest_name(cfg.metric, METRICS)}"
        ) from error

    def compute(true: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
        given = {
            "references": true.tolist(),
            "predictions": probabilities.argmax(axis=1).tolist(),
            "prediction_scores": probabilities.tolist(),
        }
        wanted = {key: value for key, value in given.items() if key in module.features}
        return _pick_number(module.compute(**wanted), cfg.metric_key)

    labels = np.arange(2 * num_labels) % num_labels
    try:
        compute(labels, np.eye(num_labels)[labels])
    except (ValueError, TypeError, KeyError, IndexError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SettingError(
            f"--metric {cfg.metric} cannot judge this task of {num_labels} labels: {reason}"
            " It must take label ids as predictions and references and return one number."
        ) from error
    return compute


def _pick_number(result: object, key: str) -> float:
    """Return the number that a module calls by its own name, else its only one."""
    if not isinstance(result, dict):
        raise ValueError(f"It returned {type(result).__name__} instead of a dictionary.")
    numbers = {
        str(name): float(value)
        for name, value in result.items()
        if isinstance(value, int | float | np.number) and not isinstance(value, bool)
    }
    if key in numbers:
        return numbers[key]
    if len(numbers) != 1:
        raise ValueError(f"It returned {len(numbers)} numbers ({', '.join(numbers)}).")
    return next(iter(numbers.values()))
