"""Profile of one training step and of its largest matrix product, in its own process.

Two kinds of modules consist of matrix products and the operations between them: convolutions over
the waveform and single linear layers. The rate of a kind is the FLOP of
PyTorch's modules, forward and backward, per second: what is recomputed to save memory adds to the
time, not to the FLOP.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from audio_cls.benchmark.cases import SEED, Case
from audio_cls.benchmark.machine import REPEATS, measure_matrix_product
from audio_cls.models.kernels.exactness import FEATURE_ENCODERS, is_named

KINDS: dict[str, Callable[[nn.Module], bool]] = {
    "convolutions over the waveform": lambda module: is_named(module, FEATURE_ENCODERS),
    "linear layers": lambda module: isinstance(module, nn.Linear),
}
ROWS = 25  # of the profile


class _Part:
    """The modules of a kind: their FLOP, and the largest with its input."""

    def __init__(self) -> None:
        self.flops = 0.0  # of all modules, forward
        self.largest: tuple[float, nn.Module, Tensor] | None = None


def find_largest_part(model: nn.Module, inputs: dict[str, Tensor]) -> tuple[str, _Part]:
    """Find the kind of module with the most FLOP in a step, frozen modules excluded.

    Returns:
        Its name in KINDS; its modules.
    """
    parts = {kind: _Part() for kind in KINDS}
    taken: set[nn.Module] = set()
    hooks = []

    def weigh(kind: str, module: nn.Module, given: tuple[Any, ...]) -> None:
        frames = given[0].detach()
        flops = count_forward(module, frames)
        part = parts[kind]
        part.flops += flops
        if part.largest is None or flops > part.largest[0]:
            part.largest = (flops, module, frames.clone())

    for module in model.modules():
        kind = next((kind for kind, fits in KINDS.items() if fits(module)), None)
        is_trained = any(weight.requires_grad for weight in module.parameters())
        if kind is None or module in taken or not is_trained:
            continue
        taken.update(module.modules())
        hooks.append(
            module.register_forward_pre_hook(
                lambda module, given, kind=kind: weigh(kind, module, given)
            )
        )
    with torch.no_grad():
        model(**inputs)
    for hook in hooks:
        hook.remove()
    return max(parts.items(), key=lambda item: item[1].flops)


def count_forward(module: nn.Module, frames: Tensor) -> float:
    """Count the FLOP of a module's forward pass as computed by PyTorch's modules."""
    stock = copy.deepcopy(module)
    for submodule in stock.modules():
        vars(submodule).pop("forward", None)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        stock.forward(frames)  # not __call__, which would run the hooks
    return float(counter.get_total_flops())


def measure_part(part: _Part) -> float:
    """Return the rate of the largest module, forward and backward, in FLOP/s."""
    assert part.largest is not None
    flops, module, frames = part.largest
    needs_input = frames.ndim > 2  # a waveform needs no gradient
    best = float("inf")
    for _ in range(REPEATS + 1):
        given = frames.clone().requires_grad_(needs_input)
        started = time.perf_counter()
        out = module(given)
        out.backward(torch.ones_like(out))
        best = min(best, time.perf_counter() - started)
        module.zero_grad()
    return 3 * flops / best


@contextmanager
def _prepare_step(spec: dict[str, Any], case: Case) -> Iterator[tuple[Any, dict[str, Tensor]]]:
    """Load the model of a case, prepared as in training, and make a batch."""
    from audio_cls.config import AudioConfig, ModelConfig
    from audio_cls.models.checkpoint import open_checkpoint
    from audio_cls.models.feature_cache.partial_forward import (
        CACHED_FEATURES,
        enable_partial_forward,
        plan_partial_forward,
        run_frozen,
    )
    from audio_cls.models.finetuning.freeze import find_frozen
    from audio_cls.models.load import load_for_training
    from audio_cls.models.probe import make_probe_noise
    from audio_cls.storage.process_memory import release_freed_memory, retain_freed_memory

    torch.manual_seed(SEED)
    cfg = ModelConfig(model=spec["checkpoint"], freeze=case.freeze)  # type: ignore[arg-type]
    audio = AudioConfig(max_seconds=case.max_seconds)
    audio_model = load_for_training(open_checkpoint(cfg), audio, ("a", "b", "c", "d"))
    model: Any = audio_model.model
    noise = make_probe_noise(
        round(case.max_seconds * audio_model.processor.input_spec.sampling_rate)
    )
    inputs: dict[str, Tensor] = audio_model.processor([noise] * case.batch_size)
    names = find_frozen(model, audio_model.processor, case.freeze)
    for name in names:
        model.get_submodule(name).requires_grad_(requires_grad=False)
    layout = plan_partial_forward(model, audio_model.processor, names) if names else None
    if layout is not None:
        with torch.no_grad():
            rows = layout.flatten(run_frozen(model, names, inputs))
        enable_partial_forward(model, layout)
        inputs = {
            CACHED_FEATURES: rows,
            **{k: v for k, v in inputs.items() if k != layout.input_name},
        }
    if spec["gpu"]:
        model.cuda()
        inputs = {name: value.cuda() for name, value in inputs.items()}
    model.train()
    retain_freed_memory(large=False)
    yield model, inputs
    release_freed_memory()


def profile_step(model: Any, inputs: dict[str, Tensor]) -> str:  # noqa: ANN401
    """Return torch's table of one training step, the operators with the most self time first.

    On a GPU: in bf16, with the GPU's times. The last line has the time of a step without the
    profiler.
    """
    optimizer = torch.optim.AdamW(
        [weight for weight in model.parameters() if weight.requires_grad], fused=True
    )
    device = next(iter(inputs.values())).device.type

    def step() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            logits = model(**inputs).logits
        logits.float().logsumexp(dim=-1).mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if device == "cuda":
            torch.cuda.synchronize()

    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    with torch.profiler.profile() as profile:
        step()
    table: str = profile.key_averages().table(
        sort_by=f"self_{'device' if device == 'cuda' else 'cpu'}_time_total",
        row_limit=ROWS,
        max_name_column_width=44,
    )
    return f"{table}\nStep without the profiler: {1000 * min(seconds):.1f} ms."


def main() -> None:
    """Measure for a spec and write the result."""
    spec: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    case = Case(**{**spec["case"], "seconds": tuple(spec["case"]["seconds"])})
    with _prepare_step(spec, case) as (model, inputs):
        if spec.get("profile"):
            result: dict[str, Any] = {"table": profile_step(model, inputs)}
        else:
            kind, part = find_largest_part(model, inputs)
            rates = [measure_matrix_product(), measure_part(part), measure_matrix_product()]
            share = rates[1] / max(rates[0], rates[2])
            result = {"kind": kind, "rate": rates[1], "share_of_matrix_product": share}
    Path(spec["result"]).write_text(json.dumps(result), "utf-8")


if __name__ == "__main__":
    main()
