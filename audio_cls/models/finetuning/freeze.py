"""Freezing of modules, for the whole training or for the first epochs.

`--freeze features` freezes the front end below the transformer: the modules that the family's
`freeze_feature_encoder` names (wav2vec2 and its relatives), else what runs before the first layer:
Whisper's two convolutions (its positions are never trained), AST's patches and positions, the
feature projection of wav2vec2-BERT. `--freeze backbone` freezes everything but the head.

Frozen modules stay in evaluation mode, whatever `train()` is called on the model: dropout,
LayerDrop, masking and batch statistics are off. As neither their parameters nor their inputs need a
gradient, autograd keeps none of their activations.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from types import MethodType
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from audio_cls.config import ModelConfig
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.finetuning.layer_groups import (
    backbone_parameters,
    covering_modules,
    frontend_parameters,
)
from audio_cls.models.processor import WaveProcessor

logger = logging.getLogger(__name__)


@dataclass
class FrozenModules:
    """The frozen modules of a classifier; `set_epoch` freezes and unfreezes them."""

    modules: dict[str, nn.Module]  # by name, in the order they run; empty: nothing is frozen
    num_epochs: int | None = None  # number of epochs in which they are frozen; None: all
    _trainable: list[nn.Parameter] = field(default_factory=list)  # to be unfrozen

    @property
    def end(self) -> str | None:
        """Return the name of the last frozen module; what runs after it may be trained."""
        return next(reversed(self.modules), None)

    def is_frozen_in(self, epoch: int) -> bool:
        """Return True if the modules are frozen in an epoch, counted from 0."""
        return bool(self.modules) and (self.num_epochs is None or epoch < self.num_epochs)

    def set_epoch(self, epoch: int) -> None:
        """Freeze or unfreeze the modules for an epoch. Changes the model in place."""
        if self.is_frozen_in(epoch):
            self._freeze()
        else:
            self._unfreeze()

    def _freeze(self) -> None:
        """Freeze every module; nothing changes where they are frozen."""
        for module in self.modules.values():
            self._trainable += [weight for weight in module.parameters() if weight.requires_grad]
            module.requires_grad_(requires_grad=False)
            module.train(mode=False)
            # Bound to the module, so that deepcopy() binds it to the copy.
            vars(module)["train"] = MethodType(_ignore_mode, module)

    def _unfreeze(self) -> None:
        """Unfreeze what was trainable before; the next `train()` sets the mode."""
        for weight in self._trainable:
            weight.requires_grad_()
        self._trainable.clear()
        for module in self.modules.values():
            vars(module).pop("train", None)


def freeze(audio_model: AudioModel, cfg: ModelConfig) -> FrozenModules:
    """Freeze the modules of `--freeze`. Changes the model in place.

    With `--unfreeze-after-epochs` nothing is frozen here: the optimizer and the wrappers for
    several processes must first get all parameters that will be trained. `FrozenModules.set_epoch`
    freezes them before the first epoch.

    Args:
        audio_model: A classifier whose weights are loaded.
        cfg: What to freeze, and for how long.

    Returns:
        The frozen modules.
    """
    names = find_frozen(audio_model.model, audio_model.processor, cfg.freeze)
    modules = {name: audio_model.model.get_submodule(name) for name in names}
    frozen = FrozenModules(modules, cfg.unfreeze_after_epochs)
    if not modules:
        return frozen
    logger.info("Frozen modules: %s", ", ".join(names))
    if frozen.num_epochs is None:
        frozen.set_epoch(0)
    return frozen


def find_frozen(model: PreTrainedModel, processor: WaveProcessor, what: str) -> tuple[str, ...]:
    """Return the names of the modules that `--freeze` freezes, in the order they run.

    Args:
        model: A classifier.
        processor: Of its inputs.
        what: "none", "features" or "backbone".
    """
    if what == "none":
        return ()
    if what == "backbone":
        return covering_modules(model, backbone_parameters(model))
    frontend = _feature_encoder_parameters(model) or frontend_parameters(model, processor)
    fixed = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    return tuple(
        name
        for name in covering_modules(model, frontend | fixed)
        if any(weight.requires_grad for weight in model.get_submodule(name).parameters())
    )


def _feature_encoder_parameters(model: Any) -> set[str]:  # noqa: ANN401 (the method is not in the base class)
    """Return the names of what `freeze_feature_encoder` freezes; nothing without that method."""
    if not hasattr(model, "freeze_feature_encoder"):
        return set()
    before = {name: weight.requires_grad for name, weight in model.named_parameters()}
    flagged = [module for module in model.modules() if hasattr(module, "_requires_grad")]
    flags = [module._requires_grad for module in flagged]
    model.freeze_feature_encoder()
    frozen = set()
    for name, weight in model.named_parameters():
        if before[name] and not weight.requires_grad:
            frozen.add(name)
            weight.requires_grad_()
    for module, flag in zip(flagged, flags, strict=True):
        module._requires_grad = flag
    return frozen


def _ignore_mode(module: nn.Module, mode: bool = True) -> nn.Module:  # noqa: FBT001, FBT002
    """Replace `train()` of a frozen module; the mode is ignored."""
    del mode
    return module
