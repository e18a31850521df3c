"""Whole runs in this process, small enough for a test: tones, a tiny HuBERT, the real rooms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accelerate import Accelerator
from tiny_models import write_tiny_checkpoint

from audio_cls.config import RunConfig
from audio_cls.data.keyword_spotting.relabel import relabel_keywords
from audio_cls.data.labels.labels import parse_labels
from audio_cls.data.load import load_dataset
from audio_cls.data.prepare import PreparedClips, prepare_clips
from audio_cls.data.splits.clip_index import build_clip_index
from audio_cls.data.splits.splits import make_splits
from audio_cls.distributed.accelerator import start_accelerator
from audio_cls.evaluation.scorer import make_scorer
from audio_cls.evaluation.validate import make_validator
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.feature_cache.precompute import TrainingInputs
from audio_cls.models.load import load_for_training
from audio_cls.runs.resolve_run import resolve_run
from audio_cls.runs.resolved import ResolvedRun
from audio_cls.training.auto_batch_size import find_batch_size
from audio_cls.training.loop import Callbacks, TrainingRun
from audio_cls.training.open_run import load_first_start, open_run, save_settings
from audio_cls.training.setup import set_up_training

THREE_CONVOLUTIONS = {  # instead of seven, and also a frame each 20 ms: half the time of a step
    "conv_dim": (16,) * 3, "conv_kernel": (10, 8, 4), "conv_stride": (10, 8, 4),
}  # fmt: skip
NO_DROPOUT = {  # of any kind: what is left is the same in every program
    "hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0,
    "feat_proj_dropout": 0.0, "final_dropout": 0.0, "layerdrop": 0.0, "apply_spec_augment": False,
}  # fmt: skip
QUIET = {**NO_DROPOUT, **THREE_CONVOLUTIONS}


def write_quiet_checkpoint(folder: Path) -> Path:
    """Write a tiny HuBERT without dropout."""
    write_tiny_checkpoint("hubert", folder, **QUIET)
    return folder


def make_config(dataset: Path, checkpoint: Path, run: Path, **changes: Any) -> RunConfig:  # noqa: ANN401
    """Return the settings of a small run: half a second heard, batches of 4, all on the CPU."""
    values = {
        "dataset": str(dataset),
        "model": str(checkpoint),
        "output_dir": str(run),
        "max_seconds": 0.5,
        "batch_size": 4,
        "learning_rate": 1e-3,
        "epochs": 1,
    }
    return RunConfig.from_flat({**values, **changes})


def prepare(cfg: RunConfig) -> tuple[PreparedClips, AudioModel]:
    """Decode the clips and load the model, as scripts/train.py does."""
    return prepare_resolved(cfg)[:2]


def prepare_resolved(
    cfg: RunConfig, precision: str = "no"
) -> tuple[PreparedClips, AudioModel, ResolvedRun]:
    """Do the same, and return also what the run resolved."""
    source = relabel_keywords(load_dataset(cfg.data), cfg.data)
    labels = parse_labels(source, cfg.data)
    checkpoint = open_checkpoint(cfg.model)
    resolved = resolve_run(cfg, source, labels, checkpoint, precision)
    cfg = resolved.apply(cfg)
    pool = build_clip_index(source, labels, cfg.data)
    splits = make_splits(pool, cfg.data)
    clips = prepare_clips(source, labels, pool, splits, checkpoint.sampling_rate, cfg.data)
    model = load_for_training(
        checkpoint, cfg.audio, labels.names, is_multilabel=labels.is_multilabel
    )
    return clips, model, resolved


def set_up(cfg: RunConfig, callbacks: Callbacks | None = None) -> TrainingRun:
    """Put a run together up to the first step."""
    accelerator: Accelerator = start_accelerator(load_first_start(cfg).apply(cfg).train)
    folder = open_run(cfg, accelerator)
    known = folder.resolved.apply(cfg)
    clips, audio_model, resolved = prepare_resolved(known, str(accelerator.mixed_precision))
    settings = resolved.apply(known)
    resolved = find_batch_size(resolved, settings, accelerator, audio_model, clips.train)
    settings = resolved.apply(known)
    save_settings(folder, cfg, resolved, accelerator, clips)
    scorer = make_scorer(audio_model, settings, accelerator)
    judge = make_validator(scorer, clips.validation, settings.eval)
    inputs = TrainingInputs(audio_model, clips.train, clips.validation, clips.test)
    return set_up_training(settings, accelerator, folder, inputs, judge, callbacks)
