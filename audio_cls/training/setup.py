"""One run from its folder to its last step: the parts of the other rooms put together."""

from __future__ import annotations

import dataclasses
import functools
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from torch import nn

from audio_cls.audio.augmentation.user_transforms import check_user_transforms
from audio_cls.audio.windows import seconds_to_samples
from audio_cls.config import OptimConfig, RunConfig
from audio_cls.config.training import accumulation_steps
from audio_cls.data.clips.clips import Clips
from audio_cls.data.keyword_spotting.sampling import make_epoch_subset, take_epoch
from audio_cls.data.loading.length_buckets import Buckets
from audio_cls.data.loading.sampler import SamplingSpec, StepShape
from audio_cls.data.prepare import PreparedClips
from audio_cls.data.streaming.clips import StreamClips
from audio_cls.data.training_loader import ProcessContext, load_augmenter, make_train_loader
from audio_cls.distributed import Accelerator
from audio_cls.distributed.accelerator import is_sharded, start_trackers
from audio_cls.distributed.hardware import choose_num_workers, configure_cpu
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.feature_cache.precompute import TrainingInputs
from audio_cls.models.finetuning.layer_groups import backbone_parameters, layer_depths
from audio_cls.models.finetuning.setup import prepare_for_finetuning
from audio_cls.runs.config_file import (
    DATA_HASH,
    check_same_data,
    load_resolved,
    save_run_config,
)
from audio_cls.runs.folder import RunFolder, choose_run_path
from audio_cls.runs.open_folder import open_run_folder
from audio_cls.runs.provenance import (
    count_parameters,
    describe_command,
    describe_commit,
    describe_versions,
)
from audio_cls.runs.resolved import ResolvedRun
from audio_cls.runs.resume import (
    check_same_processes,
    check_steps,
    find_resume_point,
    find_source_run,
)
from audio_cls.runs.trainer_state import TrainerState
from audio_cls.storage.files import explain_disk
from audio_cls.training.energy import EnergyMeter, check_meter
from audio_cls.training.loop import Callbacks, NoCallbacks, TrainingRun, Validator, count_steps
from audio_cls.training.nan_guard import NonFiniteGuard
from audio_cls.training.optim.class_weights import (
    compute_clip_weights,
    compute_sampling_weights,
    make_loss,
)
from audio_cls.training.optim.ema import ModelEma
from audio_cls.training.optim.optimizer import (
    compute_factors,
    init_optimizer_state,
    make_optimizer,
    supports_found_inf,
)
from audio_cls.training.progress import Progress
from audio_cls.training.sharding import check_lengths, check_sharded, prepare_model_and_optimizer
from audio_cls.training.stopping import StopController


def open_run(cfg: RunConfig, accelerator: Accelerator) -> RunFolder:
    """Make the run folder ready, before any long work. Call on every process.

    Returns:
        The folder; of a run that is resumed with what it resolved when it began.

    Raises:
        RunFolderError: See `open_run_folder`.
        SettingError: A step's clips cannot be dealt out to the processes, a sharded model cannot do
            what is asked, or see `check_meter` and `check_user_transforms`.
    """
    check_meter(cfg.train)
    check_user_transforms(cfg.augment.augment)
    path = choose_run_path(cfg)
    accumulation_steps(cfg.train, accelerator.num_processes)  # refuses what cannot be dealt out
    if is_sharded(accelerator):
        check_sharded(accelerator, cfg)
    folder = open_run_folder(path, cfg) if accelerator.is_main_process else RunFolder(path)
    accelerator.wait_for_everyone()
    start_trackers(accelerator, path, cfg)
    source = find_source_run(path, cfg.train.resume) or path
    return dataclasses.replace(folder, resolved=load_resolved(source, cfg))


def close_run(run: TrainingRun) -> None:
    """End the bar and the trackers, and let others write to the folder. Call on every process."""
    run.progress.close()
    run.folder.close()


def explain_run_disk(cfg: RunConfig) -> AbstractContextManager[None]:
    """Turn a full disk into one line, at any time of a run; see `explain_disk`."""
    return explain_disk(RunFolder(choose_run_path(cfg)))


def save_settings(
    folder: RunFolder,
    cfg: RunConfig,
    resolved: ResolvedRun,
    accelerator: Accelerator,
    clips: PreparedClips,
) -> None:
    """Write run_config.yaml and the clip ids of the splits. Call on every process.

    Args:
        folder: The run folder.
        cfg: The settings as they were given.
        resolved: The values of those that were left open.
        accelerator: This run's processes.
        clips: The clips of all splits.

    Raises:
        RunFolderError: The run goes on, and its data set has changed; see `check_same_data`.
    """
    rows = clips.hash_rows()
    if cfg.train.resume != "never":
        check_same_data(find_source_run(folder.path, cfg.train.resume) or folder.path, rows)
    accelerator.wait_for_everyone()  # until all have compared
    if accelerator.is_main_process:
        record = {
            "command": describe_command(),
            "versions": describe_versions(),
            "commit": describe_commit(),
            DATA_HASH: rows,
        }
        save_run_config(folder.path, cfg, resolved, record)
        clips.save_lists(folder.path)


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
    trains_padded = audio_model.processor.input_spec.trains_padded
    if is_sharded(accelerator) and not trains_padded:
        check_lengths(cfg, clips)
    passes = accumulation_steps(cfg.train, accelerator.num_processes)
    shape = StepShape(int(cfg.train.batch_size), passes, accelerator.num_processes)
    epoch = take_epoch(clips.labels, audio_model.labels, cfg.data)
    sampling = SamplingSpec(
        epoch_subset=make_epoch_subset(clips.labels, audio_model.labels, cfg.data),
        sampling_weights=compute_sampling_weights(clips.labels, cfg.optim, epoch),
        clip_weights=compute_clip_weights(clips.labels, audio_model.labels, cfg.optim, epoch),
        buckets=choose_buckets(cfg, clips),
        equal_lengths=not trains_padded,
    )
    workers = choose_num_workers(cfg.train.num_workers)
    context = ProcessContext(shape, accelerator.process_index, cfg.train.seed, workers, folder.path)
    augmenter = load_augmenter(
        cfg.augment,
        clips.sampling_rate,
        len(audio_model.labels),
        audio_model.processor.input_spec.feature_layout,
    )
    feed = make_train_loader(clips, audio_model.processor, sampling, context, cfg.audio, augmenter)
    frozen = prepare_for_finetuning(audio_model, cfg, accelerator.mixed_precision)
    optimizer = make_optimizer(audio_model.model, cfg.optim, lr_multipliers(audio_model, cfg.optim))
    model, optimizer = prepare_model_and_optimizer(accelerator, audio_model.model, optimizer)
    average = ModelEma(accelerator.unwrap_model(model), cfg.optim.ema_decay)
    accelerator.register_for_checkpointing(average)
    resume_point = find_resume_point(folder, cfg.train.resume)
    if cfg.data.streaming:
        check_same_processes(resume_point, accelerator.num_processes)
    num_steps = count_steps(cfg, feed.sampler)
    if resume_point:
        position = folder.restore(accelerator, resume_point)
        check_steps(position, shape.clips, num_steps, cfg)
    else:
        position = TrainerState()
        is_own = accelerator.device.type == "cpu" and not is_sharded(accelerator)
        if is_own and supports_found_inf(optimizer):
            init_optimizer_state(
                optimizer
            )  # before steps scatter the memory, not in the first of them
    position.num_steps, position.clips_per_step = num_steps, shape.clips
    progress = Progress(
        accelerator,
        folder.path / "summary.csv",
        num_steps=num_steps,
        clips_per_step=shape.clips,
        log=cfg.train.log,
        read_learning_rate=lambda: float(optimizer.param_groups[0]["lr"]),
    )
    progress.start(position)
    return TrainingRun(
        cfg=cfg,
        accelerator=accelerator,
        model=model,
        optimizer=optimizer,
        loader=feed.loader,
        order=feed.sampler,
        clip_losses=make_loss(epoch, audio_model.labels, cfg.optim),
        judge=validate,
        save_model=functools.partial(_save_best, accelerator, audio_model, folder),
        folder=folder,
        progress=progress,
        position=position,
        average=average,
        guard=NonFiniteGuard(accelerator, clips.ids, position),
        brakes=StopController(accelerator, cfg.train.max_train_minutes),
        before_epoch=frozen.set_epoch,
        meter=EnergyMeter(cfg.train, accelerator),
        callbacks=callbacks or NoCallbacks(),
    )


def choose_buckets(cfg: RunConfig, clips: Clips | StreamClips) -> Buckets | None:
    """Return how clips of like length come together; None for a plain shuffle."""
    if cfg.train.length_buckets is None or not isinstance(clips, Clips):
        return None
    longest = seconds_to_samples(cfg.audio.piece_seconds, clips.sampling_rate)
    return Buckets(np.minimum(clips.lengths, longest), cfg.train.length_buckets)


def lr_multipliers(audio_model: AudioModel, cfg: OptimConfig) -> dict[str, float]:
    """Return how many times as fast as --learning-rate each parameter learns; {}: all alike."""
    if cfg.layer_decay == 1 and cfg.head_learning_rate is None:
        return {}
    depths = layer_depths(audio_model.model, audio_model.processor)
    return compute_factors(depths, depths.keys() - backbone_parameters(audio_model.model), cfg)


def _save_best(
    accelerator: Accelerator, audio_model: AudioModel, folder: RunFolder, model: nn.Module
) -> None:
    """Write the model into the run folder. Call on every process; the main one writes."""
    weights = accelerator.get_state_dict(model) if is_sharded(accelerator) else None
    if accelerator.is_main_process:
        bare: Any = accelerator.unwrap_model(model)
        own = dataclasses.replace(audio_model, model=bare)
        folder.save_model(functools.partial(own.save, weights=weights))
    accelerator.wait_for_everyone()
