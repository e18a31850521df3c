"""Layer groups: the parameters of front end, layers and head, found by running the model.

No model family is known by name. The layers are the `num_hidden_layers` modules of one list; what
runs before the first of them is the front end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from contextlib import nullcontext
from typing import Any

from torch import nn
from torch.nn.utils.parametrize import ParametrizationList
from transformers import PreTrainedModel

from audio_cls.models.audio_model import HEAD_PREFIXES
from audio_cls.models.probe import make_probe_noise, preserve_model_state, stop_forward
from audio_cls.models.processor import WaveProcessor

NOISE_SAMPLES = 1600  # at least; more where the model needs more


def find_transformer_layers(model: PreTrainedModel) -> tuple[str, nn.ModuleList]:
    """Return the name and the list of the transformer layers.

    It is the module list whose length is the number of layers in the configuration. Of several, or
    where the configuration has no such number (CLAP, whose stages differ), it is the one with the
    most parameters.
    """
    config: Any = model.config
    found = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList)
        and not isinstance(module, ParametrizationList)  # weight norm of the positions
        and len(module)
    ]
    for key in ("num_hidden_layers", "encoder_layers", "encoder_num_hidden_layers"):
        count = getattr(config, key, None)
        lists = [one for one in found if len(one[1]) == count]
        if lists:
            break
    lists = lists or found
    return max(lists, key=lambda one: sum(p.numel() for p in one[1].parameters()))


def trace_modules(
    model: PreTrainedModel,
    processor: WaveProcessor,
    callback: Callable[[nn.Module], None],
    stop_at: nn.Module | None = None,
) -> None:
    """Run a model on 0.1 s of noise and report its modules in the order they end.

    The model's state is as before afterwards.

    Args:
        model: A classifier, on any device.
        processor: Of its inputs.
        callback: Called with every module when it has run.
        stop_at: The module before which to stop; None: run to the end.
    """
    hooks = [module.register_forward_hook(lambda m, *_: callback(m)) for module in model.modules()]
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
    """Return the names of the parameters of modules that run before the first layer."""
    done: set[nn.Parameter] = set()
    _, layers = find_transformer_layers(model)
    trace_modules(
        model, processor, lambda module: done.update(module.parameters()), stop_at=layers[0]
    )
    return {name for name, weight in model.named_parameters() if weight in done}


def layer_depths(model: PreTrainedModel, processor: WaveProcessor) -> dict[str, int]:
    """Return each parameter's layer index: 0 front end, i + 1 layer i, N + 1 head.

    Parameters that are read rather than run, such as the embedding of masked frames, have index 0;
    norms after the last layer have N + 1. These are the groups of timm's `--layer-decay`.
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
    """Return the names of all parameters but the head's."""
    names = (name for name, _ in model.named_parameters())
    return {name for name in names if not name.startswith(HEAD_PREFIXES)}


def covering_modules(model: nn.Module, parameters: Set[str]) -> tuple[str, ...]:
    """Return the names of the largest modules that have no other than the named parameters.

    Args:
        model: Any module.
        parameters: Names of some of its parameters.

    Returns:
        In the order of the model.
    """
    return tuple(_iterate_owners(model, parameters, ""))


def _iterate_owners(module: nn.Module, parameters: Set[str], prefix: str) -> Iterator[str]:
    """Yield the names of `covering_modules` below one module."""
    for name, child in module.named_children():
        names = {f"{prefix}{name}.{parameter}" for parameter, _ in child.named_parameters()}
        if names and names <= parameters:
            yield f"{prefix}{name}"
        elif names & parameters:
            yield from _iterate_owners(child, parameters, f"{prefix}{name}.")
