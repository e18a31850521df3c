"""What the clips of a training weigh: in the loss, and in how often they are drawn.

Comes in: the training clips' labels, the labels' names, the settings. Goes out: the function from
logits to losses, and for `DistributedBatchSampler` two numbers a clip. Everything is counted on the
training clips alone; validation and test losses stay plain and unweighted. N clips, L labels.
"""

from __future__ import annotations

import csv
import functools
import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from audio_cls.config import OptimConfig
from audio_cls.data.splits.iterative_stratification import LabelArray, count_classes
from audio_cls.errors import SettingError, list_names, suggest_name
from audio_cls.training.optim.losses import binary_cross_entropy_per_clip, cross_entropy_per_clip

MAX_POS_WEIGHT = 20.0  # of `auto`: beyond it one clip would outweigh whole batches

Floats = NDArray[np.float64]
ClipLosses = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

logger = logging.getLogger(__name__)


def make_loss(marks: LabelArray, names: Sequence[str], cfg: OptimConfig) -> ClipLosses:
    """Return the function from logits (B, L) and targets to one loss a clip (B,).

    Args:
        marks: Labels of the training clips: ids (N,), or marks (N, L) if multi-label.
        names: The L labels.
        cfg: Which loss, smoothing and weights.

    Raises:
        SettingError: A weight was asked for that the task has no use for, or the file of weights
            is not one.
    """
    shared: dict[str, Any] = {
        "label_smoothing": cfg.label_smoothing,
        "focal_gamma": cfg.focal_gamma if cfg.loss == "focal" else 0.0,
    }
    if marks.ndim > 1:
        if cfg.class_weights != "none":
            raise SettingError(
                f"--class-weights {cfg.class_weights} is for one label a clip, and this task is"
                " multi-label. Use --pos-weight auto instead."
            )
        gain = compute_pos_weights(marks, names, cfg.pos_weight)
        return functools.partial(
            binary_cross_entropy_per_clip, pos_weight=_to_tensor(gain), **shared
        )
    if cfg.pos_weight != "none":
        raise SettingError(
            f"--pos-weight {cfg.pos_weight} is for multi-label tasks, and here a clip has one"
            " label. Use --class-weights balanced instead."
        )
    weights = compute_class_weights(marks, names, cfg.class_weights)
    return functools.partial(cross_entropy_per_clip, class_weights=_to_tensor(weights), **shared)


def compute_pos_weights(marks: LabelArray, names: Sequence[str], how: str) -> Floats | None:
    """Return what a clip that has a label counts against one that has not, (L,); None for 1.

    Args:
        marks: 1 where a training clip has a label, (N, L).
        names: The L labels.
        how: none, auto (clips without the label / clips with it, at most 20), or a number.
    """
    if how == "none":
        return None
    if how != "auto":
        return np.full(len(names), float(how))
    present = count_classes(marks)
    ratios = (len(marks) - present) / np.maximum(present, 1)
    is_capped = ratios > MAX_POS_WEIGHT
    if is_capped.any():
        shown = list_names(name for name, capped in zip(names, is_capped, strict=True) if capped)
        text = "--pos-weight auto: capped at %g for %d labels (%s)."
        logger.info(text, MAX_POS_WEIGHT, int(is_capped.sum()), shown)
    return np.asarray(np.minimum(ratios, MAX_POS_WEIGHT), dtype=np.float64)


def compute_class_weights(ids: LabelArray, names: Sequence[str], how: str) -> Floats | None:
    """Return the weight of each class in the loss, (L,); None for 1.

    Args:
        ids: Label ids of the training clips, (N,).
        names: The L labels.
        how: none; balanced: N / (classes with clips * clips of the class), as scikit-learn; or a
            file. Classes without clips, or that the file does not name, weigh 1.

    Raises:
        SettingError: The file cannot be read, or names a label that there is not.
    """
    if how == "none":
        return None
    if how != "balanced":
        return load_weights(Path(how), names)
    counts = np.bincount(np.asarray(ids, dtype=np.int64), minlength=len(names))
    balanced = len(ids) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.where(counts > 0, balanced, 1.0)


def load_weights(path: Path, names: Sequence[str]) -> Floats:
    """Read a weight a label from CSV (label, weight; a header may lead) or YAML (label: weight).

    Raises:
        SettingError: The file cannot be read, names a label that there is not, or holds a weight
            that is no number above 0.
    """
    told = _read_pairs(path)
    weights = np.ones(len(names))
    place = {name: number for number, name in enumerate(names)}
    for label, weight in told.items():
        if label not in place:
            raise SettingError(
                f"--class-weights {path}: there is no label '{label}': the labels are"
                f" {list_names(names)}.{suggest_name(label, names)}"
            )
        if not _is_weight(weight):
            raise SettingError(
                f"--class-weights {path}: the weight of '{label}' is {weight!r}: it must be a"
                " number above 0."
            )
        weights[place[label]] = float(str(weight))
    rest = [name for name in names if name not in told]
    if rest:
        logger.info("--class-weights %s: not named, so of weight 1: %s.", path, list_names(rest))
    return weights


def _read_pairs(path: Path) -> dict[str, object]:
    """Read the pairs of a file of weights, of whatever they are."""
    try:
        text = path.read_text("utf-8")
        if path.suffix.lower() == ".csv":
            rows = [row for row in csv.reader(text.splitlines()) if row]
            if rows and rows[0] == ["label", "weight"]:
                rows = rows[1:]
            return {label: weight for label, weight in rows}
        told = yaml.safe_load(text)
        if not isinstance(told, dict):
            raise ValueError("it holds no 'label: weight' lines")
        return {str(label): weight for label, weight in told.items()}
    except (OSError, ValueError, csv.Error, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise SettingError(
            f"--class-weights {path} cannot be read ({reason}): it is none, balanced, or a .csv"
            " file of label,weight rows or a .yaml file of 'label: weight' lines."
        ) from error


def _is_weight(value: object) -> bool:
    """Tell whether a value is a finite number above 0."""
    try:
        return 0 < float(str(value)) < math.inf
    except ValueError:
        return False


def compute_clip_weights(
    marks: LabelArray, names: Sequence[str], cfg: OptimConfig, epoch: LabelArray | None = None
) -> Floats | None:
    """Return what each clip adds to the weight its step's loss is divided by, (N,); None for 1.

    It is the weight of the clip's class. Where clips are mixed, a partner's class is not asked:
    partners are drawn from all clips alike, so that on average the sum is the same.

    Args:
        marks: Labels of the training clips, (N,), or marks (N, L).
        names: The L labels.
        cfg: `class_weights`.
        epoch: Labels of the clips that one epoch uses, where that is a part of them.
    """
    if marks.ndim > 1:
        return None
    weights = compute_class_weights(marks if epoch is None else epoch, names, cfg.class_weights)
    return None if weights is None else weights[marks.astype(np.int64)]


def compute_sampling_weights(
    marks: LabelArray, cfg: OptimConfig, epoch: LabelArray | None = None
) -> Floats | None:
    """Return how often each clip is drawn, in proportion, (N,); None for each once.

    A clip is drawn by the inverse of its label's clips in an epoch, so that every label is drawn as
    often; with several labels by the mean of theirs, without one by the inverse of such clips.

    Args:
        marks: Labels of the training clips, (N,), or marks (N, L).
        cfg: `sampler`.
        epoch: Labels of the clips that one epoch uses, where that is a part of them.
    """
    if cfg.sampler == "uniform":
        return None
    counted = marks if epoch is None else epoch
    if marks.ndim == 1:
        num_labels = int(marks.max(initial=-1)) + 1
        counts = np.bincount(counted.astype(np.int64), minlength=num_labels)
        return np.asarray(1 / np.maximum(counts, 1)[marks.astype(np.int64)])
    counts = np.maximum(count_classes(counted), 1)
    own = np.not_equal(marks, 0)
    num_own = own.sum(axis=1)
    bare = max(1, int((num_own == 0).sum()))
    return np.where(num_own > 0, (own / counts).sum(axis=1) / np.maximum(num_own, 1), 1 / bare)


def _to_tensor(values: Floats | None) -> torch.Tensor | None:
    """Return float32, as the logits are."""
    return None if values is None else torch.tensor(values, dtype=torch.float32)
