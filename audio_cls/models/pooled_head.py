"""Pooled head: pooling and one linear layer on encoders that have no head in transformers.

For a checkpoint that `AutoModel` loads and that has an audio feature extractor: hidden states
(B, F, H) -> pooling over the F frames of audio -> dropout -> `classifier` -> logits (B, L). Of a
model with a decoder, only the encoder is kept. config.json of a saved model has an entry
`pooled_head`, which only audio_cls reads: transformers alone cannot load such a model.

`--pooling`: "mean"; "mean_std", mean and standard deviation, (B, 2H), as in x-vectors (Snyder and
others 2018); "attention", a mean with weights softmax(w h + b) over the frames, where the layer
`pooling` has w and b. They are 0 at first, which is the mean.
"""

from __future__ import annotations

import inspect
import logging
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

from audio_cls.errors import ModelError
from audio_cls.models.checkpoint import POOLED_HEAD, Checkpoint, has_pooled_head
from audio_cls.models.checkpoint_files import list_code, quiet_transformers
from audio_cls.models.encoder_search import find_audio_encoder, find_prefix, to_frames
from audio_cls.models.pooling.frame_mask import find_frame_mask
from audio_cls.models.pooling.pool import pool_by_attention, pool_frames, pool_mean_std

logger = logging.getLogger(__name__)

DROPOUT = 0.1  # before the last layer, as in most heads of transformers
KEPT_FIELDS = ("id2label", "label2id", "problem_type", "use_weighted_layer_sum", "audio_cls")


class PooledAudioClassifier(PreTrainedModel):  # type: ignore[no-untyped-call]
    """An encoder, a pooling over its frames of audio, and one linear layer.

    Saved as config.json (of the encoder, with the entry `pooled_head`) and model.safetensors.
    """

    config_class = PreTrainedConfig
    base_model_prefix = "encoder"
    _supports_sdpa = _supports_flash_attn = True  # of the class; the instance has the encoder's

    def __init__(
        self,
        config: Any,  # noqa: ANN401 (each family has its own fields)
        encoder: PreTrainedModel | None = None,
        *,
        may_run_code: bool = False,
    ) -> None:
        """Add a head to an encoder.

        Args:
            config: The encoder's configuration with the entry `pooled_head` and the labels.
            encoder: None: built from `config`, with random weights.
            may_run_code: Code of the model's repository may be run to build the encoder.
        """
        head = getattr(config, POOLED_HEAD)
        if encoder is None:
            encoder = _build_encoder(config, head["encoder"], may_run_code=may_run_code)
        super().__init__(config)
        self.encoder = encoder
        self.main_input_name = head["input"]
        self.supports_gradient_checkpointing = encoder.supports_gradient_checkpointing
        self._supports_sdpa = encoder._supports_sdpa
        self._supports_flash_attn = encoder._supports_flash_attn
        self.takes_mask = "attention_mask" in inspect.signature(encoder.forward).parameters
        if getattr(config, "use_weighted_layer_sum", False) and head["states"]:
            self.layer_weights = nn.Parameter(torch.ones(head["states"]) / head["states"])
        self.pooling_kind = head.get("pooling", "mean")  # of earlier versions, always the mean
        if self.pooling_kind == "attention":
            self.pooling = nn.Linear(head["width"], 1)
        self.dropout = nn.Dropout(head["dropout"])
        width = head["width"] * (2 if self.pooling_kind == "mean_std" else 1)
        self.classifier = nn.Linear(width, config.num_labels)
        self.post_init()  # type: ignore[no-untyped-call]

    def _init_weights(self, module: nn.Module) -> None:
        """Initialise the head; the encoder's modules are initialised by their own classes."""
        if module is getattr(self, "classifier", None):
            nn.init.normal_(self.classifier.weight, std=0.02)
            nn.init.zeros_(self.classifier.bias)
        if module is getattr(self, "pooling", None):
            nn.init.zeros_(self.pooling.weight)
            nn.init.zeros_(self.pooling.bias)

    def forward(
        self, attention_mask: Tensor | None = None, **inputs: Tensor
    ) -> SequenceClassifierOutput:
        """Classify a batch.

        Args:
            attention_mask: Shape (B, T) or (B, F), 1 = audio; None: no padding.
            inputs: The batch, under the encoder's name for it.

        Returns:
            `logits`, shape (B, L).
        """
        options: dict[str, Any] = {}
        if self.takes_mask and attention_mask is not None:
            options["attention_mask"] = attention_mask
        is_layer_sum = hasattr(self, "layer_weights")
        if is_layer_sum:
            options["output_hidden_states"] = True
        output = self.encoder(**inputs, **options, return_dict=True)
        states = output.last_hidden_state
        if is_layer_sum:
            weights = self.layer_weights.softmax(0)
            states = sum(w * s for w, s in zip(weights, output.hidden_states, strict=True))
        states = to_frames(states)
        mask = None
        if attention_mask is not None:
            mask = find_frame_mask(self.encoder, output, attention_mask, states.shape[1])
        pooled = self._pool(states, mask)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(pooled)))

    def _pool(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """Pool hidden states (B, F, H) over the frames of a mask (B, F); None: over all."""
        if self.pooling_kind == "attention":
            return pool_by_attention(states, mask, self.pooling(states).squeeze(2))
        if self.pooling_kind == "mean_std":
            return pool_mean_std(states, mask)
        return pool_frames(states, mask)


def read_code(checkpoint: Checkpoint, model: PreTrainedModel) -> dict[str, bytes]:
    """Return the trusted code files of a checkpoint by name, which are saved with the model.

    Writes their names to the model's configuration.
    """
    if not checkpoint.cfg.trust_remote_code or not isinstance(model, PooledAudioClassifier):
        return {}
    files = list_code(Path(checkpoint.path))
    if files:
        getattr(model.config, POOLED_HEAD)["code"] = sorted(file.name for file in files)
    return {file.name: file.read_bytes() for file in files}


def log_pooled_head_notice(model: PreTrainedModel) -> None:
    """Log, once per load, that only this project can load the saved model."""
    if isinstance(model, PooledAudioClassifier):
        logger.info(
            "pooled head: transformers has no classifier for %s, so that pipeline() cannot load"
            " this model; audio-cls predict and audio_cls.Classifier can",
            type(model.encoder).__name__,
        )


def build_pooled_classifier(checkpoint: Checkpoint) -> tuple[PooledAudioClassifier, set[str]]:
    """Add a new head to a checkpoint's encoder.

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
    path, encoder, shape = find_audio_encoder(cfg, whole, checkpoint.extractor)
    config, path = _choose_config(config, path, encoder)
    pooling = "mean" if cfg.pooling == "auto" else cfg.pooling
    setattr(config, POOLED_HEAD, {"encoder": path, "dropout": DROPOUT, "pooling": pooling, **shape})
    model = PooledAudioClassifier(config, encoder)
    model.train(mode=False)
    prefix = find_prefix(whole, encoder)
    of_encoder = {key.removeprefix(prefix) for key in missing if key.startswith(prefix)}
    of_head = {key for key in model.state_dict() if not key.startswith("encoder.")}
    return model, {f"encoder.{key}" for key in of_encoder} | of_head - {"layer_weights"}


def choose_pooling(checkpoint: Checkpoint) -> None:
    """Write `--pooling` into the configuration of a checkpoint with a pooled head. In place.

    A layer that then has another size, or that the checkpoint lacks, is initialised.

    Raises:
        ModelError: The model has a head in transformers, which takes the mean only.
    """
    cfg, config = checkpoint.cfg, checkpoint.config
    if cfg.pooling not in ("auto", "mean") and not checkpoint.needs_pooled_head:
        raise ModelError(
            f"--pooling {cfg.pooling} is not possible: {config.model_type} has a classifier in"
            " transformers, which could not load such a head. Leave it out, or choose a model"
            " without one (docs/models.md)."
        )
    if cfg.pooling != "auto" and has_pooled_head(config):
        setattr(config, POOLED_HEAD, {**getattr(config, POOLED_HEAD), "pooling": cfg.pooling})


def choose_loader(config: Any, *, may_run_code: bool) -> tuple[Any, dict[str, bool]]:  # noqa: ANN401
    """Return the class whose `from_pretrained` loads a saved classifier, and options for it."""
    if has_pooled_head(config):
        return PooledAudioClassifier, {"may_run_code": may_run_code}
    return AutoModelForAudioClassification, {"trust_remote_code": False}


def _choose_config(config: Any, path: str, encoder: PreTrainedModel) -> tuple[Any, str]:  # noqa: ANN401
    """Return the encoder's configuration if AutoModel builds the encoder from it alone.

    Returns:
        A configuration, and the encoder's name in the model that is built from it.
    """
    encoder_config: Any = encoder.config
    built: Any = MODEL_MAPPING.get(type(encoder_config), None)
    if encoder_config is config or not path or built is not type(encoder):
        return config, path
    for name in KEPT_FIELDS:
        if hasattr(config, name):
            setattr(encoder_config, name, getattr(config, name))
    return encoder_config, ""


def _build_encoder(config: Any, path: str, *, may_run_code: bool) -> PreTrainedModel:  # noqa: ANN401
    """Build the encoder of a saved classifier; the rest of its model takes no memory."""
    if not path:
        model: PreTrainedModel = AutoModel.from_config(config, trust_remote_code=may_run_code)  # type: ignore[no-untyped-call]
        return model
    with torch.device("meta"):
        whole: Any = AutoModel.from_config(config, trust_remote_code=may_run_code)  # type: ignore[no-untyped-call]
    on_meta: Any = whole.get_submodule(path)
    encoder: PreTrainedModel = type(on_meta)(on_meta.config)
    return encoder
