"""Settings of the Hub: where, when and with which names a run is published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from audio_cls.config.base import Section, setting
from audio_cls.errors import SettingError

# Settings that are texts of the model card; `audio-cls publish` can set them after the training.
CARD_SETTINGS = (
    "license",
    "language",
    "model_description",
    "intended_use",
    "citation",
    "limitations",
)


@dataclass(frozen=True)
class HubConfig(Section):
    """Whether, where and how a run is published, and texts of its model card."""

    heading: ClassVar[str] = "Hub"

    push_to_hub: bool = setting(
        default=False,
        meaning="Publish the finished run on the Hugging Face Hub.",
        affects_training=False,
        is_common=True,
    )
    hub_repo_id: str | None = setting(
        None,
        "Repository to publish to, USER/NAME. Default: your user name and the run folder's name.",
        affects_training=False,
    )
    private: bool = setting(
        default=False, meaning="Make a new repository private.", affects_training=False
    )
    hub_strategy: Literal["end", "every-save", "best"] = setting(
        "end",
        "When to publish: at the end; also at every checkpoint (every-save); or also"
        " whenever validation improves (best). A repository with a finished run is changed at"
        " the end only.",
        affects_training=False,
    )
    create_pr: bool = setting(
        default=False,
        meaning="Publish as a pull request to an existing repository.",
        affects_training=False,
    )
    publish_ids: Literal["clips", "all", "none"] = setting(
        "clips",
        "Names to publish: clips (ids of clips, numbered if they contain group"
        " names), all (also groups such as speakers), or none (all numbered).",
        affects_training=False,
    )
    push_logs: bool = setting(
        default=False,
        meaning="Publish the logs of --report-to tensorboard too, under runs/.",
        affects_training=False,
    )
    license: str | None = setting(
        None,
        "Licence id for the card, such as mit. Default: the base model's.",
        affects_training=False,
    )
    language: tuple[str, ...] = setting(
        (),
        "Languages of the audio for the card, ISO 639 codes such as en,de. Default: those of"
        " the data set's card.",
        affects_training=False,
    )
    model_description: str | None = setting(
        None, "Text for the card after its first lines, in Markdown.", affects_training=False
    )
    intended_use: str | None = setting(
        None,
        "Text for the card on intended use, in Markdown. Default: the task.",
        affects_training=False,
    )
    citation: str | None = setting(
        None,
        "BibTeX entries for the card, such as that of the data set's paper.",
        affects_training=False,
    )
    task_id: str | None = setting(
        None,
        "Task of the data set's leaderboard. Default: the data set's configuration,"
        " else 'default'.",
        affects_training=False,
    )
    eval_notes: str | None = setting(
        None,
        "Notes of the leaderboard entry. Default: metric, number of clips and interval.",
        affects_training=False,
    )
    limitations: str | None = setting(
        None, "Text for the card about what this model cannot do.", affects_training=False
    )

    def __post_init__(self) -> None:
        """Check ranges, and that a pull request is created only once."""
        super().__post_init__()
        if self.create_pr and self.hub_strategy != "end":
            raise SettingError(
                f"--create-pr creates one pull request at the end, and --hub-strategy"
                f" {self.hub_strategy} publishes during training: give one of them."
            )
