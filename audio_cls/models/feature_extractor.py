"""How a checkpoint hears: its feature extractor, asked before any weights are loaded."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

from transformers import AutoFeatureExtractor, SequenceFeatureExtractor

from audio_cls.config import AudioConfig, Hertz, ModelConfig, RunConfig
from audio_cls.errors import ModelError
from audio_cls.models.checkpoint_files import (
    explain_load_error,
    locate_checkpoint,
    quiet_transformers,
)
from audio_cls.models.input_length import resolve_max_seconds

logger = logging.getLogger(__name__)


def load_feature_extractor(cfg: ModelConfig, audio: AudioConfig) -> SequenceFeatureExtractor:
    """Load a checkpoint's feature extractor; `audio` overrides its normalisation and mask.

    Raises:
        ModelError: The checkpoint has none, or none for sound.
    """
    try:
        with quiet_transformers():
            extractor: Any = AutoFeatureExtractor.from_pretrained(  # type: ignore[no-untyped-call]
                locate_checkpoint(cfg),
                revision=cfg.model_revision,
                trust_remote_code=cfg.trust_remote_code,
            )
    except (OSError, ValueError, ImportError) as error:
        raise explain_load_error(error, cfg, "preprocessor_config.json") from error
    if not isinstance(extractor, SequenceFeatureExtractor):
        raise ModelError(
            f"'{cfg.model}' has a {type(extractor).__name__}, which does not prepare sound. "
            "Name an audio model with --model."
        )
    choices = {"do_normalize": audio.normalize, "return_attention_mask": audio.attention_mask}
    for name, choice in choices.items():
        if choice is None:
            continue
        if hasattr(extractor, name):
            setattr(extractor, name, choice)
        else:
            kind = type(extractor).__name__
            logger.warning("%s has no %s: the setting changes nothing.", kind, name)
    return extractor


def resolve_audio_settings(cfg: RunConfig) -> tuple[RunConfig, Hertz]:
    """Ask the checkpoint's extractor how it hears, before anything is loaded. May download.

    Returns:
        The settings, with a number for --max-seconds where none was given; and the sampling rate.

    Raises:
        ModelError: See `load_feature_extractor`.
        SettingError: A window is longer than what the checkpoint hears.
    """
    extractor = load_feature_extractor(cfg.model, cfg.audio)
    if cfg.audio.max_seconds is None:
        cfg = dataclasses.replace(cfg, audio=resolve_max_seconds(cfg.audio, extractor))
        logger.info("pieces: %g s at most, as the checkpoint hears", cfg.audio.piece_seconds)
    return cfg, int(extractor.sampling_rate)
