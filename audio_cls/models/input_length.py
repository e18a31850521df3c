"""Clip length fits the model: the positions of a fixed-length model are cut or stretched.

Whisper and AST hear every clip as if it were 30 s or 10 s long, padded with silence. Shortened to
the clips, a clip of 1 s costs 1 s. A classifier and its feature extractor are changed in place, and
their configurations with them, so that stock transformers loads the saved result. Letters: H width.
Models that take any length are left alone.
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

# Samples at 16 kHz of a frame and between frames: fixed inside ASTFeatureExtractor (25 and 10 ms).
FRAME_SAMPLES, HOP_SAMPLES = 400, 160


def resize_positions(
    model: PreTrainedModel, extractor: SequenceFeatureExtractor, max_seconds: Seconds
) -> None:
    """Make a model of fixed length as long as the clips. Changes both in place.

    Args:
        model: A classifier whose weights are loaded.
        extractor: Its feature extractor.
        max_seconds: Longest piece of sound that will be given to it, in seconds; rounded up to
            what the extractor can express (whole seconds for Whisper, patches for AST).

    Raises:
        ModelError: The clips are longer than the model's positions, and those cannot be stretched.
    """
    if hasattr(extractor, "n_samples") and hasattr(model.config, "max_source_positions"):
        _cut_seconds(model, extractor, max_seconds)
    elif hasattr(extractor, "max_length") and hasattr(model.config, "time_stride"):
        _fit_patches(model, extractor, max_seconds)
    elif hasattr(extractor, "nb_max_samples"):
        _check_seconds(extractor.nb_max_samples / extractor.sampling_rate, max_seconds)


def resolve_max_seconds(audio: AudioConfig, extractor: Any) -> AudioConfig:  # noqa: ANN401
    """Return the settings with a number for --max-seconds: what the checkpoint hears, at most 30 s.

    Whisper's extractor says it in seconds, AST's in frames of 10 ms; the others hear any length.
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
    """Return how many samples a fixed-length extractor hears; what comes after them is lost."""
    if hasattr(extractor, "n_samples"):
        return int(extractor.n_samples)
    if hasattr(extractor, "nb_max_samples"):  # CLAP
        return int(extractor.nb_max_samples)
    return (int(extractor.max_length) - 1) * HOP_SAMPLES + FRAME_SAMPLES


def fit_patch_positions(positions: Tensor, num_bands: int, num_steps: int) -> Tensor:
    """Cut a grid of positions in time, or stretch it linearly.

    Args:
        positions: Two positions of class tokens, then the grid, band by band:
            (1, 2 + num_bands * old_steps, H).
        num_bands: Rows of the grid (frequency).
        num_steps: Columns that the new grid shall have (time).

    Returns:
        Shape (1, 2 + num_bands * num_steps, H); a cut leaves the kept columns as they are.
    """
    tokens = positions[:, :2]
    grid = positions[0, 2:].reshape(num_bands, -1, positions.shape[-1])
    if num_steps <= grid.shape[1]:
        grid = grid[:, :num_steps]
    else:
        stretched = nn.functional.interpolate(grid.transpose(1, 2), size=num_steps, mode="linear")
        grid = stretched.transpose(1, 2)
    return torch.cat([tokens, grid.flatten(0, 1)[None]], dim=1).contiguous()


def _check_seconds(heard: Seconds, max_seconds: Seconds) -> None:
    """Refuse pieces of which the model would lose the end."""
    if max_seconds > heard:
        raise ModelError(
            f"--max-seconds {max_seconds:g} is not possible: this model hears at most {heard:g} s "
            f"at once. Use --max-seconds {heard:g}; longer clips are scored in windows of that "
            "length."
        )


def _cut_seconds(model: Any, extractor: Any, max_seconds: Seconds) -> None:  # noqa: ANN401
    """Whisper: the extractor counts whole seconds, the encoder insists on as many positions.

    The encoder could do with any even number of frames, but WhisperFeatureExtractor makes its
    number of samples of `chunk_length` when it is loaded, and fails where that is no whole number.
    """
    heard = extractor.chunk_length
    _check_seconds(heard, max_seconds)
    encoder = model.encoder
    encoder.embed_positions.weight.requires_grad = False  # sinusoids; from_pretrained forgets it
    seconds = math.ceil(max_seconds)
    if seconds == heard:
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
        "positions: cut from %g to %d s (whole seconds, as transformers' extractor counts)",
        *(heard, seconds),
    )


def _fit_patches(model: Any, extractor: Any, max_seconds: Seconds) -> None:  # noqa: ANN401
    """AST: patches of 16 frames stand on a grid of frequency bands and steps in time."""
    config, embeddings = model.config, model.base_model.embeddings
    num_bands, old_steps = embeddings.get_shape(config)
    num_samples = round(max_seconds * extractor.sampling_rate)
    num_frames = max(config.patch_size, 1 + (num_samples - FRAME_SAMPLES) // HOP_SAMPLES)
    whole, rest = divmod(num_frames - config.patch_size, config.time_stride)
    num_steps = 1 + whole + (rest > 0)
    if old_steps in (1 + whole, num_steps):  # in pretraining, too, a last piece of a patch was lost
        return
    positions = fit_patch_positions(embeddings.position_embeddings.detach(), num_bands, num_steps)
    embeddings.position_embeddings = nn.Parameter(positions)
    extractor.max_length = (num_steps - 1) * config.time_stride + config.patch_size
    for owner in (config, embeddings.config, model.base_model.config):
        owner.max_length = extractor.max_length
    verb = "cut" if num_steps < old_steps else "interpolated"
    logger.info("positions: %s from %d to %d steps in time", verb, old_steps, num_steps)
