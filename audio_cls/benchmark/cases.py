"""Benchmark cases for two cores and for a GPU, and the shapes of the shipped presets."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SEED = 42
CONTENDERS = {
    "mapped": "Trainer, features mapped first",
    "on-the-fly": "Trainer, transform on the fly",
    "audio_cls": "audio_cls",
}


@dataclass(frozen=True)
class Case:
    """One comparison: the same clips, weights and settings for every contender."""

    shape: str  # of the checkpoint, see random_checkpoints.py
    seconds: tuple[float, float]  # shortest and longest clip
    train_clips: int
    eval_clips: int
    epochs: int
    batch_size: int
    freeze: str  # none, features or backbone
    learning_rate: float = 1e-4
    full: tuple[int, int, float, int] = (0, 0, 0.0, 0)  # --full: clips twice, seconds, epochs
    length_buckets: int | None = None  # audio_cls only: the Trainer's recipes do not sort by length

    def enlarge(self) -> Case:
        """Return the case with the sizes for a GPU."""
        train, evaluation, longest, epochs = self.full
        shortest = longest if self.seconds[0] == self.seconds[1] else self.seconds[0]
        return Case(
            **{
                **asdict(self),
                "train_clips": train,
                "eval_clips": evaluation,
                "seconds": (shortest, longest),
                "epochs": epochs,
            }
        )

    @property
    def max_seconds(self) -> float:
        """Return the longest clip's duration, so that no clip is cropped."""
        return self.seconds[1]

    def to_json(self) -> dict[str, Any]:
        """Return the description that a child process reads."""
        return asdict(self)


CASES = {
    "gtzan-frozen": Case(
        "distilhubert", (10, 10), 16, 8, 10, 8, "features", full=(899, 100, 30.0, 10)
    ),
    "gtzan-unfrozen": Case(
        "distilhubert", (10, 10), 16, 8, 2, 8, "none", full=(899, 100, 30.0, 10)
    ),
    "keywords-distilhubert": Case(
        "distilhubert", (1, 1), 64, 32, 4, 32, "none", full=(51094, 6798, 1.0, 2)
    ),
    "keywords-whisper": Case("whisper", (1, 1), 32, 16, 2, 8, "none", full=(51094, 6798, 1.0, 2)),
    "keywords-ast": Case("ast", (1, 1), 24, 8, 1, 8, "none", full=(5109, 680, 1.0, 1)),
    "mixed": Case(
        "wav2vec2",
        (0.5, 12),
        32,
        8,
        3,
        8,
        "features",
        full=(2000, 200, 12.0, 3),
        length_buckets=32,
    ),
    "probe": Case("wav2vec2", (5, 5), 32, 8, 10, 8, "backbone", 1e-3, full=(2000, 200, 10.0, 10)),
}
GROUPS = {
    "gtzan": ("gtzan-frozen", "gtzan-unfrozen"),
    "keywords": ("keywords-distilhubert", "keywords-whisper", "keywords-ast"),
    "mixed": ("mixed",),
    "probe": ("probe",),
}


@dataclass(frozen=True)
class Recipe:
    """Shapes of a preset's checkpoint and data set, from which the cost of a step is measured."""

    shape: str  # of the checkpoint, see random_checkpoints.py
    seconds: tuple[float, float]  # shortest and longest clip
    train_clips: int
    eval_clips: int  # validation clips
    flags: tuple[str, ...] = ()  # instead of columns and words that the generated clips lack


KEYWORDS = ("--dataset-config", "", "--keywords", "low,high", "--silence-from", "noise")
RECIPES = {
    "gtzan": Recipe("distilhubert", (30, 30), 899, 100),
    "gtzan-fault-filtered": Recipe("distilhubert", (30, 30), 443, 197),
    "gtzan-strong": Recipe("distilhubert", (30, 30), 799, 100),
    "keyword-spotting": Recipe("distilhubert", (1, 1), 51094, 6798, KEYWORDS),
    "keyword-spotting-35": Recipe(
        "distilhubert", (1, 1), 84843, 9981, ("--dataset-config", "", "--drop-labels", "")
    ),
    "language-id": Recipe("wav2vec2", (3, 6), 22194, 5888),  # common_language
    "environmental-sounds": Recipe("ast", (5, 5), 1200, 400),  # three of ESC-50's folds
    "emotion": Recipe("wav2vec2", (1.5, 4), 5953, 745),
}
