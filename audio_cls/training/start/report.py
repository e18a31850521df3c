"""Start of a run: collect its facts, and show them in the log or as the event `start`."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import numpy as np

from audio_cls.config import RunConfig, flag_name
from audio_cls.data.keyword_spotting.sampling import make_epoch_subset
from audio_cls.data.prepare import PreparedClips
from audio_cls.data.splits.split_check import is_split_by_group
from audio_cls.data.streaming.clips import StreamClips
from audio_cls.distributed.precision import explain_precision
from audio_cls.distributed.processes import is_main_process
from audio_cls.errors import count_of
from audio_cls.events import emit_event
from audio_cls.models.audio_model import AudioModel
from audio_cls.runs.folder import choose_run_path
from audio_cls.runs.provenance import count_parameters, describe_hardware
from audio_cls.runs.setting_origins import SettingOrigins
from audio_cls.training.loop import TrainingRun
from audio_cls.training.start.inputs import MethodInputs
from audio_cls.training.start.summary import (
    Row,
    StartFacts,
    format_resume,
    format_start,
    join_settings,
    wrap_rows,
)

PRECISIONS = {
    "no": "float32",
    "fp16": "float16 mixed precision",
    "bf16": "bfloat16 mixed precision",
    "fp8": "float8 mixed precision",
}
# Settings that other rows have, or that change nothing in the run.
NOT_LISTED = ("dataset", "dataset_config", "dataset_revision", "model", "output_dir", "overwrite",
              "resume", "dry_run", "log", "seeds", "sweep")  # fmt: skip

logger = logging.getLogger(__name__)


class StartReport:
    """Shows the start of one run; of a later run of a command only what differs from the first."""

    def __init__(
        self,
        asked: RunConfig,
        origins: SettingOrigins | None = None,
        *,
        title: str = "",
        first: StartReport | None = None,
    ) -> None:
        """Keep what the command knows.

        Args:
            asked: The settings as the user gave them.
            origins: Where they came from.
            title: Which of several runs it is; empty for a single one.
            first: The report of the first of several runs.
        """
        self.asked = asked
        self.origins = origins or SettingOrigins()
        self.title = title
        self.first = first
        self.facts: StartFacts | None = None

    def announce_title(self) -> None:
        """Log which of several runs starts; nothing for a single one."""
        if self.title and is_main_process():
            gap = "" if self.first is None else "\n"  # after the result of the run before
            logger.info("%s--- %s (%s) ---", gap, self.title, choose_run_path(self.asked))

    def announce(self, inputs: MethodInputs, run: TrainingRun | None = None) -> None:
        """Show what is trained on what, where and for how long. Only the main process does.

        Args:
            inputs: Data set, clips and the whole model, with the frozen part.
            run: The fine-tuning, before its first step; None for a method without steps.
        """
        if not inputs.accelerator.is_main_process:
            return
        self.facts = self._collect(inputs)
        if run is not None:
            self.facts = dataclasses.replace(self.facts, **_describe_steps(run))
        cfg = inputs.cfg
        emit_event(cfg.train.log, "start", **dataclasses.asdict(self.facts))
        lines = [format_resume(self.facts), *wrap_rows(self._choose_rows(self.facts))]
        if self.origins.is_verbose:
            lines += self._list_settings(cfg)
        text = "\n".join(line for line in lines if line)
        if text:
            logger.info("%s", text)

    def _choose_rows(self, facts: StartFacts) -> list[Row]:
        """Return all rows; of a later run those that the first one did not have."""
        first = self.first.facts if self.first is not None else None
        if first is None:
            return format_start(facts)
        new = {f: v for f, v in facts.settings.items() if first.settings.get(f) != v}
        shown = format_start(first)
        rows = format_start(dataclasses.replace(facts, settings=new))
        return [row for row in rows if row not in shown]

    def _list_settings(self, cfg: RunConfig) -> list[str]:
        """Return the lines of `--verbose`: every setting, with what the run resolved."""
        every = join_settings(self.origins.list_all(cfg))
        return ["All settings:", *wrap_rows([("settings", every)])]

    def _collect(self, inputs: MethodInputs) -> StartFacts:
        """Collect the facts, see `announce`."""
        asked, cfg, clips = self.asked, inputs.cfg, inputs.clips
        dataset, labels, audio_model = inputs.dataset, inputs.labels, inputs.audio_model
        hardware = describe_hardware(inputs.accelerator, cfg.train.method)
        precision = str(hardware.mixed_precision)
        is_streamed = isinstance(clips.train, StreamClips)
        parts = {"train": clips.train, "validation": clips.validation, "test": clips.test}
        return StartFacts(
            run=self.title,
            dataset=dataset.id,
            dataset_config=dataset.config if not dataset.is_local else None,
            dataset_revision=asked.data.dataset_revision,
            preset=self.origins.preset,
            preset_reason=self.origins.explain_preset(dataset.id),
            label_column=labels.column or "",
            classes=tuple(labels.names),
            is_multilabel=labels.is_multilabel,
            clips={r: len(p) for r, p in parts.items() if not (is_streamed and r == "train")},
            is_streamed=is_streamed,
            is_test_validation=clips.splits.test_is_validation,
            epoch_clips=_count_epoch(cfg, clips, audio_model),
            groups=_describe_groups(cfg, clips),
            split_groups=_list_groups(clips),
            is_dry_run=asked.train.dry_run,
            method=cfg.train.method,
            sampling_rate=clips.train.sampling_rate,
            max_seconds=cfg.audio.piece_seconds,
            model=cfg.model.model,
            head=audio_model.head,
            parameters=count_parameters(audio_model),
            trainable_parameters=0
            if cfg.train.method == "probe"
            else count_parameters(audio_model),
            freeze=_describe_freezing(cfg),
            device=str(hardware.device),
            processes=hardware.num_processes or 1,
            precision=PRECISIONS.get(precision, precision),
            precision_reason=""
            if cfg.train.method == "probe"
            else explain_precision(asked.train.mixed_precision, precision),
            output_dir=None if asked.train.dry_run else str(inputs.folder.path),
            settings=self._list_changed(),
        )

    def _list_changed(self) -> dict[str, str]:
        """Return the settings that differ from their defaults and are in no other row."""
        hidden = {flag_name(name) for name in NOT_LISTED}
        if self.title:
            hidden |= {"--fold", "--seed"}
        changed = self.origins.list_changed(self.asked)
        return {flag: value for flag, value in changed.items() if flag not in hidden}


def _describe_steps(run: TrainingRun) -> dict[str, Any]:
    """Return the facts of a fine-tuning: its steps, and the parameters that they change."""
    return {
        "trainable_parameters": _count_trainable(run),
        "epochs": run.num_steps / run.sampler.steps_per_epoch,
        "steps_per_epoch": run.sampler.steps_per_epoch,
        "steps": run.num_steps,
        "clips_per_step": run.sampler.shape.clips,
        "first_step": run.state.step,
        "checkpoint": None if run.checkpoint is None else str(run.checkpoint),
    }


def _describe_groups(cfg: RunConfig, clips: PreparedClips) -> str | None:
    """Return the column or pattern of the groups that no two splits share."""
    if not is_split_by_group(clips.check):
        return None
    return cfg.data.group_column or cfg.data.group_pattern or "recording"


def _list_groups(clips: PreparedClips) -> dict[str, tuple[str, ...]]:
    """Return the groups of validation and test by role, where no two splits share one."""
    if not is_split_by_group(clips.check):
        return {}
    parts = {"validation": clips.validation.groups, "test": clips.test.groups}
    return {
        role: tuple(np.unique(groups[groups != ""]).tolist())
        for role, groups in parts.items()
        if groups is not None and (groups != "").any()
    }


def _count_epoch(cfg: RunConfig, clips: PreparedClips, audio_model: AudioModel) -> int | None:
    """Return the number of training clips in an epoch; None where it has all."""
    if isinstance(clips.train, StreamClips):
        return None
    subset = make_epoch_subset(clips.train.labels, audio_model.labels, cfg.data)
    return None if subset is None or len(subset) == len(clips.train) else len(subset)


def _describe_freezing(cfg: RunConfig) -> str:
    """Return what is not trained, or trained by adapters only."""
    parts = ["--method probe"] if cfg.train.method == "probe" else []
    if cfg.model.freeze != "none":
        epochs = cfg.model.unfreeze_after_epochs
        until = f" for the first {count_of(epochs, 'epoch')}" if epochs is not None else ""
        parts.append(f"--freeze {cfg.model.freeze}{until}")
    if cfg.model.lora_rank:
        parts.append(f"LoRA of rank {cfg.model.lora_rank}")
    return ", ".join(parts)


def _count_trainable(run: TrainingRun) -> int:
    """Count the parameters that the optimizer updates, over all processes."""
    weights = (weight for weight in run.model.parameters() if weight.requires_grad)
    return sum(int(getattr(weight, "ds_numel", weight.numel())) for weight in weights)
