"""A checkpoint id becomes a classifier: `Backbone`, its labels, and what makes its inputs.

Comes in: a Hub id or a folder of an audio model that transformers can classify with, and the
labels. Goes out: a model that maps the inputs of its `WaveEncoder` to logits (B, L); B clips, L
labels. Weights become float32 whatever they were. Refused: remote code, and models that are not of
an audio classification family. What a model wants is probed in `traits`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    PreTrainedModel,
    SequenceFeatureExtractor,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING,
    MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES,
)

from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.errors import ModelError
from audio_cls.model.anatomy import HEAD_PREFIXES
from audio_cls.model.fetch import (
    explain_load_error,
    locate_checkpoint,
    pin_commit,
    quiet_transformers,
)
from audio_cls.model.layout import lay_out_rows
from audio_cls.model.lengths import fit_clip_length
from audio_cls.model.traits import Traits, WaveEncoder, probe_traits

__all__ = ["Backbone", "Traits", "WaveEncoder", "load_backbone", "load_extractor", "load_trained"]

logger = logging.getLogger(__name__)

NOTE = "audio_cls"  # the key of config.json that keeps what evaluation must do as training did
NOTED = ("max_seconds", "window_seconds", "hop_seconds", "aggregate", "repeat_short")


@dataclass
class Backbone:
    """A classifier and what it must be given."""

    model: PreTrainedModel
    encoder: WaveEncoder
    labels: tuple[str, ...]  # the name of each of the L logits
    revision: str | None  # commit of the checkpoint on the Hub; None for a folder

    def save(self, folder: str | Path) -> None:
        """Write what stock `AutoModelForAudioClassification` and `pipeline` need.

        Main process only::

            FOLDER/
              config.json                labels, shapes
              model.safetensors          float32 weights
              preprocessor_config.json   how waves become inputs
        """
        with quiet_transformers():
            self.model.save_pretrained(folder)
            self.encoder.extractor.save_pretrained(folder)


def load_backbone(cfg: ModelConfig, audio: AudioConfig, labels: Sequence[str]) -> Backbone:
    """Load a checkpoint for training, in evaluation mode. Call on every process; may download.

    A head that has exactly these labels, in this order, is kept. Any other is replaced by a new
    one, drawn from torch's global generator.

    Args:
        cfg: Which checkpoint, and whether only its configuration is used.
        audio: Clip length in seconds, normalisation, mask.
        labels: Names of the L labels, in the order of their ids.

    Raises:
        ModelError: There is no such checkpoint, or it cannot be read or do what is asked.
    """
    cfg, commit = pin_commit(cfg)
    config = _load_config(cfg)
    extractor = load_extractor(cfg, audio)
    fits = _read_labels(config) == tuple(labels)
    config.id2label = dict(enumerate(labels))  # int keys: pipeline() looks them up so
    config.label2id = {label: number for number, label in enumerate(labels)}
    setattr(config, NOTE, {name: getattr(audio, name) for name in NOTED})
    config.problem_type = "single_label_classification"  # pipeline() takes the softmax then
    if cfg.from_scratch:
        model, is_kept = _build_model(config), False
    else:
        model, missing = _load_weights(cfg, config)
        has_size = not any(key.startswith("classifier.") for key in missing)
        is_kept = has_size and fits
        if has_size and not fits:
            _reset_head(model)
    fit_clip_length(model, extractor, audio.max_seconds)
    origin = "kept from the checkpoint" if is_kept else "new"
    return _assemble(model, extractor, use_mask=audio.attention_mask, origin=origin, commit=commit)


def load_trained(folder_or_id: str | Path, revision: str | None = None) -> Backbone:
    """Load a finished classifier with its own labels, for evaluation and prediction.

    Args:
        folder_or_id: A run folder or a Hub id.
        revision: Branch, tag or commit on the Hub.

    Raises:
        ModelError: There is no such checkpoint, or it has no trained head.
    """
    cfg = ModelConfig(model=str(folder_or_id), model_revision=revision)
    cfg, commit = pin_commit(cfg)
    config = _load_config(cfg)
    extractor = load_extractor(cfg, AudioConfig())
    model, missing = _load_weights(cfg, config)
    head = sorted(key for key in missing if key.startswith(HEAD_PREFIXES))
    if head:
        raise ModelError(
            f"'{cfg.model}' is not a finished classifier: it has no weights for {', '.join(head)}. "
            "Train it first (scripts/train.py --model), or name a run folder."
        )
    return _assemble(model, extractor, use_mask=None, origin="trained", commit=commit)


def load_extractor(cfg: ModelConfig, audio: AudioConfig) -> SequenceFeatureExtractor:
    """Load a checkpoint's feature extractor; `audio` overrides its normalisation and mask.

    Raises:
        ModelError: The checkpoint has none, or none for sound.
    """
    try:
        with quiet_transformers():
            extractor: Any = AutoFeatureExtractor.from_pretrained(  # type: ignore[no-untyped-call]
                locate_checkpoint(cfg), revision=cfg.model_revision, trust_remote_code=False
            )
    except (OSError, ValueError) as error:
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


def _assemble(
    model: PreTrainedModel,
    extractor: SequenceFeatureExtractor,
    *,
    use_mask: bool | None,
    origin: str,
    commit: str | None,
) -> Backbone:
    """Probe the model, note its mask in the extractor to be saved, and log what was loaded."""
    lay_out_rows(model)
    traits = probe_traits(model, extractor, use_mask=use_mask)
    if hasattr(extractor, "return_attention_mask"):
        extractor.return_attention_mask = traits.has_mask
    labels = _read_labels(model.config)
    count = sum(weight.numel() for weight in model.parameters())
    logger.info("head: %d labels, %s; %s parameters", len(labels), origin, f"{count:,}")
    return Backbone(model, WaveEncoder(extractor, traits), labels, commit)


def _load_config(cfg: ModelConfig) -> Any:  # noqa: ANN401 (each family has its own fields)
    """Read the configuration and check that the family can classify sound."""
    try:
        with quiet_transformers():
            config = AutoConfig.from_pretrained(
                locate_checkpoint(cfg), revision=cfg.model_revision, trust_remote_code=False
            )
    except (OSError, ValueError) as error:
        raise explain_load_error(error, cfg, "config.json") from error
    if type(config) not in MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING:
        families = ", ".join(sorted(MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES))
        raise ModelError(
            f"'{cfg.model}' is not an audio model with a classifier, but '{config.model_type}'; "
            f"the families are {families}. Name a checkpoint of one of them with --model."
        )
    return config


def _read_labels(config: Any) -> tuple[str, ...]:  # noqa: ANN401
    """Return the name of each logit, in order."""
    return tuple(str(config.id2label[number]) for number in sorted(config.id2label))


def _build_model(config: Any) -> PreTrainedModel:  # noqa: ANN401
    """Draw random weights in the shape of `config`."""
    model: PreTrainedModel = AutoModelForAudioClassification.from_config(  # type: ignore[no-untyped-call]
        config, dtype=torch.float32, trust_remote_code=False
    )
    return model


def _load_weights(cfg: ModelConfig, config: Any) -> tuple[PreTrainedModel, set[str]]:  # noqa: ANN401
    """Load float32 weights; name those that the checkpoint lacks or has in another shape."""
    try:
        with quiet_transformers():
            model, report = AutoModelForAudioClassification.from_pretrained(
                locate_checkpoint(cfg),
                revision=cfg.model_revision,
                config=config,
                dtype=torch.float32,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                trust_remote_code=False,
            )
    except (OSError, ValueError, SafetensorError) as error:
        raise explain_load_error(error, cfg, "model.safetensors") from error
    missing = {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}
    body = [name for name, _ in model.named_parameters() if not name.startswith(HEAD_PREFIXES)]
    absent = [name for name in body if name in missing]
    if len(absent) > len(body) // 2:
        raise ModelError(
            f"'{cfg.model}' lacks {len(absent)} of the {len(body)} weights of "
            f"{type(model).__name__}, such as {absent[0]}: another kind of model was saved there. "
            "Use --from-scratch to train its shape from random weights."
        )
    if absent:
        logger.warning("not in the checkpoint, so random: %s", ", ".join(absent))
    return model, missing


def _reset_head(model: Any) -> None:  # noqa: ANN401
    """Draw the last layer anew: it has the right size, but was trained for other labels."""
    for module in model.classifier.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=getattr(model.config, "initializer_range", 0.02))
            nn.init.zeros_(module.bias)
