"""Forward pass: model inputs -> logits and embeddings; used by evaluation and `Classifier`."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audio_cls.errors import ModelError, SettingError, list_names

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def compute_logits(model: nn.Module, inputs: dict[str, Tensor]) -> NDArray[np.float64]:
    """Run a classifier on a batch that is on its device; return the logits, (B, L)."""
    with torch.inference_mode():
        logits: Tensor = model(**inputs).logits
    return logits.float().cpu().numpy().astype(np.float64)


def find_last_layer(model: nn.Module, num_labels: int) -> nn.Linear:
    """Return the linear layer that gives the logits.

    Raises:
        ModelError: There is none.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    fitting = [layer for layer in layers if layer.out_features == num_labels]
    if not fitting:
        raise ModelError(
            f"{type(model).__name__} has no linear layer with {num_labels} outputs: embeddings are"
            " the input of that layer. Use a model of another family."
        )
    return fitting[-1]


def choose_device(wanted: str | torch.device | None) -> torch.device:
    """Return a device; None: the accelerator if there is one, else the CPU.

    Raises:
        SettingError: There is no such device.
    """
    if wanted is None:
        found = (
            torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        )
        return found or torch.device("cpu")
    try:
        device = torch.device(wanted)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise SettingError(
            f"device={str(wanted)!r} is not possible: {reason}. Give a device of PyTorch on this"
            " machine, such as cpu or cuda:0."
        ) from error
    return device


def choose_dtype(wanted: str | torch.dtype | None) -> torch.dtype:
    """Return the type of weights and inputs; None: float32.

    Raises:
        SettingError: It is not one of `DTYPES`.
    """
    if wanted is None:
        return torch.float32
    found = DTYPES.get(str(wanted).removeprefix("torch."))
    if found is None:
        raise SettingError(
            f"dtype={str(wanted)!r} is not possible: give one of {list_names(DTYPES)}."
        )
    return found
