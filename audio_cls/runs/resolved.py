"""Resolved run: the values that a run found for the settings that were left open."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audio_cls.config import SECTIONS, Hertz, RunConfig, Seconds

RESOLVED = "resolved"  # the key of run_config.yaml, next to the sections
# Value of a setting that is left open. A branch or tag of a revision is open, too: it can move.
OPEN = {
    "dataset_revision": None,
    "group_column": None,
    "problem_type": "auto",
    "model_revision": None,
    "max_seconds": None,
    "metric": "auto",
    "mixed_precision": "auto",
}
STEP_SIZE = ("batch_size", "gradient_accumulation_steps", "effective_batch_size")

Settings = Mapping[str, Mapping[str, Any]]  # section -> setting -> value


@dataclass(frozen=True)
class ResolvedRun:
    """What a run found in its data set, its checkpoint and its machine; None: not found yet.

    `resolve_run` makes it from data set and checkpoint, `find_batch_size` adds the size of a step.
    run_config.yaml has it under `resolved`, and a run that is resumed takes it from there: a data
    set or a model may have changed on the Hub since the run began.
    """

    dataset_revision: str | None = None  # commit on the Hub; None for a local data set
    group_column: str | None = None  # names the recording of each segment, where they are grouped
    problem_type: str | None = None  # single-label or multi-label
    model_revision: str | None = None  # commit on the Hub; None for a folder
    max_seconds: Seconds | None = None  # of a training crop
    sampling_rate: Hertz = 0  # of the model's input; 0: not found yet
    metric: str | None = None  # that chooses the best checkpoint
    mixed_precision: str | None = None  # Accelerate's name of the number format
    batch_size: int | None = None  # clips of a forward pass on each process
    accumulation_steps: int | None = None  # forward passes of an optimizer step on each process
    effective_batch_size: int | None = None  # clips of an optimizer step over all processes

    def apply(self, cfg: RunConfig) -> RunConfig:
        """Return the settings with these values where the settings leave one open.

        >>> ResolvedRun(metric="map", max_seconds=4.0).apply(RunConfig()).eval.metric
        'map'
        """
        given = {name: vars(getattr(cfg, name)) for name in SECTIONS}
        filled = self.fill(given)
        parts: dict[str, Any] = {
            name: dataclasses.replace(getattr(cfg, name), **filled[name])
            for name in SECTIONS
            if filled[name] != given[name]
        }
        return dataclasses.replace(cfg, **parts)

    def fill(self, settings: Settings) -> dict[str, dict[str, Any]]:
        """Return the settings by section, with these values where the settings leave one open."""
        found = {name: getattr(self, name) for name in OPEN if getattr(self, name) is not None}
        filled: dict[str, dict[str, Any]] = {}
        for section, values in settings.items():
            filled[section] = {
                name: found[name]
                if name in found and (value == OPEN[name] or name.endswith("_revision"))
                else value
                for name, value in values.items()
            }
        train = filled.get("train", {})
        if train.get("batch_size") == "auto" and self.batch_size is not None:
            clips = train["effective_batch_size"] or self.effective_batch_size
            passes = 1 if clips is not None else self.accumulation_steps
            train.update(zip(STEP_SIZE, (self.batch_size, passes, clips), strict=True))
        return filled


NOT_RESOLVED = ResolvedRun()


def read_resolved(tree: Mapping[str, Any]) -> ResolvedRun:
    """Return what a run resolved.

    Args:
        tree: The content of its run_config.yaml. Earlier versions wrote no key `resolved`, but the
            resolved values as those of the settings.
    """
    names = {one.name for one in dataclasses.fields(ResolvedRun)}
    if isinstance(tree.get(RESOLVED), Mapping):
        # Earlier versions did not resolve the number format: it was that of the setting.
        found: dict[str, Any] = {
            "mixed_precision": (tree.get("train") or {}).get("mixed_precision")
        }
        found |= {k: v for k, v in tree[RESOLVED].items() if k in names}
        return ResolvedRun(**found)
    values = {
        name: value
        for section in SECTIONS
        for name, value in (tree.get(section) or {}).items()
        if name in names and value != OPEN.get(name)
    }
    if values.get("batch_size") == "auto":
        del values["batch_size"]
    passes = (tree.get("train") or {}).get("gradient_accumulation_steps")
    return ResolvedRun(**values, accumulation_steps=passes)


def read_settings(tree: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the settings of a run by section, as they were used in it.

    Args:
        tree: The content of its run_config.yaml, of any version.
    """
    given = {
        str(name): dict(values)
        for name, values in tree.items()
        if name not in (RESOLVED, "record") and isinstance(values, Mapping)
    }
    return read_resolved(tree).fill(given) if RESOLVED in tree else given
