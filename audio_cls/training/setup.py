"""Set-up of a training run: the parts that the loop uses, and the state of a resumed run."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from audio_cls.audio.windows import seconds_to_samples
from audio_cls.config import OptimConfig, RunConfig
from audio_cls.config.training import accumulation_steps
from audio_cls.data.clips.clips import Clips
from audio_cls.data.keyword_spotting.sampling import make_epoch_subset, take_epoch
from audio_cls.data.loading.length_buckets import Buckets
from audio_cls.data.loading.sampler import SamplingSpec, StepShape
from audio_cls.data.splits.iterative_stratification import LabelArray
from audio_cls.data.streaming.clips import StreamClips
from audio_cls.data.training_loader import (
    ProcessContext,
    TrainLoader,
    load_augmenter,
    make_train_loader,
)
from audio_cls.distributed import Accelerator
from audio_cls.distributed.accelerator import is_sharded, start_trackers
from audio_cls.distributed.hardware import choose_num_workers, configure_cpu
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.feature_cache.precompute import TrainingInputs
from audio_cls.models.finetuning.layer_groups import backbone_parameters, layer_depths
from audio_cls.models.finetuning.setup import prepare_for_finetuning
from audio_cls.runs.folder import RunFolder
from audio_cls.runs.provenance import (
    count_parameters,
)
from audio_cls.runs.resume import (
    check_same_processes,
    check_steps,
    find_whole_checkpoint,
)
from audio_cls.runs.trainer_state import TrainerState
from audio_cls.training.energy import EnergyMeter
from audio_cls.training.loop import Callbacks, NoCallbacks, TrainingRun, Validator
from audio_cls.training.nan_guard import NonFiniteGuard
from audio_cls.training.optim.class_weights import (
    compute_clip_weights,
    compute_sampling_weights,
    make_loss,
)
from audio_cls.training.optim.ema import ModelEma
from audio_cls.training.optim.optimizer import (
    init_optimizer_state,
    lr_multipliers,
    make_optimizer,
    supports_found_inf,
)
from audio_cls.training.progress import Progress
from audio_cls.training.sharding import check_lengths, prepare_model_and_optimizer
from audio_cls.training.stopping import StopController


def set_up_training(
    cfg: RunConfig,
    accelerator: Accelerator,
    folder: RunFolder,
    inputs: TrainingInputs,
    validate: Validator,
    callbacks: Callbacks | None = None,
) -> TrainingRun:
    """Make all parts of a training run, and restore the state of a run that is resumed.

    Call on every process.

    Args:
        cfg: The settings, with what was resolved.
        accelerator: This run's processes.
        folder: The run folder.
        inputs: The model, and the training clips as it takes them.
        validate: Computes the validation metrics of a model.
        callbacks: Called when the best model or a checkpoint is written.

    Raises:
        SettingError: See `check_lengths`.
        RunFolderError: The checkpoint is of a run that this one cannot resume.
    """
    audio_model, clips = inputs.audio_model, inputs.train
    configure_cpu(accelerator, count_parameters(audio_model))
    epoch_labels = take_epoch(clips.labels, audio_model.labels, cfg.data)
    train_loader = _make_loader(cfg, accelerator, folder, inputs, epoch_labels)
    frozen = prepare_for_finetuning(audio_model, cfg, accelerator.mixed_precision)
    model, optimizer = prepare_model_and_optimizer(
        accelerator, audio_model.model, _make_optimizer(audio_model, cfg.optim)
    )
    ema = ModelEma(accelerator.unwrap_model(model), cfg.optim.ema_decay)
    accelerator.register_for_checkpointing(ema)
    num_steps = cfg.train.max_steps or cfg.train.epochs * train_loader.sampler.steps_per_epoch
    clips_per_step = train_loader.sampler.shape.clips
    checkpoint = find_whole_checkpoint(folder, cfg.train.resume)
    state = _restore_state(cfg, accelerator, folder, checkpoint)
    if state is not None:
        check_steps(state, clips_per_step, num_steps, cfg)
    else:
        state = TrainerState()
        is_on_cpu = accelerator.device.type == "cpu" and not is_sharded(accelerator)
        if is_on_cpu and supports_found_inf(optimizer):
            init_optimizer_state(optimizer)  # allocated in one place, not between those of a step
    state.num_steps, state.clips_per_step = num_steps, clips_per_step
    progress = Progress(
        accelerator,
        folder.path / "summary.csv",
        cfg,
        state,
        sampler=train_loader.sampler,
        read_learning_rate=lambda: float(optimizer.param_groups[0]["lr"]),
    )
    run = TrainingRun(
        cfg=cfg,
        accelerator=accelerator,
        model=model,
        optimizer=optimizer,
        loader=train_loader.loader,
        sampler=train_loader.sampler,
        loss_fn=make_loss(epoch_labels, audio_model.labels, cfg.optim),
        validate=validate,
        save_model=functools.partial(_save_model, accelerator, audio_model, folder),
        folder=folder,
        progress=progress,
        state=state,
        ema=ema,
        nan_guard=NonFiniteGuard(accelerator, clips.ids, state),
        stop_controller=StopController(
            accelerator, cfg.train.max_train_minutes, is_saved=not cfg.train.dry_run
        ),
        energy_meter=EnergyMeter(cfg.train, accelerator),
        checkpoint=checkpoint,
        before_epoch=frozen.set_epoch,
        callbacks=callbacks or NoCallbacks(),
    )
    start_trackers(accelerator, folder.path, cfg)  # last: a start that fails leaves no files
    return run


def _make_loader(
    cfg: RunConfig,
    accelerator: Accelerator,
    folder: RunFolder,
    inputs: TrainingInputs,
    epoch_labels: LabelArray,
) -> TrainLoader:
    """Make sampler and loader of this process.

    Args:
        cfg: The settings.
        accelerator: This run's processes.
        folder: The run folder.
        inputs: The model and the training clips.
        epoch_labels: Labels of the clips that one epoch uses.
    """
    audio_model, clips = inputs.audio_model, inputs.train
    spec = audio_model.processor.input_spec
    if is_sharded(accelerator) and not spec.trains_padded:
        check_lengths(cfg, clips)
    sampling = SamplingSpec(
        epoch_subset=make_epoch_subset(clips.labels, audio_model.labels, cfg.data),
        sampling_weights=compute_sampling_weights(clips.labels, cfg.optim, epoch_labels),
        clip_weights=compute_clip_weights(
            clips.labels, audio_model.labels, cfg.optim, epoch_labels
        ),
        buckets=_make_buckets(cfg, clips),
        equal_lengths=not spec.trains_padded,
    )
    passes = accumulation_steps(cfg.train, accelerator.num_processes)
    context = ProcessContext(
        StepShape(int(cfg.train.batch_size), passes, accelerator.num_processes),
        accelerator.process_index,
        cfg.train.seed,
        choose_num_workers(cfg.train.num_workers),
        folder.path,
    )
    augmenter = load_augmenter(
        cfg.augment, clips.sampling_rate, len(audio_model.labels), spec.feature_layout
    )
    return make_train_loader(clips, audio_model.processor, sampling, context, cfg.audio, augmenter)


def _make_buckets(cfg: RunConfig, clips: Clips | StreamClips) -> Buckets | None:
    """Return the length buckets of the sampler; None for a plain shuffle."""
    if cfg.train.length_buckets is None or not isinstance(clips, Clips):
        return None
    longest = seconds_to_samples(cfg.audio.piece_seconds, clips.sampling_rate)
    return Buckets(np.minimum(clips.lengths, longest), cfg.train.length_buckets)


def _make_optimizer(audio_model: AudioModel, cfg: OptimConfig) -> torch.optim.Optimizer:
    """Make the optimizer, with the learning rates of `--layer-decay` and `--head-learning-rate`."""
    model, factors = audio_model.model, {}
    if cfg.layer_decay != 1 or cfg.head_learning_rate is not None:
        depths = layer_depths(model, audio_model.processor)
        factors = lr_multipliers(depths, depths.keys() - backbone_parameters(model), cfg)
    return make_optimizer(model, cfg, factors)


def _restore_state(
    cfg: RunConfig,
    accelerator: Accelerator,
    folder: RunFolder,
    checkpoint: Path | None,
) -> TrainerState | None:
    """Restore the checkpoint that `--resume` names; return None for a new run."""
    if cfg.data.streaming:
        check_same_processes(checkpoint, accelerator.num_processes)
    if checkpoint is None:
        return None
    return folder.restore(accelerator, checkpoint)


def _save_model(
    accelerator: Accelerator, audio_model: AudioModel, folder: RunFolder, model: nn.Module
) -> None:
    """Write the best model into the run folder, on the main process. Call on every process."""
    weights = accelerator.get_state_dict(model) if is_sharded(accelerator) else None
    if accelerator.is_main_process:
        unwrapped: Any = accelerator.unwrap_model(model)
        whole = dataclasses.replace(audio_model, model=unwrapped)
        folder.save_model(functools.partial(whole.save, weights=weights))
    accelerator.wait_for_everyone()
