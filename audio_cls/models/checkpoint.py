"""Checkpoint: the files of a model at one commit, its configuration and feature extractor."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoConfig, AutoFeatureExtractor, SequenceFeatureExtractor
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING,
    MODEL_MAPPING,
)

from audio_cls.config import AudioConfig, Hertz, ModelConfig
from audio_cls.demo_data import locate_builtin
from audio_cls.errors import ModelError
from audio_cls.models.checkpoint_files import (
    LOAD_ERRORS,
    explain_load_error,
    explain_remote_code,
    locate_checkpoint,
    pin_commit,
    quiet_transformers,
)
from audio_cls.models.input_length import resolve_max_seconds

logger = logging.getLogger(__name__)

POOLED_HEAD = "pooled_head"  # the key of config.json that describes the encoder of a pooled head


@dataclass(frozen=True)
class Checkpoint:
    """A model's checkpoint whose weights are not loaded yet."""

    cfg: ModelConfig  # with the commit as `model_revision`
    path: str  # what transformers loads from: a folder, or the id on the Hub
    commit: str | None  # on the Hub; None for a folder
    config: Any  # each family has its own fields
    extractor: SequenceFeatureExtractor

    @property
    def sampling_rate(self) -> Hertz:
        """Return the sampling rate of the model's input."""
        return int(self.extractor.sampling_rate)

    @property
    def needs_pooled_head(self) -> bool:
        """Return True if transformers has no audio classifier for this model."""
        return needs_pooled_head(self.config)

    def load(self, loader: Any, **options: bool) -> tuple[Any, set[str]]:  # noqa: ANN401
        """Load the weights in float32 by a model class of transformers.

        Returns:
            The model, and the names of the weights that were initialised: those that the checkpoint
            does not have, or has in another shape.
        """
        model, report = loader.from_pretrained(
            self.path,
            revision=self.cfg.model_revision,
            config=self.config,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **options,
        )
        return model, {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}


def open_checkpoint(cfg: ModelConfig) -> Checkpoint:
    """Read a checkpoint's configuration and feature extractor. May download.

    Raises:
        ModelError: There is no such checkpoint, it is no model for audio, or it needs code that is
            not trusted.
    """
    if locate_builtin(cfg.model) is not None and not cfg.from_scratch:
        raise ModelError(
            f"'{cfg.model}' has no weights. Add --from-scratch, which trains it from random"
            " weights, or choose another model."
        )
    cfg, commit = pin_commit(cfg)
    path = locate_checkpoint(cfg)
    config = _load(AutoConfig, "config.json", cfg, path)
    _check_supported(cfg, config)
    extractor = _load(AutoFeatureExtractor, "preprocessor_config.json", cfg, path)
    if not isinstance(extractor, SequenceFeatureExtractor):
        raise ModelError(
            f"'{cfg.model}' has a {type(extractor).__name__}, which is not an audio feature"
            " extractor. Choose an audio model."
        )
    return Checkpoint(cfg, path, commit, config, extractor)


def needs_pooled_head(config: Any) -> bool:  # noqa: ANN401
    """Return True if transformers has no audio classifier for a model of this configuration."""
    return type(config) not in MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING or has_pooled_head(config)


def has_pooled_head(config: Any) -> bool:  # noqa: ANN401
    """Return True if a configuration was saved with the pooled head of this project."""
    return isinstance(getattr(config, POOLED_HEAD, None), dict)


def _load(loader: Any, file: str, cfg: ModelConfig, path: str) -> Any:  # noqa: ANN401
    """Load the configuration or the feature extractor by a class of transformers."""
    try:
        with quiet_transformers():
            return loader.from_pretrained(
                path, revision=cfg.model_revision, trust_remote_code=cfg.trust_remote_code
            )
    except LOAD_ERRORS as error:
        raise explain_load_error(error, cfg, file) from error


def _check_supported(cfg: ModelConfig, config: Any) -> None:  # noqa: ANN401
    """Check that a model of this configuration can be loaded, with the code that is trusted.

    Raises:
        ModelError: See `open_checkpoint`.
    """
    auto_map = getattr(config, "auto_map", None) or {}
    if cfg.trust_remote_code and not (needs_pooled_head(config) and auto_map):
        logger.warning("--trust-remote-code has no effect: '%s' needs no code.", cfg.model)
    if not needs_pooled_head(config):
        return
    if "AutoModel" in auto_map and not cfg.trust_remote_code:
        raise ModelError(explain_remote_code(cfg))
    if type(config) not in MODEL_MAPPING and "AutoModel" not in auto_map:
        raise ModelError(
            f"'{cfg.model}' is a '{config.model_type}' model, which transformers' AutoModel does"
            " not support. Choose an audio model."
        )


def set_extractor_options(extractor: SequenceFeatureExtractor, audio: AudioConfig) -> None:
    """Set `--normalize` and `--attention-mask` in a feature extractor. Changes it in place."""
    options = {"do_normalize": audio.normalize, "return_attention_mask": audio.attention_mask}
    for name, value in options.items():
        if value is None:
            continue
        if hasattr(extractor, name):
            setattr(extractor, name, value)
        else:
            kind = type(extractor).__name__
            logger.warning("%s has no %s: the setting has no effect.", kind, name)


def resolve_audio_settings(audio: AudioConfig, checkpoint: Checkpoint) -> AudioConfig:
    """Return the settings with a number for `--max-seconds`; the checkpoint's where none is given.

    A window may be longer than that: `RunConfig` refuses such settings.
    """
    if audio.max_seconds is None:
        audio = resolve_max_seconds(audio, checkpoint.extractor)
    return audio
