"""Loading of models: a checkpoint becomes an AudioModel, for training or for inference.

Weights are converted to float32. A model that transformers has no audio classifier for gets a
pooled head (pooled_head.py).
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForAudioClassification, PreTrainedModel

from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.errors import ModelError
from audio_cls.models.attention_backend import choose_attention
from audio_cls.models.audio_model import HEAD_PREFIXES, AudioModel
from audio_cls.models.checkpoint import (
    Checkpoint,
    has_pooled_head,
    open_checkpoint,
    set_extractor_options,
)
from audio_cls.models.checkpoint_files import LOAD_ERRORS, explain_load_error, quiet_transformers
from audio_cls.models.inference_settings import (
    CONFIG_KEY,
    INFERENCE_FIELDS,
    INPUT_KEY,
    PROBLEM_TYPES,
)
from audio_cls.models.input_length import resize_positions, resolve_max_seconds
from audio_cls.models.kernels.install import install_fast_kernels
from audio_cls.models.kernels.short_clip_masking import skip_masking_of_short_clips
from audio_cls.models.pooled_head import (
    PooledAudioClassifier,
    build_pooled_classifier,
    choose_loader,
    choose_pooling,
    log_pooled_head_notice,
    read_code,
)
from audio_cls.models.probe import make_probe_noise, preserve_model_state, probe_input_spec
from audio_cls.models.processor import WaveProcessor, recall_input_spec, record_input_spec
from audio_cls.progress import ProgressReport

logger = logging.getLogger(__name__)


def load_for_training(
    checkpoint: Checkpoint,
    audio: AudioConfig,
    labels: Sequence[str],
    *,
    is_multilabel: bool = False,
) -> AudioModel:
    """Load a checkpoint for training, in evaluation mode. Call on every process; may download.

    A head with exactly these labels, in this order, is kept. Any other is replaced by a new one,
    initialised from torch's global generator.

    Args:
        checkpoint: Is not changed. With `cfg.from_scratch`, its weights are not loaded.
        audio: Clip length in seconds, normalisation, mask.
        labels: Names of the L labels, in the order of their ids.
        is_multilabel: Each label gets a probability of its own.

    Raises:
        ModelError: The weights cannot be read, or the model does not support a setting.
    """
    checkpoint = copy.deepcopy(checkpoint)
    cfg, config, extractor = checkpoint.cfg, checkpoint.config, checkpoint.extractor
    set_extractor_options(extractor, audio)
    audio = resolve_max_seconds(audio, extractor)
    has_same_labels = _read_labels(config) == tuple(labels)
    config.id2label = dict(enumerate(labels))  # pipeline() expects int keys
    config.label2id = {label: number for number, label in enumerate(labels)}
    setattr(config, CONFIG_KEY, {name: getattr(audio, name) for name in INFERENCE_FIELDS})
    # By this, pipeline() chooses softmax or sigmoid.
    config.problem_type = PROBLEM_TYPES["multi-label" if is_multilabel else "single-label"]
    if cfg.weighted_layer_sum is not None:
        config.use_weighted_layer_sum = cfg.weighted_layer_sum
    if getattr(config, "use_weighted_layer_sum", False):
        keep_all_layers(config)
    choose_pooling(checkpoint)
    if cfg.from_scratch:
        model, is_kept = build_model(checkpoint), False
    else:
        model, missing = load_weights(checkpoint)
        has_head = not any(key.startswith("classifier.") for key in missing)
        is_kept = has_head and has_same_labels
        if has_head and not has_same_labels:
            reset_head(model)
    check_layer_sum(model, cfg)
    resize_positions(model, extractor, audio.piece_seconds)
    head = "head of the checkpoint" if is_kept else "new classification head"
    if cfg.from_scratch:
        head = "random weights"
    audio_model = _assemble(checkpoint, model, use_mask=audio.attention_mask, head=head)
    choose_attention(model, cfg.attention)
    settings = getattr(model.config, CONFIG_KEY)
    settings[INPUT_KEY] = record_input_spec(audio_model.processor.input_spec)
    return audio_model


def load_for_inference(
    folder_or_id: str | Path, revision: str | None = None, *, trust_remote_code: bool = False
) -> AudioModel:
    """Load a finished classifier with its own labels, for evaluation and prediction.

    Args:
        folder_or_id: A run folder or a Hub id.
        revision: Branch, tag or commit on the Hub.
        trust_remote_code: Run code from there; on the Hub, `revision` must be a commit.

    Raises:
        ModelError: There is no such checkpoint, or it has no trained head.
        SettingError: Code would be run that is not pinned to a commit.
    """
    cfg = ModelConfig(
        model=str(folder_or_id), model_revision=revision, trust_remote_code=trust_remote_code
    )
    checkpoint = open_checkpoint(cfg)
    model, missing = load_weights(checkpoint)
    head = sorted(key for key in missing if key.startswith(HEAD_PREFIXES))
    if head:
        raise ModelError(
            f"'{cfg.model}' is not a trained classifier: it has no weights for"
            f" {', '.join(head)}. Train it first (audio-cls train --model ...), or give a run"
            " folder."
        )
    head_source = "head of the checkpoint"
    return _assemble(checkpoint, model, use_mask=None, head=head_source, is_trained=False)


def _assemble(
    checkpoint: Checkpoint,
    model: PreTrainedModel,
    *,
    use_mask: bool | None,
    head: str,
    is_trained: bool = True,
) -> AudioModel:
    """Install kernels and find the input specification."""
    install_fast_kernels(model, is_trained=is_trained)
    skip_masking_of_short_clips(model)
    extractor: Any = checkpoint.extractor
    settings = getattr(model.config, CONFIG_KEY, None)
    input_spec = None
    if isinstance(settings, dict) and not is_trained and not checkpoint.cfg.trust_remote_code:
        input_spec = recall_input_spec(settings.get(INPUT_KEY), model, extractor)
    if input_spec is None:
        input_spec = probe_input_spec(model, extractor, use_mask=use_mask, is_trained=is_trained)
    if hasattr(extractor, "return_attention_mask"):
        extractor.return_attention_mask = input_spec.has_mask
    labels = _read_labels(model.config)
    log_pooled_head_notice(model)
    code = read_code(checkpoint, model)
    processor = WaveProcessor(extractor, input_spec)
    if input_spec.max_samples is not None:  # the probe has not run the others
        _check_features(checkpoint.cfg.model, model, processor)
    return AudioModel(model, processor, labels, checkpoint.commit, code, head)


def _check_features(name: str, model: PreTrainedModel, processor: WaveProcessor) -> None:
    """Check that a model of fixed input length takes the features of its feature extractor.

    Only shapes are computed, which costs milliseconds; if that fails, the model is run once.

    Raises:
        ModelError: It does not take them.
    """
    inputs = processor([make_probe_noise(processor.input_spec.sampling_rate)])
    weights = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    on_meta = [{n: t.to("meta") for n, t in tensors.items()} for tensors in (weights, inputs)]
    with preserve_model_state(model):
        model.train(mode=False)
        try:
            torch.func.functional_call(model, on_meta[0], (), on_meta[1])
        except (RuntimeError, ValueError):
            try:
                model(**inputs)
            except (RuntimeError, ValueError) as error:
                shape = tuple(inputs[processor.input_spec.input_name].shape[1:])
                raise ModelError(
                    f"preprocessor_config.json of '{name}' does not fit its config.json: features"
                    f" of shape {shape} are made, and the model refuses them"
                    f" ({' '.join(str(error).split())[:120]}). Copy the file from the original"
                    " checkpoint, or choose another --model."
                ) from error


def _read_labels(config: Any) -> tuple[str, ...]:  # noqa: ANN401
    """Return the names of the labels, in the order of the logits."""
    return tuple(str(config.id2label[number]) for number in sorted(config.id2label))


def build_model(checkpoint: Checkpoint) -> Any:  # noqa: ANN401
    """Build a classifier with random weights in the shape of the checkpoint's configuration."""
    config, may_run_code = checkpoint.config, checkpoint.cfg.trust_remote_code
    if has_pooled_head(config):
        return PooledAudioClassifier(config, may_run_code=may_run_code)
    if checkpoint.needs_pooled_head:
        return build_pooled_classifier(checkpoint)[0]
    return AutoModelForAudioClassification.from_config(  # type: ignore[no-untyped-call]
        config, dtype=torch.float32, trust_remote_code=False
    )


def load_weights(checkpoint: Checkpoint) -> tuple[PreTrainedModel, set[str]]:
    """Load float32 weights.

    Returns:
        The model, and the names of the weights that were initialised: those that the checkpoint
        does not have, or has in another shape.

    Raises:
        ModelError: The file cannot be read, or has less than half of the weights.
    """
    cfg, config = checkpoint.cfg, checkpoint.config
    model: PreTrainedModel
    try:
        with ProgressReport("Loading the model", None, logger), quiet_transformers():
            if checkpoint.needs_pooled_head and not has_pooled_head(config):
                model, missing = build_pooled_classifier(checkpoint)
            else:
                loader, options = choose_loader(config, may_run_code=cfg.trust_remote_code)
                model, missing = checkpoint.load(loader, **options)
    except LOAD_ERRORS as error:
        if isinstance(error, ModelError):
            raise
        raise explain_load_error(error, cfg, "model.safetensors") from error
    body = [name for name, _ in model.named_parameters() if not name.startswith(HEAD_PREFIXES)]
    absent = [name for name in body if name in missing]
    if len(absent) > len(body) // 2:
        raise ModelError(
            f"'{cfg.model}' lacks {len(absent)} of the {len(body)} weights of"
            f" {type(model).__name__}, such as {absent[0]}: it is the checkpoint of another kind"
            " of model. Choose another --model, or use --from-scratch to train this"
            " architecture from random weights."
        )
    if "layer_weights" in missing:  # most model families do not initialise them
        layer_weights: Any = model.layer_weights
        nn.init.constant_(layer_weights, 1 / len(layer_weights))
    if absent:
        logger.warning("initialised at random, not in the checkpoint: %s", ", ".join(absent))
    return model, missing


def keep_all_layers(config: Any) -> None:  # noqa: ANN401 (each family has its own fields)
    """Turn LayerDrop off: a weighted sum needs the output of each layer. In place.

    Classifiers of transformers raise an error in a step that skips a layer.
    """
    for name, share in list(vars(config).items()):
        if name.endswith("layerdrop") and not name.startswith("decoder") and share:
            logger.info("%s: %g -> 0, because the weighted sum needs all layers", name, share)
            setattr(config, name, 0.0)


def check_layer_sum(model: PreTrainedModel, cfg: ModelConfig) -> None:
    """Check that the model has a weighted sum of layers if one is asked for.

    Raises:
        ModelError: It has none.
    """
    if cfg.weighted_layer_sum and not hasattr(model, "layer_weights"):
        raise ModelError(
            f"--weighted-layer-sum is not possible: {model.config.model_type} has no weighted"
            " sum of its layers. Remove it."
        )


def reset_head(model: Any) -> None:  # noqa: ANN401
    """Initialise the last layer again: its size fits, but it was trained for other labels."""
    for module in model.classifier.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=getattr(model.config, "initializer_range", 0.02))
            nn.init.zeros_(module.bias)
