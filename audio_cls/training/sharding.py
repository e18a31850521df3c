"""Sharded models (FSDP, DeepSpeed): preparation, restoring the best weights, limits."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

from audio_cls.audio.windows import seconds_to_samples
from audio_cls.config import RunConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.data.streaming.clips import StreamClips
from audio_cls.distributed import Accelerator
from audio_cls.distributed.accelerator import is_fsdp, is_sharded
from audio_cls.distributed.processes import copy_from_main
from audio_cls.errors import SettingError
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.load import load_for_inference
from audio_cls.training.optim.optimizer import init_optimizer_state


def prepare_model_and_optimizer(
    accelerator: Accelerator, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Place and wrap the model and its optimizer. Call on every process.

    FSDP reads the input and output embeddings of every model of transformers, to check whether they
    are tied; audio models have none and raise an error.
    """
    if is_sharded(accelerator):
        _share_weights(accelerator, model)
        names = ("get_input_embeddings", "get_output_embeddings")
        for name in names:
            setattr(model, name, _no_embeddings)
        try:
            pair = accelerator.prepare(model, optimizer)
        finally:
            for name in names:
                delattr(model, name)
        if accelerator.is_fsdp2:
            init_optimizer_state(
                pair[1]
            )  # else a checkpoint would lack some, which FSDP refuses to load
    else:
        pair = accelerator.prepare(model, optimizer)
    prepared: tuple[nn.Module, torch.optim.Optimizer] = pair
    return prepared


def restore_best(
    accelerator: Accelerator, audio_model: AudioModel, model: nn.Module, folder: Path
) -> nn.Module:
    """Load the saved weights of the best model for the test. Call on every process.

    DeepSpeed needs a new copy of the model: of the one at hand, ZeRO-3 keeps parts of the weights
    only, in 16 bits.

    Args:
        accelerator: What prepared the model.
        audio_model: The model that was trained.
        model: The same, as it was prepared.
        folder: The run folder.

    Returns:
        A model to score with: `model`, changed in place, except with DeepSpeed.
    """
    if is_sharded(accelerator) and not is_fsdp(accelerator):
        whole = load_for_inference(folder, trust_remote_code=bool(audio_model.code)).model
        return cast("nn.Module", accelerator.prepare_model(whole, evaluation_mode=True))
    if is_fsdp(accelerator):
        options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
        set_model_state_dict(model, audio_model.read_state(folder), options=options)
    else:
        audio_model.load_state(folder)
    return model


def _share_weights(accelerator: Accelerator, model: nn.Module) -> None:
    """Copy the weights of the main process to all, as DDP does: heads are initialised on each."""
    with torch.no_grad():
        for value in model.state_dict().values():
            copy_from_main(accelerator, value)


def _no_embeddings() -> None:
    """Return None: the model has no embeddings."""


def check_sharded(accelerator: Accelerator, cfg: RunConfig) -> None:
    """Check that the settings are possible with a sharded model, before any long work.

    Raises:
        SettingError: EMA, 8-bit optimizer, LoRA, FSDP 1, or DeepSpeed with several passes per step.
    """
    if cfg.optim.ema_decay > 0:
        raise SettingError(
            f"--ema-decay {cfg.optim.ema_decay:g} needs the whole model on each process, and"
            " this one is sharded. Remove it, or launch with DDP (examples/multi_gpu/ddp.yaml)."
        )
    if cfg.optim.optimizer != "adamw":
        raise SettingError(
            f"--optimizer {cfg.optim.optimizer} needs whole weights, and this model is sharded."
            " Use --optimizer adamw, or launch with DDP (examples/multi_gpu/ddp.yaml)."
        )
    if cfg.train.method != "fine-tune":
        raise SettingError(
            f"--method {cfg.train.method} needs whole weights, and this model is sharded. Launch"
            " with DDP (examples/multi_gpu/ddp.yaml), or use --method fine-tune."
        )
    if cfg.model.lora_rank:
        raise SettingError(
            f"--lora-rank {cfg.model.lora_rank} needs whole weights to merge the adapters, and"
            " this model is sharded. Remove it, or launch with DDP"
            " (examples/multi_gpu/ddp.yaml)."
        )
    if cfg.train.refit:
        raise SettingError(
            "--refit trains a second model in the same processes, which is not supported where the"
            " model is sharded. Remove it, or launch with DDP (examples/multi_gpu/ddp.yaml)."
        )
    if is_fsdp(accelerator) and not accelerator.is_fsdp2:
        raise SettingError(
            "FSDP 1 does not support evaluation during training: set fsdp_version: 2 in the"
            " configuration of accelerate launch (examples/multi_gpu/fsdp.yaml)."
        )
    if not is_fsdp(accelerator) and (
        cfg.train.gradient_accumulation_steps > 1 or cfg.train.effective_batch_size is not None
    ):
        raise SettingError(
            "DeepSpeed updates the weights after every pass: --gradient-accumulation-steps must"
            " be 1, and --effective-batch-size must not be given. Give a larger --batch-size,"
            " or launch with FSDP."
        )


def check_lengths(cfg: RunConfig, clips: Clips | StreamClips) -> None:
    """Check that all crops have one length, for a sharded model whose result depends on padding.

    Such a model has one forward pass per length, and all processes must do the same number of them.

    Args:
        cfg: Settings of audio and augmentation.
        clips: The training clips.

    Raises:
        SettingError: The crops can have different lengths.
    """
    longest = seconds_to_samples(cfg.audio.piece_seconds, clips.sampling_rate)
    is_whole = isinstance(clips, Clips) and int(clips.lengths.min()) >= longest
    is_varied = cfg.audio.min_seconds is not None or cfg.augment.speed_range is not None
    if is_varied or not (is_whole or cfg.audio.repeat_short):
        raise SettingError(
            f"Training crops of {cfg.model.model} must have the same length where the model is"
            " sharded, as padding changes the outputs of this model. Give --repeat-short, or a"
            f" --max-seconds below {cfg.audio.piece_seconds:g}, without --min-seconds and"
            " --speed-range; or launch with DDP (examples/multi_gpu/ddp.yaml)."
        )
