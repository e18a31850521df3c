"""Encoders that transformers has no classifier for: a head of ours on the mean of what they say.

Comes in: a checkpoint that `AutoModel` reads and whose feature extractor prepares sound. Goes out:
a classifier like those of the twelve families, (B, F, H) hidden states -> mean over the F frames
of sound -> dropout -> `classifier` -> logits (B, L). Of a model with a decoder, only the encoder is
kept. What is saved has a note in config.json that only audio_cls reads: stock transformers cannot.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoModel,
    AutoModelForAudioClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.auto.modeling_auto import MODEL_MAPPING

from audio_cls.models.checkpoint import POOLED_HEAD, Checkpoint, has_pooled_head
from audio_cls.models.checkpoint_files import list_code, quiet_transformers
from audio_cls.models.encoder_search import find_audio_encoder, find_prefix, to_frames

logger = logging.getLogger(__name__)

DROPOUT = 0.1  # before the last layer, as in most heads of transformers
KEPT = ("id2label", "label2id", "problem_type", "use_weighted_layer_sum", "audio_cls")
# How encoders tell which of their frames are sound, by the names that transformers gives the rule.
FRAME_RULES: dict[str, Callable[[Any, Tensor, int], Tensor]] = {
    "_get_feature_vector_attention_mask": lambda rule, mask, count: rule(count, mask),
    "_get_output_attention_mask": lambda rule, mask, count: rule(mask, count),
}


class PooledAudioClassifier(PreTrainedModel):  # type: ignore[no-untyped-call]
    """An encoder, the mean over its frames of sound, and one layer.

    Saved as config.json (of the encoder, with the note `pooled_head`) and model.safetensors.
    """

    config_class = PreTrainedConfig
    base_model_prefix = "encoder"
    _supports_sdpa = _supports_flash_attn = True  # of the class; the instance says what is true

    def __init__(
        self,
        config: Any,  # noqa: ANN401 (each family has its own fields)
        encoder: PreTrainedModel | None = None,
        *,
        may_run_code: bool = False,
    ) -> None:
        """Put a head on an encoder.

        Args:
            config: The encoder's configuration with our note and the labels.
            encoder: What hears; None: drawn in the shape that `config` tells.
            may_run_code: The model's own code may be run to build the encoder.
        """
        note = getattr(config, POOLED_HEAD)
        if encoder is None:
            encoder = _draw_encoder(config, note["encoder"], may_run_code=may_run_code)
        super().__init__(config)
        self.encoder = encoder
        self.main_input_name = note["input"]
        self.supports_gradient_checkpointing = encoder.supports_gradient_checkpointing
        self._supports_sdpa = encoder._supports_sdpa
        self._supports_flash_attn = encoder._supports_flash_attn
        self.takes_mask = "attention_mask" in inspect.signature(encoder.forward).parameters
        if getattr(config, "use_weighted_layer_sum", False) and note["states"]:
            self.layer_weights = nn.Parameter(torch.ones(note["states"]) / note["states"])
        self.dropout = nn.Dropout(note["dropout"])
        self.classifier = nn.Linear(note["width"], config.num_labels)
        self.post_init()  # type: ignore[no-untyped-call]

    def _init_weights(self, module: nn.Module) -> None:
        """Draw the head; the encoder's parts know themselves how they begin."""
        if module is getattr(self, "classifier", None):
            nn.init.normal_(self.classifier.weight, std=0.02)
            nn.init.zeros_(self.classifier.bias)

    def forward(
        self, attention_mask: Tensor | None = None, **inputs: Tensor
    ) -> SequenceClassifierOutput:
        """Classify a batch.

        Args:
            attention_mask: Shape (B, T) or (B, F), 1 = sound; None: everything is.
            inputs: The batch under the encoder's own name for it.

        Returns:
            `logits`, shape (B, L).
        """
        given: dict[str, Any] = dict(inputs)
        if self.takes_mask and attention_mask is not None:
            given["attention_mask"] = attention_mask
        mixes = hasattr(self, "layer_weights")
        if mixes:
            given["output_hidden_states"] = True
        heard = self.encoder(**given, return_dict=True)
        states = heard.last_hidden_state
        if mixes:
            weights = self.layer_weights.softmax(0)
            states = sum(w * s for w, s in zip(weights, heard.hidden_states, strict=True))
        states = to_frames(states)
        mask = None
        if attention_mask is not None:
            mask = find_frame_mask(self.encoder, heard, attention_mask, states.shape[1])
        pooled = pool_frames(states, mask)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(pooled)))


def pool_frames(states: Tensor, mask: Tensor | None) -> Tensor:
    """Average hidden states over the frames of sound.

    Args:
        states: Shape (B, F, H).
        mask: Shape (B, F), true = sound; None: all are. A clip without any frame gives zeros.

    Returns:
        Shape (B, H).

    >>> pool_frames(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[1, 1, 0]])).tolist()
    [[2.0]]
    """
    if mask is None:
        return states.mean(dim=1)
    sound = mask.bool()[..., None]
    return states.masked_fill(~sound, 0).sum(dim=1) / sound.sum(dim=1).clamp(min=1)


def find_frame_mask(
    encoder: nn.Module,
    heard: Any,  # noqa: ANN401 (each encoder has its own output)
    mask: Tensor,
    num_frames: int,
) -> Tensor | None:
    """Return which of an encoder's frames are sound, (B, F), or None where it cannot tell.

    Where it cannot, padding would change the mean: `probe_input_spec` finds that out, and batches
    of equal length are formed.
    """
    told = getattr(heard, "attention_mask", None)
    if isinstance(told, Tensor) and told.shape == (len(mask), num_frames):
        return told
    for module in encoder.modules():
        for name, apply in FRAME_RULES.items():
            if hasattr(module, name):
                return apply(getattr(module, name), mask, num_frames)
    return mask if mask.shape[1] == num_frames else None


def read_code(checkpoint: Checkpoint, model: PreTrainedModel) -> dict[str, bytes]:
    """Return the trusted code files of a checkpoint by name, so that a run keeps them.

    Notes their names in the model's configuration.
    """
    if not checkpoint.cfg.trust_remote_code or not isinstance(model, PooledAudioClassifier):
        return {}
    files = list_code(Path(checkpoint.path))
    if files:
        getattr(model.config, POOLED_HEAD)["code"] = sorted(file.name for file in files)
    return {file.name: file.read_bytes() for file in files}


def log_pooled_head_notice(model: PreTrainedModel) -> None:
    """Say, once a load, that what is saved can be loaded by this project alone."""
    if isinstance(model, PooledAudioClassifier):
        logger.info(
            "pooled head: transformers has no classifier for %s, so that pipeline() cannot load "
            "this model; scripts/predict.py and audio_cls.inference.Classifier do",
            type(model.encoder).__name__,
        )


def build_pooled_classifier(checkpoint: Checkpoint) -> tuple[PooledAudioClassifier, set[str]]:
    """Put a new head on a checkpoint's encoder.

    Args:
        checkpoint: Its configuration has the labels; `cfg.from_scratch` leaves the weights out.

    Returns:
        The classifier with float32 weights, and the names of those that were initialised.

    Raises:
        ModelError: No part of the model turns sound into hidden states over time.
    """
    cfg, config = checkpoint.cfg, checkpoint.config
    missing: set[str] = set()
    trust = cfg.trust_remote_code
    with quiet_transformers():
        if cfg.from_scratch:
            whole = AutoModel.from_config(config, dtype=torch.float32, trust_remote_code=trust)  # type: ignore[no-untyped-call]
        else:
            whole, missing = checkpoint.load(AutoModel, trust_remote_code=trust)
    path, encoder, found = find_audio_encoder(cfg, whole, checkpoint.extractor)
    config, path = _choose_config(config, path, encoder)
    setattr(config, POOLED_HEAD, {"encoder": path, "dropout": DROPOUT, **found})
    model = PooledAudioClassifier(config, encoder)
    before = find_prefix(whole, encoder)
    inside = {key.removeprefix(before) for key in missing if key.startswith(before)}
    return model, {f"encoder.{key}" for key in inside} | {"classifier.weight", "classifier.bias"}


def choose_loader(config: Any, *, may_run_code: bool) -> tuple[Any, dict[str, bool]]:  # noqa: ANN401
    """Return the class whose `from_pretrained` loads a saved classifier, and options for it."""
    if has_pooled_head(config):
        return PooledAudioClassifier, {"may_run_code": may_run_code}
    return AutoModelForAudioClassification, {"trust_remote_code": False}


def _choose_config(config: Any, path: str, encoder: PreTrainedModel) -> tuple[Any, str]:  # noqa: ANN401
    """Prefer the encoder's own configuration, where AutoModel makes that very encoder of it."""
    own: Any = encoder.config
    stock: Any = MODEL_MAPPING.get(type(own), None)
    if own is config or not path or stock is not type(encoder):
        return config, path
    for name in KEPT:
        if hasattr(config, name):
            setattr(own, name, getattr(config, name))
    return own, ""


def _draw_encoder(config: Any, path: str, *, may_run_code: bool) -> PreTrainedModel:  # noqa: ANN401
    """Make the encoder of a saved classifier; a decoder beside it costs no memory."""
    if not path:
        model: PreTrainedModel = AutoModel.from_config(config, trust_remote_code=may_run_code)  # type: ignore[no-untyped-call]
        return model
    with torch.device("meta"):
        whole: Any = AutoModel.from_config(config, trust_remote_code=may_run_code)  # type: ignore[no-untyped-call]
    shape: Any = whole.get_submodule(path)
    drawn: PreTrainedModel = type(shape)(shape.config)
    return drawn
