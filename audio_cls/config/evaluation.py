"""Settings of the evaluation: metric, its goal, batch size, baseline."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from audio_cls.config.base import Section, setting
from audio_cls.config.metrics import METRIC_SPECS

LOWER_IS_BETTER = tuple(key for key, spec in METRIC_SPECS.items() if spec.lower_is_better)
EVALUATE_SETTINGS = (  # settings that `audio-cls evaluate` and `audio_cls.evaluate` take
    "dataset",
    "dataset_config",
    "dataset_revision",
    "audio_column",
    "audio_root",
    "start_column",
    "end_column",
    "duration_column",
    "label_level",
    "label_pattern",
    "label_column",
    "label_columns",
    "label_separator",
    "group_column",
    "group_pattern",
    "max_eval_samples",
    "max_bad_audio_ratio",
    "eval_batch_size",
    "metric",
    "mixed_precision",
    "num_workers",
    "log",
)


@dataclass(frozen=True)
class EvalConfig(Section):
    """The metric that selects the best epoch, batch size of evaluation, and plain baseline."""

    heading: ClassVar[str] = "Evaluation"

    metric: str = setting(
        "auto",
        "Metric that selects the best epoch: a name such as f1_macro, or path or Hub id of an"
        " `evaluate` module. auto: accuracy; multi-label: map.",
        is_common=True,
    )
    metric_goal: Literal["auto", "max", "min"] = setting(
        "auto",
        "Whether the largest (max) or smallest value (min) of --metric is best;"
        " auto: min for log_loss, ece, eer, hamming_loss and loss, else max.",
    )
    eval_windows: Literal["one", "all"] = setting(
        "one",
        "Windows of each validation clip that are scored after an epoch, to find the best one: one"
        " (the middle one of its windows) or all. The metrics of the best epoch and of the test are"
        " of all windows.",
    )
    eval_every: int = setting(
        1,
        "Epochs from one evaluation on validation to the next; the last epoch is always evaluated.",
        minimum=1,
    )
    eval_batch_size: int = setting(
        16,
        "Clips or windows per process and forward pass in evaluation.",
        minimum=1,
        affects_training=False,
    )
    baseline: Literal["yes", "no"] = setting(
        "yes",
        "Compare the model with a plain baseline: logistic regression on log-mel statistics of the"
        " same clips. It takes seconds and does not change the training.",
        affects_training=False,
    )

    @property
    def metric_key(self) -> str:
        """Return the metric's short name, for columns: a module's or a Hub id's last part.

        'auto' is accuracy here: `choose_metric` replaces it for a multi-label task.

        >>> EvalConfig(metric="./metrics/my_score.py").metric_key
        'my_score'
        """
        if self.metric == "auto":
            return "accuracy"
        name = self.metric.replace("\\", "/").rstrip("/").rpartition("/")[2]
        return name.removesuffix(".py")

    def choose_metric(self, *, is_multilabel: bool) -> EvalConfig:
        """Return the settings with what 'auto' means for the task.

        >>> EvalConfig().choose_metric(is_multilabel=True).metric
        'map'
        """
        if self.metric != "auto":
            return self
        return dataclasses.replace(self, metric="map" if is_multilabel else "accuracy")

    def to_objective(self, metrics: Mapping[str, float]) -> float:
        """Return the number that the best epoch maximises; -inf where the metric is undefined.

        >>> EvalConfig(metric="log_loss").to_objective({"log_loss": 0.5})
        -0.5
        """
        value = metrics[self.metric_key]
        if value != value:
            return -math.inf
        is_lower_better = self.metric_goal == "auto" and self.metric_key in LOWER_IS_BETTER
        return -value if is_lower_better or self.metric_goal == "min" else value
