"""Record what a training run hears: alone, or as a script that `accelerate launch` starts.

python -m accelerate.commands.launch --multi_gpu --num_processes 2 tests/helpers/recorded.py JSON
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from tiny_runs import make_config, set_up

from audio_cls.config import RunConfig
from audio_cls.data.loading.batch import Batch
from audio_cls.distributed.processes import shutdown_processes
from audio_cls.errors import Paused
from audio_cls.training.loop import train

Heard = dict[tuple[int, int], tuple[torch.Tensor, ...]]  # (epoch, clip) -> inputs and label

VARIED = {  # every kind of variation at once
    "gain_db": 6.0, "shift_seconds": 0.05, "noise_snr_db": (5.0, 20.0), "speed_range": (0.9, 1.1),
    "mixup_alpha": 0.4, "time_masks": 1, "time_mask_seconds": 0.1, "frequency_masks": 1,
    "polarity_probability": 0.5,
}  # fmt: skip


def record(cfg: RunConfig, pause_at: int | None = None) -> tuple[Heard, dict[str, torch.Tensor]]:
    """Train to the end, or until a signal sent after step `pause_at`; what was heard, the weights.

    A clip that a process repeats with weight 0 is left out. Call on every process.
    """
    run = set_up(cfg)
    heard: Heard = {}
    group_steps = run.sampler.group_steps

    def listen(batches: Iterable[Batch]) -> Iterator[list[Batch]]:
        for number, step in enumerate(group_steps(batches), run.state.step + 1):
            for batch in step:
                mask = batch.inputs.get("attention_mask")
                names = sorted(batch.inputs.keys() - {"attention_mask"})
                for row in torch.nonzero(batch.weights).flatten().tolist():
                    key = (run.sampler.epoch, int(batch.numbers[row]))
                    assert key not in heard
                    end = None if mask is None else int(mask[row].sum())  # padding is not heard
                    inputs = (batch.inputs[name][row, :end].clone() for name in names)
                    heard[key] = (*inputs, batch.labels[row])
            if number == pause_at:
                os.kill(os.getpid(), signal.SIGTERM)
            yield step

    run.sampler.group_steps = listen  # type: ignore[method-assign]
    try:
        train(run)
    except Paused:
        assert pause_at is not None
    bare = run.accelerator.unwrap_model(run.model)
    return heard, {name: value.clone() for name, value in bare.state_dict().items()}


def main(text: str) -> None:
    """Do the runs of a JSON list of settings; write RUN/heard-RANK.pt."""
    for settings in json.loads(text):
        changes: dict[str, Any] = dict(settings)
        places = [Path(changes.pop(name)) for name in ("dataset", "checkpoint", "run")]
        result = record(make_config(*places, **VARIED, **changes))
        torch.save(result, places[2] / f"heard-{os.environ['RANK']}.pt")
    shutdown_processes()


if __name__ == "__main__":
    main(sys.argv[1])
