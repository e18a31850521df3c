"""Installation of the fast kernels in a model.

Replaces: the forward of convolutions over positions (conv1d.py) and of the stack of convolutions
over the waveform (conv_stack.py) of wav2vec 2.0 and its relatives, in modules whose class is
exactly known. Nothing else: a kernel stays here if it makes a training step 1.3 times as fast in
the precision that is used on a machine (docs/benchmarks.md).
Active: in float32 on a CPU, without autocast, not while a graph is traced or compiled; else the
stock forward runs. A convolution over positions is replaced on a GPU, too: cuDNN computes one
product per group without matrix units, which was three quarters of a step with a frozen feature
encoder (H200, bf16).
Results: equal to the stock forward except for rounding. Before a forward is replaced, its output
and gradients are compared (exactness.py); tests in tests/models/kernels/. Weights, their names and
saved models do not change.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import partial
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from audio_cls.models.kernels.conv1d import fft_grouped_conv1d
from audio_cls.models.kernels.conv_stack import is_stack, run_conv_stack
from audio_cls.models.kernels.exactness import draw_input, gives_stock_numbers, is_exactly

logger = logging.getLogger(__name__)

MANY_FRAMES = 400  # in a batch: below, a convolution by spectra is slower (measured)
GROUPS_AT_ONCE = 2  # of a grouped convolution, which limits the memory of its spectra
TRIAL_FRAMES = 6  # of the input on which a forward is compared with the stock one
LONG_KERNEL = 32  # taps from which a grouped convolution is cheaper in the frequency domain


def install_fast_kernels(model: nn.Module, *, is_trained: bool = True) -> int:
    """Replace the forward of a model's modules where a kernel is exact. In place.

    Modules of one kind (class and shape) are compared with the stock forward once; a kind with
    other results keeps the stock forward.

    Args:
        model: On the CPU, in float32.
        is_trained: False: gradients are not compared.

    Returns:
        The number of modules that were changed.
    """
    count = 0
    is_same: dict[str, bool] = {}  # by kind
    for module in model.modules():
        forward = _choose_forward(module)
        if forward is None:
            continue
        kind = f"{type(module)} {module!r}"
        if kind not in is_same:
            is_same[kind] = _is_stock(module, forward, is_trained=is_trained)
            if not is_same[kind]:
                logger.info("stock forward kept, the kernel gives other results: %s", kind)
        if is_same[kind]:
            # Bound to the module, so that deepcopy() binds it to the copy.
            vars(module)["forward"] = MethodType(forward, module)
            count += 1
    return count


def _choose_forward(module: nn.Module) -> Callable[..., Tensor] | None:
    """Return the kernel that can replace a module's forward; None for most modules."""
    if "forward" in vars(module):
        return None  # it was replaced by other code
    if isinstance(module, nn.Conv1d):
        return _convolve_long if _is_long(module) else None
    return _run_conv_stack if is_stack(module) else None


def _is_long(conv: nn.Conv1d) -> bool:
    """Return True if a convolution is grouped and has a long kernel, as one over positions has."""
    if not is_exactly(conv, nn.Conv1d) or conv.padding_mode != "zeros":
        return False
    is_plain = (conv.dilation, conv.stride) == ((1,), (1,)) and not isinstance(conv.padding, str)
    is_grouped = 1 < conv.groups < conv.in_channels
    return is_plain and is_grouped and conv.kernel_size[0] >= LONG_KERNEL


def _is_stock(module: Any, forward: Callable[..., Tensor], *, is_trained: bool) -> bool:  # noqa: ANN401
    """Return True if a kernel gives the output and gradients of a module's forward."""
    if any(one.device.type != "cpu" or one.dtype != torch.float32 for one in module.parameters()):
        return False
    if forward is _run_conv_stack:
        samples = math.prod(layer.conv.stride[0] for layer in module.conv_layers)
        inputs = draw_input((2, TRIAL_FRAMES * samples), requires_grad=False)
    else:
        num_frames = max(MANY_FRAMES // 2, module.kernel_size[0] + TRIAL_FRAMES)
        inputs = draw_input((2, module.in_channels, num_frames))
    return gives_stock_numbers(module, forward, inputs, with_gradients=is_trained)


def _is_plain(values: Tensor) -> bool:
    """Return True if a tensor is float32 on a CPU, without autocast, and no graph is recorded."""
    is_float32 = values.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    return values.device.type == "cpu" and is_float32 and not _is_traced()


def _is_traced() -> bool:
    """Return True if a graph is traced or compiled."""
    return bool(torch.jit.is_tracing() or torch.compiler.is_compiling())  # type: ignore[attr-defined, no-untyped-call]


def _convolve_long(self: nn.Conv1d, frames: Tensor) -> Tensor:
    """Replace the forward of a grouped convolution with a long kernel: (B, C, T) -> (B, O, F)."""
    is_short = frames.ndim != 3 or len(frames) * frames.shape[2] < MANY_FRAMES
    if not is_short and frames.device.type == "cuda" and not _is_traced():
        return convolve_exactly(self, frames)
    if is_short or not _is_plain(frames):
        return type(self).forward(self, frames)
    rows, num_chunks = frames.transpose(1, 2), max(1, self.groups // GROUPS_AT_ONCE)
    if self.groups % num_chunks:
        num_chunks = 1
    options = (self.groups // num_chunks, int(self.padding[0]))
    pairs = zip(rows.chunk(num_chunks, dim=2), self.weight.chunk(num_chunks), strict=True)
    # Spectra are large: the backward pass computes them again, a few groups at a time.
    recomputed = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
    chunks = [recomputed(fft_grouped_conv1d, *pair, *options) for pair in pairs]
    return _add_bias(torch.cat(chunks, dim=2), self.bias)


def convolve_exactly(conv: nn.Conv1d, frames: Tensor) -> Tensor:
    """Convolve in the frequency domain, in float32 also under autocast: 16 bits are inexact.

    Args:
        conv: A grouped convolution of stride 1.
        frames: Shape (B, C, T).

    Returns:
        Shape (B, O, F), of the dtype of the stock forward's output.
    """
    device = frames.device.type
    is_mixed = torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device) if is_mixed else frames.dtype
    with torch.autocast(device, enabled=False):
        rows = frames.float().transpose(1, 2)
        out = fft_grouped_conv1d(rows, conv.weight.float(), conv.groups, int(conv.padding[0]))
        bias = None if conv.bias is None else conv.bias.float()
        return _add_bias(out, bias).to(dtype)


def _add_bias(rows: Tensor, bias: Tensor | None) -> Tensor:
    """Add a convolution's bias to rows (B, F, O) and return them as (B, O, F)."""
    return (rows if bias is None else rows + bias).transpose(1, 2)


def _run_conv_stack(self: Any, waves: Tensor) -> Tensor:  # noqa: ANN401
    """Replace the forward of a stack of convolutions: (B, T) -> (B, C, F)."""
    if waves.ndim != 2 or waves.requires_grad or not _is_plain(waves):
        return type(self).forward(self, waves)  # type: ignore[no-any-return]
    return run_conv_stack(self.conv_layers, waves)
