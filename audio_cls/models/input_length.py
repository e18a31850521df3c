"""Input length of fixed-length models: positional embeddings are cut or interpolated.

Whisper and AST pad every clip to 30 s or 10 s. With positions for shorter clips, a clip of 1 s
costs 1 s. A classifier and its feature extractor are changed in place, and their configurations
with them, so that transformers loads the saved result. Models without a fixed length are not
changed. Letters: H hidden size.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, SequenceFeatureExtractor

from audio_cls.config import MAX_CROP_SECONDS, AudioConfig, Seconds
from audio_cls.errors import ModelError

logger = logging.getLogger(__name__)

# Frame length and hop in samples at 16 kHz: constants of ASTFeatureExtractor (25 and 10 ms).
FRAME_SAMPLES, HOP_SAMPLES = 400, 160
# Of AST, whose positions and attention grow with every second: longer input needs terabytes.
MAX_PATCH_SECONDS: Seconds = 600.0


def resize_positions(
    model: PreTrainedModel, extractor: SequenceFeatureExtractor, max_seconds: Seconds
) -> None:
    """Set the input length of a fixed-length model. Changes model and extractor in place.

    Args:
        model: A classifier whose weights are loaded.
        extractor: Its feature extractor.
        max_seconds: Longest crop or window in seconds; rounded up to what the extractor supports
            (whole seconds for Whisper, patches for AST).

    Raises:
        ModelError: Clips are longer than the model's positions, which cannot be interpolated.
    """
    if hasattr(extractor, "n_samples") and hasattr(model.config, "max_source_positions"):
        _cut_seconds(model, extractor, max_seconds)
    elif hasattr(extractor, "max_length") and hasattr(model.config, "time_stride"):
        _fit_patches(model, extractor, max_seconds)
    elif hasattr(extractor, "nb_max_samples"):
        _check_seconds(extractor.nb_max_samples / extractor.sampling_rate, max_seconds)


def resolve_max_seconds(audio: AudioConfig, extractor: Any) -> AudioConfig:  # noqa: ANN401
    """Return the settings with a number for --max-seconds: the input length, at most 30 s.

    Extractors give it in samples (Whisper, CLAP) or in frames of 10 ms (AST); the others have no
    limit.
    """
    if audio.max_seconds is not None:
        return audio
    seconds = MAX_CROP_SECONDS
    if hasattr(extractor, "n_samples"):  # Encodec's chunk_length counts samples, or is None
        seconds = min(seconds, extractor.n_samples / extractor.sampling_rate)
    elif hasattr(extractor, "nb_max_samples"):
        seconds = min(seconds, extractor.nb_max_samples / extractor.sampling_rate)
    elif hasattr(extractor, "max_length"):
        seconds = min(seconds, extractor.max_length * HOP_SAMPLES / extractor.sampling_rate)
    return dataclasses.replace(audio, max_seconds=seconds)


def max_input_samples(extractor: Any) -> int:  # noqa: ANN401 (each family has its own fields)
    """Return the input length of a fixed-length extractor in samples; the rest is cut off."""
    if hasattr(extractor, "n_samples"):
        return int(extractor.n_samples)
    if hasattr(extractor, "nb_max_samples"):  # CLAP
        return int(extractor.nb_max_samples)
    return (int(extractor.max_length) - 1) * HOP_SAMPLES + FRAME_SAMPLES


def fit_patch_positions(positions: Tensor, num_bands: int, num_steps: int) -> Tensor:
    """Cut a grid of positional embeddings in time, or interpolate it linearly.

    Args:
        positions: Those of two class tokens, then the grid, band by band:
            (1, 2 + num_bands * old_steps, H).
        num_bands: Rows of the grid (frequency).
        num_steps: Columns of the new grid (time).

    Returns:
        Shape (1, 2 + num_bands * num_steps, H); a cut does not change the columns that are kept.
    """
    tokens = positions[:, :2]
    grid = positions[0, 2:].reshape(num_bands, -1, positions.shape[-1])
    if num_steps <= grid.shape[1]:
        grid = grid[:, :num_steps]
    else:
        longer = nn.functional.interpolate(grid.transpose(1, 2), size=num_steps, mode="linear")
        grid = longer.transpose(1, 2)
    return torch.cat([tokens, grid.flatten(0, 1)[None]], dim=1).contiguous()


def _check_seconds(limit: Seconds, max_seconds: Seconds) -> None:
    """Refuse crops that are longer than the model's input.

    Raises:
        ModelError: They are.
    """
    if max_seconds > limit:
        raise ModelError(
            f"--max-seconds {max_seconds:g} is too long: this model takes at most {limit:g} s of"
            f" input. Use --max-seconds {limit:g}; longer clips are scored in windows of that"
            " length."
        )


def _cut_seconds(model: Any, extractor: Any, max_seconds: Seconds) -> None:  # noqa: ANN401
    """Cut the positions of Whisper to whole seconds.

    The encoder could take any even number of frames, but WhisperFeatureExtractor computes its
    number of samples from `chunk_length` when it is loaded, which must be an integer.
    """
    limit = extractor.chunk_length
    _check_seconds(limit, max_seconds)
    encoder = model.encoder
    encoder.embed_positions.weight.requires_grad = (
        False  # sinusoids; from_pretrained does not set it
    )
    seconds = math.ceil(max_seconds)
    if seconds == limit:
        return
    extractor.chunk_length = seconds
    extractor.n_samples = seconds * extractor.sampling_rate
    extractor.nb_max_frames = extractor.n_samples // extractor.hop_length
    squeeze = encoder.conv1.stride[0] * encoder.conv2.stride[0]
    num_positions = extractor.nb_max_frames // squeeze
    shorter = nn.Embedding(num_positions, encoder.embed_positions.embedding_dim)
    shorter.weight = nn.Parameter(
        encoder.embed_positions.weight.detach()[:num_positions].clone(), requires_grad=False
    )
    encoder.embed_positions = shorter
    for owner in (encoder, encoder.config, model.config):
        owner.max_source_positions = num_positions
    logger.info(
        "Input length of the model: cut from %g to %d s (whole seconds only)",
        *(limit, seconds),
    )


def _fit_patches(model: Any, extractor: Any, max_seconds: Seconds) -> None:  # noqa: ANN401
    """Cut or interpolate the positions of AST: patches on a grid of frequency and time."""
    _check_seconds(MAX_PATCH_SECONDS, max_seconds)
    config, embeddings = model.config, model.base_model.embeddings
    num_bands, old_steps = embeddings.get_shape(config)
    num_samples = round(max_seconds * extractor.sampling_rate)
    num_frames = max(config.patch_size, 1 + (num_samples - FRAME_SAMPLES) // HOP_SAMPLES)
    full, rest = divmod(num_frames - config.patch_size, config.time_stride)
    num_steps = 1 + full + (rest > 0)
    if old_steps in (1 + full, num_steps):  # pretraining drops an incomplete last patch, too
        return
    positions = fit_patch_positions(embeddings.position_embeddings.detach(), num_bands, num_steps)
    embeddings.position_embeddings = nn.Parameter(positions)
    extractor.max_length = (num_steps - 1) * config.time_stride + config.patch_size
    for owner in (config, embeddings.config, model.base_model.config):
        owner.max_length = extractor.max_length
    verb = "cut" if num_steps < old_steps else "interpolated"
    logger.info("Position embeddings: %s from %d to %d time steps", verb, old_steps, num_steps)
