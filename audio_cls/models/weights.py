"""A checkpoint's weights, or random ones in its shape: loaded, checked, and a head drawn anew."""

from __future__ import annotations

import logging
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoModelForAudioClassification,
    PreTrainedModel,
    SequenceFeatureExtractor,
)

from audio_cls.config import ModelConfig
from audio_cls.errors import ModelError
from audio_cls.models.checkpoint_files import (
    explain_load_error,
    load_with_report,
    quiet_transformers,
)
from audio_cls.models.finetuning.layer_groups import HEAD_PREFIXES
from audio_cls.models.pooled_head import (
    PooledAudioClassifier,
    is_outside,
    is_pooled,
    wrap_checkpoint,
)

logger = logging.getLogger(__name__)


def build_model(cfg: ModelConfig, config: Any, extractor: SequenceFeatureExtractor) -> Any:  # noqa: ANN401
    """Draw random weights in the shape of `config`."""
    if is_pooled(config):
        return PooledAudioClassifier(config, may_run_code=cfg.trust_remote_code)
    if is_outside(config):
        return wrap_checkpoint(cfg, config, extractor)[0]
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
            if is_outside(config) and not is_pooled(config):
                model, missing = wrap_checkpoint(cfg, config, extractor)
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
    if is_pooled(config):
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
