"""A checkpoint id becomes a classifier: `AudioModel`, its labels, and what makes its inputs.

Comes in: a Hub id or a folder of an audio model that transformers can classify with, and the
labels. Goes out: a model that maps the inputs of its `WaveProcessor` to logits (B, L); B clips, L
labels. Weights become float32 whatever they were. A model that transformers has no classifier for
gets the head of `pooled`. What a model wants is probed in `traits`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForAudioClassification,
    PreTrainedModel,
    SequenceFeatureExtractor,
)

from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.errors import ModelError
from audio_cls.models.attention_backend import choose_attention
from audio_cls.models.audio_model import (
    HEAD_PREFIXES,
    NOTE,
    NOTED,
    PROBLEM_TYPES,
    AudioModel,
)
from audio_cls.models.checkpoint_files import (
    explain_load_error,
    load_with_report,
    locate_checkpoint,
    pin_commit,
    quiet_transformers,
)
from audio_cls.models.feature_extractor import load_feature_extractor
from audio_cls.models.input_length import resize_positions, resolve_max_seconds
from audio_cls.models.kernels.install import install_fast_kernels
from audio_cls.models.kernels.short_clip_masking import spare_short_clips
from audio_cls.models.pooled_head import (
    PooledAudioClassifier,
    build_pooled_classifier,
    check_pooled_supported,
    has_pooled_head,
    log_pooled_head_notice,
    needs_pooled_head,
    read_code,
)
from audio_cls.models.probe import probe_input_spec
from audio_cls.models.processor import WaveProcessor

logger = logging.getLogger(__name__)


def load_for_training(
    cfg: ModelConfig,
    audio: AudioConfig,
    labels: Sequence[str],
    *,
    is_multilabel: bool = False,
) -> AudioModel:
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
    extractor = load_feature_extractor(cfg, audio)
    audio = resolve_max_seconds(audio, extractor)
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
    resize_positions(model, extractor, audio.piece_seconds)
    origin = "kept from the checkpoint" if is_kept else "new"
    mask = audio.attention_mask
    backbone = _assemble(model, extractor, use_mask=mask, origin=origin, commit=commit)
    backbone.code = read_code(cfg, model)
    choose_attention(model, cfg.attention)
    return backbone


def load_for_inference(
    folder_or_id: str | Path, revision: str | None = None, *, trust_remote_code: bool = False
) -> AudioModel:
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
    extractor = load_feature_extractor(cfg, AudioConfig())
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
) -> AudioModel:
    """Probe the model, note its mask in the extractor to be saved, and log what was loaded."""
    install_fast_kernels(model)
    spare_short_clips(model)
    traits = probe_input_spec(model, extractor, use_mask=use_mask)
    if hasattr(extractor, "return_attention_mask"):
        extractor.return_attention_mask = traits.has_mask
    labels = _read_labels(model.config)
    count = sum(weight.numel() for weight in model.parameters())
    logger.info("head: %d labels, %s; %s parameters", len(labels), origin, f"{count:,}")
    log_pooled_head_notice(model)
    return AudioModel(model, WaveProcessor(extractor, traits), labels, commit)


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
    if needs_pooled_head(config):
        check_pooled_supported(cfg, config)
    if cfg.trust_remote_code and not (
        needs_pooled_head(config) and getattr(config, "auto_map", None)
    ):
        logger.warning("--trust-remote-code changes nothing: '%s' needs no code.", cfg.model)
    return config


def _read_labels(config: Any) -> tuple[str, ...]:  # noqa: ANN401
    """Return the name of each logit, in order."""
    return tuple(str(config.id2label[number]) for number in sorted(config.id2label))


def build_model(cfg: ModelConfig, config: Any, extractor: SequenceFeatureExtractor) -> Any:  # noqa: ANN401
    """Draw random weights in the shape of `config`."""
    if has_pooled_head(config):
        return PooledAudioClassifier(config, may_run_code=cfg.trust_remote_code)
    if needs_pooled_head(config):
        return build_pooled_classifier(cfg, config, extractor)[0]
    return AutoModelForAudioClassification.from_config(  # type: ignore[no-untyped-call]
        config, dtype=torch.float32, trust_remote_code=False
    )


def load_weights(
    cfg: ModelConfig,
    config: Any,  # noqa: ANN401
    extractor: SequenceFeatureExtractor,
) -> tuple[PreTrainedModel, set[str]]:
    """Load float32 weights; name those that the checkpoint lacks or has in another shape."""
    model: PreTrainedModel
    try:
        with quiet_transformers():
            if needs_pooled_head(config) and not has_pooled_head(config):
                model, missing = build_pooled_classifier(cfg, config, extractor)
            else:
                model, missing = load_classifier(cfg, config)
    except (OSError, ValueError, SafetensorError) as error:
        if isinstance(error, ModelError):
            raise
        raise explain_load_error(error, cfg, "model.safetensors") from error
    body = [name for name, _ in model.named_parameters() if not name.startswith(HEAD_PREFIXES)]
    absent = [name for name in body if name in missing]
    if len(absent) > len(body) // 2:
        raise ModelError(
            f"'{cfg.model}' lacks {len(absent)} of the {len(body)} weights of "
            f"{type(model).__name__}, such as {absent[0]}: another kind of model was saved there. "
            "Use --from-scratch to train its shape from random weights."
        )
    if "layer_weights" in missing:  # from_pretrained forgets to draw them in most families
        mix: Any = model.layer_weights
        nn.init.constant_(mix, 1 / len(mix))
    if absent:
        logger.warning("not in the checkpoint, so random: %s", ", ".join(absent))
    return model, missing


def load_classifier(cfg: ModelConfig, config: Any) -> tuple[PreTrainedModel, set[str]]:  # noqa: ANN401
    """Load a network with a head, stock's or ours; name the weights that were drawn anew."""
    loader: Any = AutoModelForAudioClassification
    own: dict[str, Any] = {"trust_remote_code": False}
    if has_pooled_head(config):
        loader, own = PooledAudioClassifier, {"may_run_code": cfg.trust_remote_code}
    return load_with_report(loader, cfg, config, **own)


def keep_all_layers(config: Any) -> None:  # noqa: ANN401 (each family has its own fields)
    """Let training skip no layer (LayerDrop), as a mix needs the output of each. In place.

    transformers' own classifiers fail at a step that left one out.
    """
    for name, share in list(vars(config).items()):
        if name.endswith("layerdrop") and not name.startswith("decoder") and share:
            logger.info("%s: %g -> 0, since a mix of layers needs all of them", name, share)
            setattr(config, name, 0.0)


def check_layer_sum(model: PreTrainedModel, cfg: ModelConfig) -> None:
    """Refuse a mix of layers that the family's head does not make."""
    if cfg.weighted_layer_sum and not hasattr(model, "layer_weights"):
        raise ModelError(
            f"--weighted-layer-sum is not possible: {model.config.model_type} classifies its last "
            "layer only. Leave it out."
        )


def reset_head(model: Any) -> None:  # noqa: ANN401
    """Draw the last layer anew: it has the right size, but was trained for other labels."""
    for module in model.classifier.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=getattr(model.config, "initializer_range", 0.02))
            nn.init.zeros_(module.bias)
