"""Stack of convolutions over the waveform, computed and recomputed in pieces of the clips.

Replaces: the forward of the feature encoders of wav2vec 2.0, HuBERT and their relatives
(`exactness.FEATURE_ENCODERS`): layers of a convolution, an optional norm, and an activation.
Active: in float32 on a CPU, without autocast; in training and in inference.
Why: the outputs of these layers are the most memory of a training step: 260 MB for 10 s of audio.
A frame of the last layer depends on 400 samples only, so that the layers can be run on one piece
of a clip after the other. In training, each piece is a `torch.utils.checkpoint`: the outputs of
convolutions are kept, norms and activations, which are most of the memory, are computed again in
the backward pass.
A piece stays in the processor's cache, and a convolution is a matrix product over rows (B, T, C),
which is faster than PyTorch's on a processor without AVX-512. A group norm over time is folded into
the first convolution (`fold_norm`), since it needs the whole clip.
Results: equal to the stock forward and its gradients except for rounding; tests in
tests/models/kernels/test_conv_stack.py.
Letters: B clips, C and O channels, K taps, T and F frames, S stride.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)

from audio_cls.models.kernels.exactness import FEATURE_ENCODERS, is_named

PARTS = {"conv", "layer_norm", "activation"}  # of a layer; some have no norm
FRAMES_AT_ONCE = 2048  # of the first convolution's output: 4 MB at 512 channels
KEPT = {torch.ops.aten.mm.default, torch.ops.aten.addmm.default}  # see `_multiply`


def is_stack(module: nn.Module) -> bool:
    """Return True if a module is a stack of convolutions that `run_conv_stack` supports."""
    layers = getattr(module, "conv_layers", None)
    if not is_named(module, FEATURE_ENCODERS):
        return False
    if not isinstance(layers, nn.ModuleList) or len(layers) < 2:
        return False
    if any(type(layer).__module__ != type(module).__module__ for layer in layers):
        return False
    parts: list[Any] = list(layers)
    return [name for name, _ in module.named_children()] == ["conv_layers"] and all(
        {name for name, _ in layer.named_children()} in (PARTS, PARTS - {"layer_norm"})
        and _is_plain_convolution(layer.conv)
        and (layer is not parts[0] or layer.conv.in_channels == 1)
        and _is_known_norm(layer, is_first=layer is parts[0])
        and not list(layer.activation.parameters())
        for layer in parts
    )


def _is_plain_convolution(conv: Any) -> bool:  # noqa: ANN401
    """Return True if a module is a convolution without groups, dilation and padding."""
    if type(conv) is not nn.Conv1d:
        return False
    return (conv.groups, conv.dilation, conv.padding) == (1, (1,), (0,))


def _is_known_norm(layer: Any, *, is_first: bool) -> bool:  # noqa: ANN401
    """Return True if a layer has a layer norm or no norm, or, if it is the first, a group norm."""
    norm = getattr(layer, "layer_norm", None)
    if type(norm) is nn.GroupNorm:
        return is_first and norm.affine and norm.num_groups == norm.num_channels
    return norm is None or type(norm) is nn.LayerNorm


def run_conv_stack(layers: Sequence[Any], waves: Tensor) -> Tensor:
    """Run the layers of a stack: (B, T) -> (B, O, F), the channels last in memory."""
    taps, bias = _start(layers[0], waves)
    run: Callable[..., Tensor] = partial(_run_piece, layers)
    weights = (weight for layer in layers for weight in layer.parameters())
    if torch.is_grad_enabled() and any(weight.requires_grad for weight in weights):
        run = partial(
            checkpoint,
            run,
            use_reentrant=False,
            preserve_rng_state=False,  # nothing here is random
            context_fn=partial(create_selective_checkpoint_contexts, _choose_kept),
        )
    rows = []
    for clips, pieces in _split(layers, *waves.shape):
        given = (taps[clips], None if bias is None else bias[clips])
        outputs: list[Tensor] = [run(waves[clips, piece], *given) for piece in pieces]
        rows.append(torch.cat(outputs, dim=1))
    return torch.cat(rows).transpose(1, 2)


def _choose_kept(_context: object, operator: object, *_: object, **__: object) -> CheckpointPolicy:
    """Return whether the output of an operator is kept for the backward pass."""
    is_kept = operator in KEPT
    return CheckpointPolicy.MUST_SAVE if is_kept else CheckpointPolicy.PREFER_RECOMPUTE


def _split(
    layers: Sequence[Any], num_clips: int, num_samples: int
) -> Iterator[tuple[slice, list[slice]]]:
    """Yield groups of clips, with the samples of their pieces, in order of time.

    A group is one clip, or short clips that have about `FRAMES_AT_ONCE` frames together. Pieces
    overlap by what the last frame of one needs.
    """
    hop, field = 1, 1  # samples from one frame of the output to the next; that a frame needs
    for layer in layers:
        field += (layer.conv.kernel_size[0] - 1) * hop
        hop *= layer.conv.stride[0]
    num_frames = max(0, num_samples - field) // hop + 1
    per_frame = hop // layers[0].conv.stride[0]  # frames of the first layer
    at_once = max(1, FRAMES_AT_ONCE // per_frame)
    pieces = [
        slice(first * hop, (min(first + at_once, num_frames) - 1) * hop + field)
        for first in range(0, num_frames, at_once)
    ]
    together = max(1, at_once // num_frames)
    for clip in range(0, num_clips, together):
        yield slice(clip, clip + together), pieces


def _run_piece(layers: Sequence[Any], waves: Tensor, taps: Tensor, bias: Tensor | None) -> Tensor:
    """Run the layers on a piece, (B, T) -> (B, F, O).

    Args:
        layers: All layers.
        waves: The samples.
        taps: Weights of the first convolution for each clip, (B, K, C).
        bias: Its biases, (B, 1, C), or None.
    """
    first = layers[0]
    # No operator in `KEPT`: with one input channel, this output is wide and soon computed.
    rows = torch.bmm(_unfold(waves[:, :, None], first.conv), taps)
    rows = rows if bias is None else rows + bias
    if type(getattr(first, "layer_norm", None)) is nn.LayerNorm:
        rows = first.layer_norm(rows)
    rows = first.activation(rows)
    for layer in layers[1:]:
        rows = _multiply(rows, layer.conv)
        rows = layer.activation(getattr(layer, "layer_norm", nn.Identity())(rows))
    output: Tensor = rows
    return output


def _unfold(rows: Tensor, conv: nn.Conv1d) -> Tensor:
    """Return what each frame of a convolution's output is computed from: (B, F, C * K)."""
    return rows.unfold(1, conv.kernel_size[0], conv.stride[0]).flatten(2)


def _multiply(rows: Tensor, conv: nn.Conv1d) -> Tensor:
    """Convolve rows (B, T, C) by one matrix product: (B, F, O)."""
    return functional.linear(_unfold(rows, conv), conv.weight.flatten(1), conv.bias)


def _start(layer: Any, waves: Tensor) -> tuple[Tensor, Tensor | None]:  # noqa: ANN401
    """Return weights (B, K, C) and biases (B, 1, C) of the first convolution, with a group norm."""
    conv, norm = layer.conv, getattr(layer, "layer_norm", None)
    if isinstance(norm, nn.GroupNorm):
        windows = waves.unfold(1, conv.kernel_size[0], conv.stride[0])
        return fold_norm(conv.weight[:, 0], norm, windows)
    taps = conv.weight[:, 0].t().expand(len(waves), -1, -1)
    return taps, None if conv.bias is None else conv.bias.expand(len(waves), 1, -1)


def fold_norm(weight: Tensor, norm: nn.GroupNorm, windows: Tensor) -> tuple[Tensor, Tensor]:
    """Fold a norm over time into the convolution before it, for each clip.

    Mean and variance of a channel follow from the mean m and the covariance S of the K samples of
    a window: mean w . m, variance w S w. A bias of the convolution cancels out. Computed in
    float64: for a kernel of differences, w S w is small although S is large.

    Args:
        weight: Shape (C, K).
        norm: One group per channel.
        windows: Shape (B, F, K).

    Returns:
        Weights, (B, K, C), and biases, (B, 1, C).
    """
    means, covariances = [], []
    for clip in windows.detach():
        samples = clip.double()
        means.append(samples.mean(dim=0))
        samples -= means[-1]
        covariances.append(samples.t() @ samples / len(samples))
    taps = weight.double()
    mean = torch.stack(means) @ taps.t()  # (B, C)
    variance = ((taps @ torch.stack(covariances)) * taps).sum(dim=2)
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    folded = (taps * scale[:, :, None]).transpose(1, 2)
    return folded.to(windows.dtype), (norm.bias - mean * scale)[:, None].to(windows.dtype)
