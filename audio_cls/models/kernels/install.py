"""A classifier's convolutions run on rows, as `rows` does them, where that is faster.

Comes in: a classifier as transformers made it. Its convolutions over time get another forward
method, which hands out (B, C, T) as before, but with the channels last in memory, where the next
one, a layer norm or a projection wants them; so does its dropout of large tensors, by `dropping`.
Weights, their names, what is saved and what stock transformers loads stay as they are. Only modules
whose class is exactly known get it, and only after its output and gradients were compared with
those of the stock method (`stock.py`). Where the numbers are not float32 on a CPU, under autocast,
and while a graph is traced or compiled, the stock method runs. One thing is for a GPU too: of a
convolution over positions, which has a long kernel and many groups, cuDNN makes a product a group
without its matrix units, three quarters of a step with a frozen feature encoder (H200, bf16).
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

from audio_cls.models.kernels.conv1d import MatmulConv1d, fft_grouped_conv1d
from audio_cls.models.kernels.conv_stack import is_stack, run_conv_stack
from audio_cls.models.kernels.dropout import SeededDropout, is_plain, is_traced
from audio_cls.models.kernels.exactness import draw_input, gives_stock_numbers, is_exactly
from audio_cls.models.kernels.feed_forward import is_feed_forward, run_feed_forward

logger = logging.getLogger(__name__)

MANY_FRAMES = 400  # in a batch: below, a kernel's spectrum costs more than it brings (measured)
MANY_VALUES = 2**16  # of a tensor to be dropped from: below, PyTorch's own costs as little
GROUPS_AT_ONCE = 2  # of a grouped convolution, for its spectra to stay small
TRIAL_FRAMES = 6  # of an input with which a method is compared with the stock one
LONG_KERNEL = 32  # taps from which a grouped convolution is cheaper in the frequency domain


def install_fast_kernels(model: nn.Module) -> int:
    """Let a model's convolutions and dropout run as here where they run on a CPU. In place.

    Modules of one kind (class and shape) are compared with the stock method once; a kind that
    gives other numbers keeps the stock method.

    Returns:
        How many modules this concerns.
    """
    count = 0
    is_same: dict[str, bool] = {}  # by kind
    for module in model.modules():
        forward = _choose_forward(module)
        if forward is None:
            continue
        kind = f"{type(module)} {module!r}"
        if kind not in is_same:
            is_same[kind] = _is_stock(module, forward)
            if not is_same[kind]:
                logger.info("runs as in transformers, since ours gives other numbers: %s", kind)
        if is_same[kind]:
            # A method of the very module: deepcopy() binds the copy's to the copy.
            vars(module)["forward"] = MethodType(forward, module)
            count += 1
    return count


def _choose_forward(module: nn.Module) -> Callable[..., Tensor] | None:
    """Return what a module may do instead of its own forward; None for most."""
    if "forward" in vars(module):
        return None  # it has one of its own already
    if isinstance(module, nn.Conv1d):
        return _choose_convolution(module) if is_exactly(module, nn.Conv1d) else None
    if is_exactly(module, nn.Dropout):
        assert isinstance(module, nn.Dropout)
        return _drop if 0 < module.p < 1 and not module.inplace else None
    if is_stack(module):
        return _run_conv_stack
    return run_feed_forward if is_feed_forward(module) else None


def _choose_convolution(conv: nn.Conv1d) -> Callable[..., Tensor] | None:
    """Return what a convolution may do instead of its own forward."""
    if conv.dilation != (1,) or not _pads_zeros(conv):
        return None
    if conv.groups == 1:
        return _convolve
    is_long = conv.kernel_size[0] >= LONG_KERNEL and conv.stride == (1,)
    return _convolve_long if is_long and conv.groups < conv.in_channels else None


def _is_stock(module: Any, forward: Callable[..., Tensor]) -> bool:  # noqa: ANN401
    """Tell whether a forward method gives a module's own output and gradients."""
    if forward is _drop:
        return True  # random: nothing to compare
    if any(one.device.type != "cpu" or one.dtype != torch.float32 for one in module.parameters()):
        return False
    if forward is _run_conv_stack:
        samples = math.prod(layer.conv.stride[0] for layer in module.conv_layers)
        given = draw_input((2, TRIAL_FRAMES * samples), requires_grad=False)
    elif forward is run_feed_forward:
        given = draw_input((2, TRIAL_FRAMES, module.intermediate_dense.in_features))
    else:
        num_frames = MANY_FRAMES // 2 if forward is _convolve_long else 0
        num_frames = max(num_frames, module.kernel_size[0] + TRIAL_FRAMES * module.stride[0])
        given = draw_input((2, module.in_channels, num_frames))
    return gives_stock_numbers(module, forward, given)


def _pads_zeros(conv: nn.Conv1d) -> bool:
    """Tell whether a convolution pads by zeros, a known number of them, or not at all."""
    return conv.padding_mode == "zeros" and not isinstance(conv.padding, str)


def _wants_rows(frames: Tensor) -> bool:
    """Tell whether frames (B, C, T) are to be handled as rows."""
    return frames.ndim == 3 and is_plain(frames) and not torch.is_autocast_enabled("cpu")


def _convolve(self: nn.Conv1d, frames: Tensor) -> Tensor:
    """Stand in for an ungrouped convolution's forward: (B, C, T) -> (B, O, F)."""
    if not _wants_rows(frames):
        return type(self).forward(self, frames)
    rows, padding = frames.transpose(1, 2), int(self.padding[0])
    if padding:
        rows = nn.functional.pad(rows, (0, 0, padding, padding))
    product: Any = MatmulConv1d.apply
    return _add_bias(product(rows, self.weight, self.stride[0]), self.bias)


def _convolve_long(self: nn.Conv1d, frames: Tensor) -> Tensor:
    """Stand in for the forward of a grouped convolution with a long kernel."""
    is_short = frames.ndim != 3 or len(frames) * frames.shape[2] < MANY_FRAMES
    if not is_short and frames.device.type == "cuda" and not is_traced():
        return convolve_exactly(self, frames)
    if is_short or not _wants_rows(frames):
        return type(self).forward(self, frames)
    rows, parts = frames.transpose(1, 2), max(1, self.groups // GROUPS_AT_ONCE)
    if self.groups % parts:
        parts = 1
    own = (self.groups // parts, int(self.padding[0]))
    pairs = zip(rows.chunk(parts, dim=2), self.weight.chunk(parts), strict=True)
    # Spectra are wide: the backward pass makes them again, a few groups at a time.
    again = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
    found = [again(fft_grouped_conv1d, *pair, *own) for pair in pairs]
    return _add_bias(torch.cat(found, dim=2), self.bias)


def convolve_exactly(conv: nn.Conv1d, frames: Tensor) -> Tensor:
    """Convolve in the frequency domain and in float32, whatever autocast says: half is too coarse.

    Args:
        conv: A grouped convolution of stride 1.
        frames: Shape (B, C, T).

    Returns:
        Shape (B, O, F), of the type that the stock forward would give.
    """
    device = frames.device.type
    is_mixed = torch.is_autocast_enabled(device)
    kind = torch.get_autocast_dtype(device) if is_mixed else frames.dtype
    with torch.autocast(device, enabled=False):
        rows = frames.float().transpose(1, 2)
        found = fft_grouped_conv1d(rows, conv.weight.float(), conv.groups, int(conv.padding[0]))
        bias = None if conv.bias is None else conv.bias.float()
        return _add_bias(found, bias).to(kind)


def _add_bias(rows: Tensor, bias: Tensor | None) -> Tensor:
    """Add a convolution's bias to rows (B, F, O) and hand them out as (B, O, F)."""
    return (rows if bias is None else rows + bias).transpose(1, 2)


def _run_conv_stack(self: Any, waves: Tensor) -> Tensor:  # noqa: ANN401
    """Stand in for the forward of a stack of convolutions: (B, T) -> (B, C, F)."""
    is_stock = waves.ndim != 2 or not is_plain(waves) or waves.requires_grad
    if is_stock or torch.is_autocast_enabled("cpu"):
        return type(self).forward(self, waves)  # type: ignore[no-any-return]
    return run_conv_stack(self.conv_layers, waves)


def _drop(self: nn.Dropout, values: Tensor) -> Tensor:
    """Stand in for the forward of dropout, of any shape."""
    if not self.training or values.numel() < MANY_VALUES or not is_plain(values):
        return type(self).forward(self, values)
    drop: Any = SeededDropout.apply
    return drop(values, self.p)  # type: ignore[no-any-return]
