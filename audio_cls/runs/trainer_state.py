"""State of a run that its checkpoints hold: step, best evaluation, times."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Times:
    """What a run has used so far, in all its starts together.

    A checkpoint keeps it. What a start that was killed did after its last checkpoint is done again
    and is not counted.
    """

    starts: int = 0
    prepare_seconds: float = 0.0  # before the first step: download, decoding, loading
    train_seconds: float = 0.0  # without evaluation
    compute_seconds: float = 0.0  # of them in forward, backward and optimizer
    evaluate_seconds: float = 0.0
    evaluations: int = 0
    peak_memory_mb: int = 0  # the most of any start, on the main process
    energy: dict[str, float] = field(default_factory=dict)  # kWh by part and kg CO2eq, all machines

    @property
    def overhead_share(self) -> float:
        """Return the share of the training's time that went elsewhere: batches, saves, messages."""
        if not self.train_seconds:
            return 0.0
        return round(max(0.0, 1 - self.compute_seconds / self.train_seconds), 4)

    def add(self, other: Times) -> Times:
        """Return the sum of two; of memory the larger one.

        >>> Times(1, train_seconds=2.0).add(Times(1, train_seconds=3.0)).train_seconds
        5.0
        """
        names = [one.name for one in dataclasses.fields(self) if one.name != "energy"]
        sums = {name: getattr(self, name) + getattr(other, name) for name in names}
        sums["peak_memory_mb"] = max(self.peak_memory_mb, other.peak_memory_mb)
        keys = self.energy.keys() | other.energy.keys()
        energy = {key: self.energy.get(key, 0.0) + other.energy.get(key, 0.0) for key in keys}
        return Times(**sums, energy=energy)


@dataclass(frozen=True)
class BestEvaluation:
    """An evaluation on validation."""

    value: float  # of the metric that chooses, larger is better
    loss: float  # validation loss, the smaller breaks a tie
    epoch: float  # epochs done, such as 1.0 after the first
    step: int
    metrics: dict[str, float]

    def beats(self, other: BestEvaluation) -> bool:
        """Tell whether this evaluation is the better one; an exact tie goes to the earlier."""
        return (self.value, -self.loss) > (other.value, -other.loss)


@dataclass
class TrainerState:
    """How far a run has come."""

    step: int = 0  # optimizer steps done
    best: BestEvaluation | None = None
    stale: int = 0  # evaluations since the best one
    skipped: int = 0  # steps whose loss or gradient was not finite
    in_a_row: int = 0  # of them, without a good one between
    judged: int = 0  # step of the last evaluation
    loss_sum: float = 0.0  # of the steps since that evaluation, over all processes
    num_steps: int = 0  # of the whole run, which the learning rate depends on
    clips_per_step: int = 0  # over all processes
    seconds: float = field(default=0.0, compare=False)  # trained, over all starts
    times: Times = field(default_factory=Times, compare=False)  # over all starts


def report_best(position: TrainerState, num_clips: int) -> dict[str, Any]:
    """Return the `validation` part of results.json: the evaluation that chose the model."""
    best = position.best
    if best is None:
        return {"num_examples": num_clips}
    where = {"epoch": round(best.epoch, 4), "step": best.step}
    return {**best.metrics, "num_examples": num_clips, **where}
