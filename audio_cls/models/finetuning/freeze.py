"""What learns: parts of a classifier are frozen, for good or for the first epochs.

`--freeze features` freezes the front end below the transformer: the convolutions that
`freeze_feature_encoder` names where a family has it (wav2vec2 and its kin); else what runs before
the first layer: Whisper's two convolutions (its positions never learn), AST's patches with their
positions, wav2vec2-BERT's feature projection. `--freeze backbone` freezes all but the head.

A frozen part is quiet: it stays in evaluation mode whatever `train()` is called above it, so that
dropout, layerdrop, masking and batch statistics inside it rest. Its parameters want no gradient and
no input of it does, so that autograd keeps nothing of it.
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
    """The frozen parts of a classifier, which `set_epoch` freezes and wakes."""

    modules: dict[str, nn.Module]  # by name, in the order they run; empty: everything learns
    num_epochs: int | None = None  # frozen for so many epochs; None: for good
    _trainable: list[nn.Parameter] = field(default_factory=list)  # what a waking part learns with

    @property
    def end(self) -> str | None:
        """Name the module whose output is the frozen prefix's; what comes after it may learn."""
        return next(reversed(self.modules), None)

    def is_frozen_in(self, epoch: int) -> bool:
        """Tell whether the parts are frozen in an epoch, counted from 0."""
        return bool(self.modules) and (self.num_epochs is None or epoch < self.num_epochs)

    def set_epoch(self, epoch: int) -> None:
        """Freeze or wake the parts as this epoch wants it. Changes the model in place."""
        if self.is_frozen_in(epoch):
            self._freeze()
        else:
            self._unfreeze()

    def _freeze(self) -> None:
        """Make every part quiet; a part that is quiet already stays so."""
        for module in self.modules.values():
            self._trainable += [weight for weight in module.parameters() if weight.requires_grad]
            module.requires_grad_(requires_grad=False)
            module.train(mode=False)
            # A method of the very module: deepcopy() binds the copy's to the copy.
            vars(module)["train"] = MethodType(_ignore_mode, module)

    def _unfreeze(self) -> None:
        """Let the parts learn that learned before; their mode is set by the next `train()`."""
        for weight in self._trainable:
            weight.requires_grad_()
        self._trainable.clear()
        for module in self.modules.values():
            vars(module).pop("train", None)


def freeze(audio_model: AudioModel, cfg: ModelConfig) -> FrozenModules:
    """Freeze what `--freeze` names. Changes the model in place.

    With `--unfreeze-after-epochs` nothing happens yet: the optimizer and the wrappers for several
    processes must first see everything that will learn one day. `FrozenModules.set_epoch` freezes
    then.

    Args:
        audio_model: A classifier whose weights are loaded.
        cfg: What to freeze, and for how long.

    Returns:
        The frozen parts; `FrozenModules.end` tells after which module the learning begins.
    """
    names = find_frozen(audio_model.model, audio_model.processor, cfg.freeze)
    modules = {name: audio_model.model.get_submodule(name) for name in names}
    frozen = FrozenModules(modules, cfg.unfreeze_after_epochs)
    if not modules:
        return frozen
    count = sum(p.numel() for module in modules.values() for p in module.parameters())
    total = sum(p.numel() for p in audio_model.model.parameters())
    logger.info("frozen: %s; %s of %s parameters", ", ".join(names), f"{count:,}", f"{total:,}")
    if frozen.num_epochs is None:
        frozen.set_epoch(0)
    return frozen


def find_frozen(model: PreTrainedModel, processor: WaveProcessor, what: str) -> tuple[str, ...]:
    """Return the modules that `--freeze` means, by name, in the order they run.

    Args:
        model: A classifier.
        processor: What makes its inputs.
        what: "none", "features" or "backbone".
    """
    if what == "none":
        return ()
    if what == "backbone":
        return covering_modules(model, backbone_parameters(model))
    found = _feature_encoder_parameters(model) or frontend_parameters(model, processor)
    fixed = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    return tuple(
        name
        for name in covering_modules(model, found | fixed)
        if any(weight.requires_grad for weight in model.get_submodule(name).parameters())
    )


def _feature_encoder_parameters(model: Any) -> set[str]:  # noqa: ANN401 (the method is not in the base class)
    """Return what the family's own `freeze_feature_encoder` freezes; nothing where it has none."""
    if not hasattr(model, "freeze_feature_encoder"):
        return set()
    before = {name: weight.requires_grad for name, weight in model.named_parameters()}
    marks = [module for module in model.modules() if hasattr(module, "_requires_grad")]
    states = [module._requires_grad for module in marks]
    model.freeze_feature_encoder()
    frozen = set()
    for name, weight in model.named_parameters():
        if before[name] and not weight.requires_grad:
            frozen.add(name)
            weight.requires_grad_()
    for module, state in zip(marks, states, strict=True):
        module._requires_grad = state
    return frozen


def _ignore_mode(module: nn.Module, mode: bool = True) -> nn.Module:  # noqa: FBT001, FBT002
    """Stand in for `train` of a frozen module: the signature is torch's, the mode is not heard."""
    del mode
    return module
