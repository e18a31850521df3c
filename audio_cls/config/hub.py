"""Settings of the Hub: where, when and with which names a run is published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from audio_cls.config.base import Section, setting
from audio_cls.errors import SettingError


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
    publish_ids: Literal["clips", "all", "none"] = setting(
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
    limitations: str | None = setting(
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
