"""Settings of the result: how the classifier is judged, and where it is published."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from audio_cls.config.base import Section, setting
from audio_cls.config.metrics import METRIC_SPECS
from audio_cls.errors import SettingError

LOWER_IS_BETTER = tuple(key for key, spec in METRIC_SPECS.items() if spec.lower_is_better)


@dataclass(frozen=True)
class EvalConfig(Section):
    """How the classifier is judged."""

    metric: str = setting(
        "auto",
        "Validation metric that chooses the best epoch: one of ours, the folder or file of an"
        " `evaluate` module, or a metric id of the Hub; 'auto': accuracy, or map if multi-label.",
    )
    metric_goal: Literal["auto", "max", "min"] = setting(
        "auto",
        "Whether the best epoch has the largest or smallest metric; 'auto': smallest for"
        " log_loss, ece, eer, hamming_loss and loss, else largest.",
    )
    eval_batch_size: int = setting(
        16,
        "Clips or windows per process and forward pass in evaluation.",
        minimum=1,
        affects_training=False,
    )

    @property
    def metric_key(self) -> str:
        """Return the metric's short name, for columns: a module's or a Hub id's last part.

        What is still 'auto' has not met a multi-label task: it is accuracy.

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
        """Return the number whose largest value is the best epoch; the worst for an undefined one.

        >>> EvalConfig(metric="log_loss").to_objective({"log_loss": 0.5})
        -0.5
        """
        value = metrics[self.metric_key]
        if value != value:
            return -math.inf
        is_lower_better = self.metric_goal == "auto" and self.metric_key in LOWER_IS_BETTER
        return -value if is_lower_better or self.metric_goal == "min" else value


@dataclass(frozen=True)
class HubConfig(Section):
    """Where the result is published."""

    push_to_hub: bool = setting(
        default=False, meaning="Publish the finished run on the Hub.", affects_training=False
    )
    hub_repo_id: str | None = setting(
        None,
        "Repository to publish to; default: your name and the run folder's.",
        affects_training=False,
    )
    private: bool = setting(
        default=False, meaning="Make a new repository private.", affects_training=False
    )
    hub_strategy: Literal["end", "every-save", "best"] = setting(
        "end",
        "Publish when all is done, or also the best model so far: at every checkpoint, or whenever"
        " it got better. A repository that holds a finished run is changed at the end only.",
        affects_training=False,
    )
    create_pr: bool = setting(
        default=False,
        meaning="Send the run as a pull request to a repository that exists.",
        affects_training=False,
    )
    publish_names: Literal["clips", "all", "none"] = setting(
        "clips",
        "Names of the data that are published: clips (others can repeat the split and check the"
        " predictions; clips whose names hold those of their groups are numbered), all (groups such"
        " as speakers too), or none (all are numbered).",
        affects_training=False,
    )
    push_logs: bool = setting(
        default=False,
        meaning="Publish the curves of --report-to tensorboard too, under runs/.",
        affects_training=False,
    )
    license: str | None = setting(
        None, "Licence id for the card; default: the base model's.", affects_training=False
    )
    task_id: str | None = setting(
        None,
        "Task of the data set's leaderboard; default: the configuration, else 'default'.",
        affects_training=False,
    )
    eval_notes: str | None = setting(
        None,
        "Notes for the leaderboard's entry; default: metric, clips and interval.",
        affects_training=False,
    )
    limits: str | None = setting(
        None, "A sentence for the card on what this model cannot do.", affects_training=False
    )

    def __post_init__(self) -> None:
        """Check that a pull request is sent once."""
        super().__post_init__()
        if self.create_pr and self.hub_strategy != "end":
            raise SettingError(
                f"--create-pr sends one pull request when all is done, and --hub-strategy"
                f" {self.hub_strategy} publishes meanwhile: give one of them."
            )
