"""How long the parts of a training took, and its electricity: summed over all starts of a run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field


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
