"""External metrics: an `evaluate` module, local or on the Hub, in addition to the built-in ones.

The metric that chooses the best epoch is tried on made-up clips before training begins, so that a
metric that does not fit the task is found at once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from audio_cls.config import EvalConfig
from audio_cls.errors import SettingError, count_of, describe_error, suggest_name
from audio_cls.evaluation.metrics.registry import compute_metrics, list_metrics
from audio_cls.evaluation.metrics.scores import Scores

MetricFunction = Callable[[Scores], float]  # NaN where the metric is undefined


def load_metric(cfg: EvalConfig, num_labels: int, *, is_multilabel: bool = False) -> MetricFunction:
    """Return the metric that `--metric` names, tried on made-up clips. May download.

    Args:
        cfg: The metric: a key of this package, the folder or file of an `evaluate` module, or a Hub
            id.
        num_labels: Labels of the task.
        is_multilabel: A clip may have several of them, or none.

    Raises:
        SettingError: There is no such metric, or it is not defined for this task.
    """
    metrics = list_metrics(is_multilabel=is_multilabel)
    name = cfg.choose_metric(is_multilabel=is_multilabel).metric
    if name == "loss":
        name = "log_loss"
    if name not in metrics and is_multilabel and name in list_metrics(is_multilabel=False):
        raise SettingError(
            f"--metric {name} is for one label per clip, and this task is multi-label. Choose map,"
            " f1_macro or another of these: " + ", ".join(metrics) + "."
        )
    if name not in metrics:
        return _load_module(cfg, num_labels, is_multilabel=is_multilabel)
    metric = metrics[name]
    if not metric.suits(num_labels):
        wanted = (
            f"at most {metric.max_labels}" if metric.max_labels else f"at least {metric.min_labels}"
        )
        raise SettingError(
            f"--metric {name} needs {wanted} labels, this task has {num_labels}."
            " Choose another metric, such as accuracy."
        )
    return lambda scores: compute_metrics(scores, [name])[name]


def check_metric(cfg: EvalConfig, num_labels: int, *, is_multilabel: bool) -> None:
    """Check that `load_metric` works, before clips are decoded.

    Raises:
        SettingError: See `load_metric`.
    """
    load_metric(cfg, num_labels, is_multilabel=is_multilabel)


def _load_module(cfg: EvalConfig, num_labels: int, *, is_multilabel: bool) -> MetricFunction:
    """Load an `evaluate` module, and try it."""
    import evaluate  # not at the top of the file: it imports all pipelines of transformers

    is_local, metrics = Path(cfg.metric).exists(), list_metrics(is_multilabel=is_multilabel)
    try:
        module = evaluate.load(cfg.metric, keep_in_memory=True)
    except (OSError, ImportError, ValueError, TypeError, AttributeError, SyntaxError) as error:
        nearest = suggest_name(cfg.metric, metrics)
        if nearest and not is_local:  # most likely a typing error
            raise SettingError(
                f"There is no --metric {cfg.metric}. Built-in are {', '.join(metrics)}.{nearest}"
            ) from error
        reason = describe_error(error)[:200]
        place = "as an `evaluate` module" if is_local else "from the Hub, and is no file here"
        raise SettingError(
            f"--metric {cfg.metric} cannot be loaded {place} ({reason}). Built-in are"
            f" {', '.join(metrics)}.{nearest}"
        ) from error

    def compute(scores: Scores) -> float:
        inputs = {
            "references": scores.targets.tolist(),
            "predictions": scores.predictions.tolist(),
            "prediction_scores": scores.probabilities.tolist(),
        }
        wanted = {name: value for name, value in inputs.items() if name in module.features}
        return _pick_number(module.compute(**wanted), cfg.metric_key)

    labels = np.arange(2 * num_labels) % num_labels
    one_hot = np.eye(num_labels)[labels]
    targets = one_hot.astype(np.int64) if is_multilabel else labels
    try:
        compute(Scores(labels.astype(np.str_), targets, one_hot))
    except (ValueError, TypeError, KeyError, IndexError) as error:
        reason = describe_error(error)[:200]
        raise SettingError(
            f"--metric {cfg.metric} cannot be computed for {count_of(num_labels, 'label')}:"
            f" {reason} It must accept {'rows of 0 and 1' if is_multilabel else 'label ids'} as"
            " predictions and references and return one number."
        ) from error
    return compute


def _pick_number(result: object, key: str) -> float:
    """Return the number that a module returns under its own name, else its only one."""
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
