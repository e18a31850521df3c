"""Pooled head: mean pooling and one linear layer on encoders that have no head in transformers.

For a checkpoint that `AutoModel` loads and that has an audio feature extractor: hidden states
(B, F, H) -> mean over the F frames of audio -> dropout -> `classifier` -> logits (B, L). Of a model
with a decoder, only the encoder is kept. config.json of a saved model has an entry `pooled_head`,
which only audio_cls reads: transformers alone cannot load such a model.
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
KEPT_FIELDS = ("id2label", "label2id", "problem_type", "use_weighted_layer_sum", "audio_cls")
# Methods of encoders that turn an input mask into a frame mask, by name in transformers.
FRAME_MASK_METHODS: dict[str, Callable[[Any, Tensor, int], Tensor]] = {
    "_get_feature_vector_attention_mask": lambda method, mask, count: method(count, mask),
    "_get_output_attention_mask": lambda method, mask, count: method(mask, count),
}


class PooledAudioClassifier(PreTrainedModel):  # type: ignore[no-untyped-call]
    """An encoder, the mean over its frames of audio, and one linear layer.

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
        self.dropout = nn.Dropout(head["dropout"])
        self.classifier = nn.Linear(head["width"], config.num_labels)
        self.post_init()  # type: ignore[no-untyped-call]

    def _init_weights(self, module: nn.Module) -> None:
        """Initialise the head; the encoder's modules are initialised by their own classes."""
        if module is getattr(self, "classifier", None):
            nn.init.normal_(self.classifier.weight, std=0.02)
            nn.init.zeros_(self.classifier.bias)

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
        pooled = pool_frames(states, mask)
        return SequenceClassifierOutput(logits=self.classifier(self.dropout(pooled)))


def pool_frames(states: Tensor, mask: Tensor | None) -> Tensor:
    """Average hidden states over the frames of audio.

    Args:
        states: Shape (B, F, H).
        mask: Shape (B, F), true = audio; None: no padding. A clip without any frame gives zeros.

    Returns:
        Shape (B, H).

    >>> pool_frames(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[1, 1, 0]])).tolist()
    [[2.0]]
    """
    if mask is None:
        return states.mean(dim=1)
    kept = mask.bool()[..., None]
    return states.masked_fill(~kept, 0).sum(dim=1) / kept.sum(dim=1).clamp(min=1)


def find_frame_mask(
    encoder: nn.Module,
    output: Any,  # noqa: ANN401 (each encoder has its own class)
    mask: Tensor,
    num_frames: int,
) -> Tensor | None:
    """Return the mask of an encoder's frames, (B, F), 1 = audio; None where it is not known.

    Without it padding changes the mean: `probe_input_spec` finds this, and batches of equal length
    are formed.

    Args:
        encoder: Of the classifier.
        output: Of the encoder.
        mask: Of the input, (B, T) or (B, F).
        num_frames: F of the output.
    """
    known = getattr(output, "attention_mask", None)
    if isinstance(known, Tensor) and known.shape == (len(mask), num_frames):
        return known
    for module in encoder.modules():
        for name, apply in FRAME_MASK_METHODS.items():
            if hasattr(module, name):
                return apply(getattr(module, name), mask, num_frames)
    return mask if mask.shape[1] == num_frames else None


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
    setattr(config, POOLED_HEAD, {"encoder": path, "dropout": DROPOUT, **shape})
    model = PooledAudioClassifier(config, encoder)
    prefix = find_prefix(whole, encoder)
    of_encoder = {key.removeprefix(prefix) for key in missing if key.startswith(prefix)}
    return model, {f"encoder.{key}" for key in of_encoder} | {
        "classifier.weight",
        "classifier.bias",
    }


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
