"""State of a training run that its checkpoints hold: step, best evaluation, times."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audio_cls.config import EvalConfig

STATE_FILE = "trainer_state.json"  # of a checkpoint
FORMER_FILE = "position.json"  # its name in earlier versions
FORMER_NAMES = {  # and the names of its keys
    "stale": "evals_without_improvement",
    "judged": "last_eval_step",
    "skipped": "skipped_steps",
    "in_a_row": "skipped_in_a_row",
}


@dataclass
class Times:
    """Time, memory and energy that a run has used, over all its starts.

    It is part of a checkpoint. The steps that a killed start did after its last checkpoint are done
    again and do not count.
    """

    starts: int = 0
    prepare_seconds: float = 0.0  # before the first step: download, decoding, loading
    train_seconds: float = 0.0  # without evaluation
    compute_seconds: float = 0.0  # of them in forward, backward and optimizer
    data_seconds: float = 0.0  # of them waiting for batches
    evaluate_seconds: float = 0.0
    evaluations: int = 0
    peak_memory_mb: int = 0  # the largest of all starts, on the main process
    energy: dict[str, float] = field(default_factory=dict)  # kWh by part and kg CO2eq, all machines

    @property
    def overhead_share(self) -> float:
        """Return the share of the training time outside of compute: batches, saving, logging."""
        if not self.train_seconds:
            return 0.0
        return round(max(0.0, 1 - self.compute_seconds / self.train_seconds), 4)

    def add(self, other: Times) -> Times:
        """Return the sum of two; of the memory the larger one.

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
class Evaluation:
    """An evaluation on validation; without validation clips, only the place of it."""

    value: float  # objective: larger is better
    loss: float  # validation loss: the smaller one breaks a tie
    epoch: float  # epochs done, such as 1.0 after the first
    step: int
    metrics: dict[str, float]  # empty without validation clips

    @classmethod
    def make(
        cls, metrics: dict[str, float], cfg: EvalConfig, *, epoch: float, step: int
    ) -> Evaluation:
        """Make the evaluation of a model; without metrics, a later model is better.

        >>> one, two = (Evaluation.make({}, EvalConfig(), epoch=n, step=9 * n) for n in (1, 2))
        >>> two.beats(one)
        True
        """
        value = cfg.to_objective(metrics) if metrics else float(step)
        return cls(value, metrics.get("loss", 0.0), epoch, step, metrics)

    def beats(self, other: Evaluation) -> bool:
        """Return whether this evaluation is better; an exact tie goes to the earlier one."""
        return (self.value, -self.loss) > (other.value, -other.loss)


@dataclass
class TrainerState:
    """Progress of a training run."""

    step: int = 0  # optimizer steps done
    best: Evaluation | None = None
    evals_without_improvement: int = 0  # evaluations since the best one
    skipped_steps: int = 0  # steps whose loss or gradient was not finite
    skipped_in_a_row: int = 0  # the last of them, without a finite step in between
    last_eval_step: int = 0  # step of the last evaluation
    loss_sum: float = 0.0  # of the steps since that evaluation, over all processes
    grad_norm_sum: float = 0.0  # of the same steps, those that are not finite left out
    grad_norm_steps: int = 0  # their number
    # Of `times` at that evaluation: train_seconds and data_seconds.
    eval_train_seconds: float = field(default=0.0, compare=False)
    eval_data_seconds: float = field(default=0.0, compare=False)
    num_steps: int = 0  # of the whole run: the learning rate depends on it
    clips_per_step: int = 0  # over all processes
    seconds: float = field(default=0.0, compare=False)  # of training, over all starts
    times: Times = field(default_factory=Times, compare=False)  # over all starts

    def save(self, checkpoint: Path) -> None:
        """Write the state into the folder of a checkpoint."""
        (checkpoint / STATE_FILE).write_text(json.dumps(dataclasses.asdict(self)), "utf-8")

    @classmethod
    def load(cls, checkpoint: Path) -> TrainerState:
        """Read the state of a checkpoint, of this or an earlier version."""
        file = find_state_file(checkpoint)
        assert file is not None, f"{checkpoint} is no checkpoint"
        tree: Mapping[str, Any] = json.loads(file.read_text("utf-8"))
        values = {FORMER_NAMES.get(name, name): value for name, value in tree.items()}
        best = Evaluation(**values["best"]) if values["best"] else None
        return cls(**{**values, "best": best, "times": Times(**values["times"])})


def find_state_file(checkpoint: Path) -> Path | None:
    """Return the file of the trainer's state in a folder; None if it is no checkpoint."""
    files = (checkpoint / STATE_FILE, checkpoint / FORMER_FILE)
    return next((file for file in files if file.is_file()), None)


def report_best(state: TrainerState, num_clips: int) -> dict[str, Any]:
    """Return the `validation` part of results.json: the evaluation of the best model.

    Without validation clips it has no metrics, only where the model was saved.

    Args:
        state: The state at the end of the run.
        num_clips: Number of validation clips.
    """
    if state.best is None:
        return {"num_examples": num_clips}
    where = {"epoch": round(state.best.epoch, 4), "step": state.best.step}
    return {**state.best.metrics, "num_examples": num_clips, **where}
