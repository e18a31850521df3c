"""Fine-tuning setup: freezing, LoRA, gradient checkpointing and compilation."""

from __future__ import annotations

from audio_cls.config import RunConfig
from audio_cls.models.attention_backend import (
    check_precision,
    compile_model,
    enable_gradient_checkpointing,
)
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.finetuning.freeze import FrozenModules, freeze
from audio_cls.models.finetuning.lora import add_adapters


def prepare_for_finetuning(
    audio_model: AudioModel, cfg: RunConfig, precision: str
) -> FrozenModules:
    """Apply freezing, LoRA, gradient checkpointing and compilation. Changes the model in place.

    Call on every process, before the optimizer is made.

    Args:
        audio_model: A classifier whose weights are loaded, on the CPU.
        cfg: All settings.
        precision: Accelerate's mixed precision: "no", "fp16" or "bf16".

    Returns:
        The frozen modules, and in which epochs they are frozen.

    Raises:
        ModelError: The model family does not support a setting.
        SettingError: This machine does not.
    """
    check_precision(cfg.model.attention, precision)
    frozen = freeze(audio_model, cfg.model)
    add_adapters(audio_model.model, audio_model.processor, cfg.model)
    if cfg.train.gradient_checkpointing:
        enable_gradient_checkpointing(audio_model.model)
    if cfg.train.compile:
        compile_model(audio_model.model)
    return frozen
