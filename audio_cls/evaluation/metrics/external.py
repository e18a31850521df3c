"""Metrics that are not ours: a module on this disk, or one from the Hub by its id.

Both are loaded by `evaluate.load`. The metric that chooses the best epoch is tried on made-up
clips before training begins, so that hours later is not when it is found not to fit.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import evaluate
import numpy as np

from audio_cls.config import EvalConfig
from audio_cls.errors import SettingError, suggest_name
from audio_cls.evaluation.metrics.registry import compute_metrics, list_metrics
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.metrics.single_label import METRICS

Metric = Callable[[Scores], float]  # NaN where it is undefined


def load_metric(cfg: EvalConfig, num_labels: int, *, is_multilabel: bool = False) -> Metric:
    """Return the metric that `--metric` names, tried on made-up clips. May download.

    Args:
        cfg: The metric: one of `METRICS`, the folder or file of an `evaluate` module, a Hub id.
        num_labels: Labels of the task.
        is_multilabel: A clip may have several of them, or none.

    Raises:
        SettingError: There is no such metric, or it says nothing for so many labels.
    """
    metrics = list_metrics(is_multilabel=is_multilabel)
    name = cfg.choose_metric(is_multilabel=is_multilabel).metric
    if name == "loss":
        name = "log_loss"
    if name in METRICS and name not in metrics:
        raise SettingError(
            f"--metric {name} is for one label a clip, and this task is multi-label. Choose map,"
            " f1_macro or another of these: " + ", ".join(metrics) + "."
        )
    if name not in metrics:
        return _load_module(cfg, num_labels, is_multilabel=is_multilabel)
    if not metrics[name].suits(num_labels):
        limit = metrics[name].most_labels
        wanted = f"at most {limit}" if limit else f"at least {metrics[name].least_labels}"
        raise SettingError(
            f"--metric {name} needs {wanted} labels, this task has {num_labels}."
            " Choose another metric, such as accuracy."
        )
    return lambda scores: compute_metrics(scores, [name])[name]


def _load_module(cfg: EvalConfig, num_labels: int, *, is_multilabel: bool) -> Metric:
    """Load an `evaluate` module and make it a function like our own."""
    is_local, metrics = Path(cfg.metric).exists(), list_metrics(is_multilabel=is_multilabel)
    try:
        module = evaluate.load(cfg.metric, keep_in_memory=True)
    except (OSError, ImportError, ValueError, TypeError, AttributeError, SyntaxError) as error:
        reason = " ".join(str(error).split())[:200]
        place = "as an `evaluate` module" if is_local else "from the Hub, and is no file here"
        raise SettingError(
            f"--metric {cfg.metric} cannot be loaded {place} ({reason}). Ours are"
            f" {', '.join(metrics)}.{suggest_name(cfg.metric, metrics)}"
        ) from error

    def compute(scores: Scores) -> float:
        given = {
            "references": scores.labels.tolist(),
            "predictions": scores.predictions.tolist(),
            "prediction_scores": scores.probabilities.tolist(),
        }
        wanted = {key: value for key, value in given.items() if key in module.features}
        return _pick_number(module.compute(**wanted), cfg.metric_key)

    labels = np.arange(2 * num_labels) % num_labels
    sure = np.eye(num_labels)[labels]
    try:
        compute(
            Scores(labels.astype(np.str_), sure.astype(np.int64) if is_multilabel else labels, sure)
        )
    except (ValueError, TypeError, KeyError, IndexError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SettingError(
            f"--metric {cfg.metric} cannot judge this task of {num_labels} labels: {reason}"
            f" It must take {'rows of 0 and 1' if is_multilabel else 'label ids'} as predictions"
            " and references and return one number."
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
