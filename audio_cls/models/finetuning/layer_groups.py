"""Where a classifier has its front end, its layers and its head, found by watching it run.

No family is known by name. The layers are the longest-known thing of all of them: as many like
modules as the configuration says. Whatever was done before the first of them is the front end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from contextlib import nullcontext
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from audio_cls.models.audio_model import HEAD_PREFIXES
from audio_cls.models.probe import make_probe_noise, preserve_model_state, stop_forward
from audio_cls.models.processor import WaveProcessor

NOISE_SAMPLES = 1600  # a tenth of a second, unless the model insists on more


def find_transformer_layers(model: PreTrainedModel) -> tuple[str, nn.ModuleList]:
    """Return the layers and their name: the list as long as the configuration says.

    Where two lists are, the one with more parameters is taken (not seven convolutions, say); so,
    too, where the configuration says nothing of the kind (CLAP, whose stages differ).
    """
    config: Any = model.config
    found = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module)
    ]
    for key in ("num_hidden_layers", "encoder_layers", "encoder_num_hidden_layers"):
        count = getattr(config, key, None)
        lists = [one for one in found if len(one[1]) == count]
        if lists:
            break
    lists = lists or found
    return max(lists, key=lambda found: sum(p.numel() for p in found[1].parameters()))


def trace_modules(
    model: PreTrainedModel,
    processor: WaveProcessor,
    note: Callable[[nn.Module], None],
    stop_at: nn.Module | None = None,
) -> None:
    """Let the model hear a moment of noise; it is as before afterwards.

    Args:
        model: A classifier, on any device.
        processor: What makes its inputs.
        note: Called with every module when it has run.
        stop_at: The module before which to stop; None: hear to the end.
    """
    hooks = [module.register_forward_hook(lambda m, *_: note(m)) for module in model.modules()]
    stop = nullcontext() if stop_at is None else stop_forward(stop_at, after=False)
    try:
        with preserve_model_state(model), stop:
            model.train(mode=False)
            inputs = processor(
                [make_probe_noise(max(processor.input_spec.min_samples, NOISE_SAMPLES))]
            )
            model(**{name: value.to(model.device) for name, value in inputs.items()})
    finally:
        for hook in hooks:
            hook.remove()


def frontend_parameters(model: PreTrainedModel, processor: WaveProcessor) -> set[str]:
    """Return the parameters that did their work before the first layer, by name."""
    done: set[nn.Parameter] = set()
    _, layers = find_transformer_layers(model)
    trace_modules(
        model, processor, lambda module: done.update(module.parameters()), stop_at=layers[0]
    )
    return {name for name, weight in model.named_parameters() if weight in done}


def layer_depths(model: PreTrainedModel, processor: WaveProcessor) -> dict[str, int]:
    """Say how high above the sound each parameter stands, by name.

    Of N layers, layer i (from 0) stands at i + 1; the front end at 0, and with it whatever else is
    looked up rather than run, such as the embedding that fills masks; norms after the last layer
    and the head stand at N + 1: the groups of timm's `--layer-decay`.
    """
    stack, layers = find_transformer_layers(model)
    front, body = frontend_parameters(model, processor), backbone_parameters(model)
    depths = {}
    for name, _ in model.named_parameters():
        owner = name.rpartition(".")[0]
        is_table = stack.startswith(f"{owner}.") or isinstance(
            model.get_submodule(owner), nn.Embedding
        )
        if name.startswith(f"{stack}."):
            depths[name] = 1 + int(name.removeprefix(f"{stack}.").split(".")[0])
        elif name in front or (name in body and is_table):
            depths[name] = 0
        else:
            depths[name] = len(layers) + 1
    return depths


def backbone_parameters(model: PreTrainedModel) -> set[str]:
    """Return the parameters of everything but the head, by name."""
    names = (name for name, _ in model.named_parameters())
    return {name for name in names if not name.startswith(HEAD_PREFIXES)}


def covering_modules(model: nn.Module, parameters: Set[str]) -> tuple[str, ...]:
    """Return the largest modules all of whose parameters are named, in their order in the model.

    Args:
        model: Any module.
        parameters: Names of some of its parameters.
    """
    return tuple(_iterate_owners(model, parameters, ""))


def _iterate_owners(module: nn.Module, parameters: Set[str], prefix: str) -> Iterator[str]:
    """Yield the names of `covering_modules` below one module."""
    for name, child in module.named_children():
        own = {f"{prefix}{name}.{parameter}" for parameter, _ in child.named_parameters()}
        if own and own <= parameters:
            yield f"{prefix}{name}"
        elif own & parameters:
            yield from _iterate_owners(child, parameters, f"{prefix}{name}.")
