"""Size of a step: clips per forward pass, and the search for `--batch-size auto`.

The search trains a copy of the model on the longest crops before the run begins. It tries batch
sizes that divide the clips of a step on each process, so that the step is the same for every
result: with fewer clips per forward pass it has more passes.
"""

from __future__ import annotations

import copy
import dataclasses
import gc
import logging

import numpy as np
import torch
from torch import nn

from audio_cls.config import RunConfig, TrainConfig
from audio_cls.config.training import DEFAULT_BATCH_SIZE, accumulation_steps
from audio_cls.data.clips.clips import Clips
from audio_cls.data.loading.batch import Batch, make_batch
from audio_cls.data.loading.datasets import TrainingDataset
from audio_cls.data.streaming.clips import StreamClips
from audio_cls.distributed import Accelerator
from audio_cls.distributed.accelerator import is_sharded, keep_random_states
from audio_cls.distributed.out_of_memory import find_largest_batch, is_out_of_memory
from audio_cls.distributed.processes import all_agree
from audio_cls.errors import SettingError, TrainingError, count_of
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.finetuning.setup import prepare_for_finetuning
from audio_cls.runs.resolved import ResolvedRun
from audio_cls.training.optim.class_weights import LossFunction, make_loss
from audio_cls.training.optim.optimizer import make_optimizer

TRIAL_STEPS = 2  # the optimizer holds its moments from the second on

logger = logging.getLogger(__name__)


def find_batch_size(
    resolved: ResolvedRun,
    cfg: RunConfig,
    accelerator: Accelerator,
    audio_model: AudioModel,
    clips: Clips | StreamClips,
) -> ResolvedRun:
    """Resolve the size of a step: a number for `--batch-size auto`. Call on every process.

    The model, its gradients and all random states are not changed.

    Args:
        resolved: What the run has resolved so far.
        cfg: The settings with those values applied.
        accelerator: This run's processes.
        audio_model: The model, with its new head.
        clips: The training clips.

    Returns:
        The same with `batch_size`, `accumulation_steps` and `effective_batch_size`.

    Raises:
        SettingError: The model is sharded, or the step cannot be split evenly.
        TrainingError: Not even one clip fits.
    """
    train, batch_size = cfg.train, cfg.train.batch_size
    if batch_size == "auto":
        train = _fix_step(train, accelerator.num_processes)
        batch_size = _search(train, cfg, accelerator, audio_model, clips)
        train = dataclasses.replace(train, batch_size=batch_size)
    passes = accumulation_steps(train, accelerator.num_processes)
    return dataclasses.replace(
        resolved,
        batch_size=batch_size,
        accumulation_steps=passes,
        effective_batch_size=batch_size * passes * accelerator.num_processes,
    )


def _fix_step(train: TrainConfig, num_processes: int) -> TrainConfig:
    """Return the settings with the number of clips of a step, which the search does not change."""
    step = train.effective_batch_size
    if step is None:
        step = DEFAULT_BATCH_SIZE * train.gradient_accumulation_steps * num_processes
    return dataclasses.replace(train, effective_batch_size=step, gradient_accumulation_steps=1)


def _search(
    train: TrainConfig,
    cfg: RunConfig,
    accelerator: Accelerator,
    audio_model: AudioModel,
    clips: Clips | StreamClips,
) -> int:
    """Return the largest batch size that fits and divides the step's clips on a process."""
    assert isinstance(clips, Clips)  # `RunConfig` refuses 'auto' with a stream
    if is_sharded(accelerator):
        raise SettingError(
            "--batch-size auto needs the whole model on one device, and this one is sharded"
            " over several. Give a number."
        )
    share = accumulation_steps(train, accelerator.num_processes)
    sizes = [size for size in range(share, 0, -1) if share % size == 0]
    found = find_largest_batch(
        lambda size: _fits(size, cfg, accelerator, audio_model, clips), sizes
    )
    if found is None:
        raise TrainingError(
            f"Out of memory with a single clip of up to {cfg.audio.piece_seconds:g} s. Try a"
            " shorter --max-seconds, --mixed-precision bf16, or a smaller --model."
        )
    passes = share // found
    logger.info(
        "--batch-size auto: %s per pass, %s per step.",
        *(count_of(found, "clip"), count_of(passes, "pass")),
    )
    return found


def _fits(
    size: int, cfg: RunConfig, accelerator: Accelerator, audio_model: AudioModel, clips: Clips
) -> bool:
    """Return whether every process can train on `size` of the longest crops."""
    fits = True
    loss_fn = make_loss(clips.labels, audio_model.labels, cfg.optim)
    with keep_random_states(accelerator.device):
        try:
            batch = _collate_longest(size, cfg, audio_model, clips)
            _train(_copy_model(audio_model, cfg, accelerator), batch, loss_fn, cfg, accelerator)
        except (MemoryError, RuntimeError, ValueError) as error:
            if not is_out_of_memory(error):
                raise
            fits = False
    gc.collect()
    return all_agree(accelerator, agrees=fits)


def _collate_longest(size: int, cfg: RunConfig, audio_model: AudioModel, clips: Clips) -> Batch:
    """Make a batch of the longest clips; they are repeated if there are fewer than `size`."""
    audio = dataclasses.replace(cfg.audio, min_seconds=None)
    dataset = TrainingDataset(clips, audio, cfg.train.seed)
    longest = np.argsort(-clips.lengths, kind="stable")
    numbers = np.resize(longest, size).tolist()
    return make_batch([dataset[0, number, 1 / size] for number in numbers], audio_model.processor)


def _copy_model(audio_model: AudioModel, cfg: RunConfig, accelerator: Accelerator) -> nn.Module:
    """Return a copy of the model, frozen as in the run; if it is unfrozen later, not frozen.

    It is not compiled: that takes long, and needs no more memory.
    """
    copied = dataclasses.replace(audio_model, model=copy.deepcopy(audio_model.model))
    model_cfg = cfg.model
    if model_cfg.unfreeze_after_epochs is not None:
        model_cfg = dataclasses.replace(model_cfg, freeze="none", unfreeze_after_epochs=None)
    train = dataclasses.replace(cfg.train, compile=False)
    models_logger = logging.getLogger("audio_cls.models")
    level = models_logger.level
    models_logger.setLevel(logging.WARNING)  # the run logs what is frozen
    try:
        cfg = dataclasses.replace(cfg, train=train, model=model_cfg)
        prepare_for_finetuning(copied, cfg, str(accelerator.mixed_precision))
    finally:
        models_logger.setLevel(level)
    model: nn.Module = copied.model.to(accelerator.device).train()
    return model


def _train(
    model: nn.Module, batch: Batch, loss_fn: LossFunction, cfg: RunConfig, accelerator: Accelerator
) -> None:
    """Do optimizer steps, with the memory of gradient buckets (DDP) and EMA held as in the run."""
    optimizer = make_optimizer(model, cfg.optim)
    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    held = [torch.empty_like(w) for w in trainable] if accelerator.num_processes > 1 else []
    held += [torch.empty_like(w) for w in model.parameters()] if cfg.optim.ema_decay else []
    batch = batch.to(accelerator.device)
    for _ in range(TRIAL_STEPS):
        with accelerator.autocast():
            logits = model(**batch.inputs).logits
        loss: torch.Tensor = (loss_fn(logits.float(), batch.labels) * batch.weights).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
