"""A checkpoint id becomes a classifier: `Backbone`, its labels, and what makes its inputs.

Comes in: a Hub id or a folder of an audio model that transformers can classify with, and the
labels. Goes out: a model that maps the inputs of its `WaveEncoder` to logits (B, L); B clips, L
labels. Weights become float32 whatever they were. A model that transformers has no classifier for
gets the head of `pooled`. What a model wants is probed in `traits`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import (
    AutoConfig,
    PreTrainedModel,
    SequenceFeatureExtractor,
)

from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.errors import ModelError
from audio_cls.models.attention_backend import choose_attention
from audio_cls.models.checkpoint_files import (
    explain_load_error,
    locate_checkpoint,
    pin_commit,
    quiet_transformers,
)
from audio_cls.models.feature_extractor import load_extractor, read_hearing
from audio_cls.models.finetuning.layer_groups import HEAD_PREFIXES
from audio_cls.models.finetuning.lora import merge_adapters
from audio_cls.models.input_length import choose_seconds, fit_clip_length
from audio_cls.models.kernels.install import lay_out_rows
from audio_cls.models.pooled_head import (
    check_outside,
    is_outside,
    read_code,
    warn_of_stock,
)
from audio_cls.models.probe import Traits, WaveEncoder, probe_traits
from audio_cls.models.spec_augment import spare_short_clips
from audio_cls.models.weights import (
    build_model,
    check_layer_sum,
    keep_all_layers,
    load_weights,
    reset_head,
)

__all__ = [
    "Backbone",
    "Traits",
    "WaveEncoder",
    "load_backbone",
    "load_extractor",
    "load_trained",
    "read_hearing",
]

logger = logging.getLogger(__name__)

NOTE = "audio_cls"  # the key of config.json that keeps what evaluation must do as training did
NOTED = ("max_seconds", "window_seconds", "hop_seconds", "aggregate", "repeat_short")
PROBLEM_TYPES = {  # ours -> config.json's
    "single-label": "single_label_classification",
    "multi-label": "multi_label_classification",
}


@dataclass
class Backbone:
    """A classifier and what it must be given."""

    model: PreTrainedModel
    encoder: WaveEncoder
    labels: tuple[str, ...]  # the name of each of the L logits
    revision: str | None  # commit of the checkpoint on the Hub; None for a folder
    code: dict[str, bytes] = field(default_factory=dict)  # trusted code files, by name

    def save(self, folder: str | Path, weights: dict[str, torch.Tensor] | None = None) -> None:
        """Write what stock `AutoModelForAudioClassification` and `pipeline` need.

        Args:
            folder: Where to.
            weights: The whole model's, where this process holds a part of them only.

        Main process only::

            FOLDER/
              config.json                labels, shapes
              model.safetensors          float32 weights
              preprocessor_config.json   how waves become inputs
              *.py                       the model's own code, where it was trusted
        """
        with quiet_transformers():
            merge_adapters(self.model).save_pretrained(folder, state_dict=weights)
            self.encoder.extractor.save_pretrained(folder)
        for file, content in self.code.items():
            (Path(folder) / file).write_bytes(content)

    @property
    def problem_type(self) -> Literal["single-label", "multi-label"]:
        """Return whether one label is chosen, or each label has a probability of its own."""
        is_multilabel = self.model.config.problem_type == PROBLEM_TYPES["multi-label"]
        return "multi-label" if is_multilabel else "single-label"

    @property
    def is_multilabel(self) -> bool:
        """Tell whether each label has a probability of its own."""
        return self.problem_type == "multi-label"


def load_backbone(
    cfg: ModelConfig,
    audio: AudioConfig,
    labels: Sequence[str],
    *,
    is_multilabel: bool = False,
) -> Backbone:
    """Load a checkpoint for training, in evaluation mode. Call on every process; may download.

    A head that has exactly these labels, in this order, is kept. Any other is replaced by a new
    one, drawn from torch's global generator.

    Args:
        cfg: Which checkpoint, and whether only its configuration is used.
        audio: Clip length in seconds, normalisation, mask.
        labels: Names of the L labels, in the order of their ids.
        is_multilabel: Each label is to have a probability of its own.

    Raises:
        ModelError: There is no such checkpoint, or it cannot be read or do what is asked.
    """
    cfg, commit = pin_commit(cfg)
    config = _load_config(cfg)
    extractor = load_extractor(cfg, audio)
    audio = choose_seconds(audio, extractor)
    fits = _read_labels(config) == tuple(labels)
    config.id2label = dict(enumerate(labels))  # int keys: pipeline() looks them up so
    config.label2id = {label: number for number, label in enumerate(labels)}
    setattr(config, NOTE, {name: getattr(audio, name) for name in NOTED})
    # pipeline() takes the softmax or the sigmoid by this.
    config.problem_type = PROBLEM_TYPES["multi-label" if is_multilabel else "single-label"]
    if cfg.weighted_layer_sum is not None:
        config.use_weighted_layer_sum = cfg.weighted_layer_sum
    if getattr(config, "use_weighted_layer_sum", False):
        keep_all_layers(config)
    if cfg.from_scratch:
        model, is_kept = build_model(cfg, config, extractor), False
    else:
        model, missing = load_weights(cfg, config, extractor)
        has_size = not any(key.startswith("classifier.") for key in missing)
        is_kept = has_size and fits
        if has_size and not fits:
            reset_head(model)
    check_layer_sum(model, cfg)
    fit_clip_length(model, extractor, audio.piece_seconds)
    origin = "kept from the checkpoint" if is_kept else "new"
    mask = audio.attention_mask
    backbone = _assemble(model, extractor, use_mask=mask, origin=origin, commit=commit)
    backbone.code = read_code(cfg, model)
    choose_attention(model, cfg.attention)
    return backbone


def load_trained(
    folder_or_id: str | Path, revision: str | None = None, *, trust_remote_code: bool = False
) -> Backbone:
    """Load a finished classifier with its own labels, for evaluation and prediction.

    Args:
        folder_or_id: A run folder or a Hub id.
        revision: Branch, tag or commit on the Hub.
        trust_remote_code: Run the code that lies there; on the Hub, `revision` must be a commit.

    Raises:
        ModelError: There is no such checkpoint, or it has no trained head.
        SettingError: Code shall be run that no commit pins.
    """
    cfg = ModelConfig(
        model=str(folder_or_id), model_revision=revision, trust_remote_code=trust_remote_code
    )
    cfg, commit = pin_commit(cfg)
    config = _load_config(cfg)
    extractor = load_extractor(cfg, AudioConfig())
    model, missing = load_weights(cfg, config, extractor)
    head = sorted(key for key in missing if key.startswith(HEAD_PREFIXES))
    if head:
        raise ModelError(
            f"'{cfg.model}' is not a finished classifier: it has no weights for {', '.join(head)}. "
            "Train it first (scripts/train.py --model), or name a run folder."
        )
    backbone = _assemble(model, extractor, use_mask=None, origin="trained", commit=commit)
    backbone.code = read_code(cfg, model)
    return backbone


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
    spare_short_clips(model)
    traits = probe_traits(model, extractor, use_mask=use_mask)
    if hasattr(extractor, "return_attention_mask"):
        extractor.return_attention_mask = traits.has_mask
    labels = _read_labels(model.config)
    count = sum(weight.numel() for weight in model.parameters())
    logger.info("head: %d labels, %s; %s parameters", len(labels), origin, f"{count:,}")
    warn_of_stock(model)
    return Backbone(model, WaveEncoder(extractor, traits), labels, commit)


def _load_config(cfg: ModelConfig) -> Any:  # noqa: ANN401 (each family has its own fields)
    """Read the configuration and check that a model of its kind can be loaded."""
    try:
        with quiet_transformers():
            config = AutoConfig.from_pretrained(
                locate_checkpoint(cfg),
                revision=cfg.model_revision,
                trust_remote_code=cfg.trust_remote_code,
            )
    except (OSError, ValueError, ImportError) as error:
        raise explain_load_error(error, cfg, "config.json") from error
    if is_outside(config):
        check_outside(cfg, config)
    if cfg.trust_remote_code and not (is_outside(config) and getattr(config, "auto_map", None)):
        logger.warning("--trust-remote-code changes nothing: '%s' needs no code.", cfg.model)
    return config


def _read_labels(config: Any) -> tuple[str, ...]:  # noqa: ANN401
    """Return the name of each logit, in order."""
    return tuple(str(config.id2label[number]) for number in sorted(config.id2label))
