"""Class weights: of the training loss, and of how often a clip is sampled.

All of them are computed from the training clips alone; validation and test losses are not weighted.
Letters: N clips, B clips of a batch, L labels.
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
from audio_cls.errors import SettingError, count_of, describe_error, list_names, suggest_name
from audio_cls.training.optim.losses import binary_cross_entropy_per_clip, cross_entropy_per_clip

MAX_POS_WEIGHT = 20.0  # of `auto`: with more, one clip would outweigh whole batches

Floats = NDArray[np.float64]
LossFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # logits, targets -> (B,)

logger = logging.getLogger(__name__)


def make_loss(targets: LabelArray, names: Sequence[str], cfg: OptimConfig) -> LossFunction:
    """Return the loss function: logits (B, L) and targets to one loss per clip (B,).

    Args:
        targets: Labels of the training clips: ids (N,), or multi-hot (N, L) if multi-label.
        names: The L labels.
        cfg: Loss, label smoothing and weights.

    Raises:
        SettingError: A kind of weights that the task cannot use, or an invalid file of weights.
    """
    shared: dict[str, Any] = {
        "label_smoothing": cfg.label_smoothing,
        "focal_gamma": cfg.focal_gamma if cfg.loss == "focal" else 0.0,
    }
    check_weights(cfg, is_multilabel=targets.ndim > 1)
    if targets.ndim > 1:
        gain = compute_pos_weights(targets, names, cfg.pos_weight)
        return functools.partial(
            binary_cross_entropy_per_clip, pos_weight=_to_tensor(gain), **shared
        )
    weights = compute_class_weights(targets, names, cfg.class_weights)
    return functools.partial(cross_entropy_per_clip, class_weights=_to_tensor(weights), **shared)


def check_weights(
    cfg: OptimConfig, *, is_multilabel: bool, names: Sequence[str] | None = None
) -> None:
    """Check the weights of the loss against the task, before any long work.

    Args:
        cfg: The weights.
        is_multilabel: A clip may have several labels.
        names: The L labels; the file of weights is read if they are given, and the labels that it
            does not name are logged.

    Raises:
        SettingError: A kind of weights that the task cannot use, or see `load_weights`.
    """
    if is_multilabel and cfg.class_weights != "none":
        raise SettingError(
            f"--class-weights {cfg.class_weights} is for single-label tasks, and this task is"
            " multi-label. Use --pos-weight auto instead."
        )
    if not is_multilabel and cfg.pos_weight != "none":
        raise SettingError(
            f"--pos-weight {cfg.pos_weight} is for multi-label tasks, and each clip has one label"
            " here. Use --class-weights balanced instead."
        )
    if names is None or not is_file(cfg.class_weights):
        return
    path = Path(cfg.class_weights)
    load_weights(path, names)
    given = read_weights(path)
    if rest := [name for name in names if name not in given]:
        logger.info(
            "--class-weights %s: these labels are not in it and have weight 1: %s.",
            *(path, list_names(rest)),
        )


def is_file(how: str) -> bool:
    """Return whether `--class-weights` is the path of a file."""
    return how not in ("none", "balanced")


def compute_pos_weights(targets: LabelArray, names: Sequence[str], how: str) -> Floats | None:
    """Return `pos_weight` of the binary cross-entropy, shape (L,); None for 1.

    Args:
        targets: 1 where a training clip has a label, else 0, shape (N, L).
        names: The L labels.
        how: none, auto (clips without the label / clips with it, at most 20), or a number.
    """
    if how == "none":
        return None
    if how != "auto":
        return np.full(len(names), float(how))
    present = count_classes(targets)
    ratios = (len(targets) - present) / np.maximum(present, 1)
    is_capped = ratios > MAX_POS_WEIGHT
    if is_capped.any():
        shown = list_names(name for name, capped in zip(names, is_capped, strict=True) if capped)
        number = count_of(int(is_capped.sum()), "label")
        logger.info("--pos-weight auto: capped at %g for %s (%s).", MAX_POS_WEIGHT, number, shown)
    return np.asarray(np.minimum(ratios, MAX_POS_WEIGHT), dtype=np.float64)


def compute_class_weights(ids: LabelArray, names: Sequence[str], how: str) -> Floats | None:
    """Return the weight of each class in the loss, shape (L,); None for 1.

    Args:
        ids: Label ids of the training clips, shape (N,).
        names: The L labels.
        how: none; balanced: N / (classes with clips * clips of the class), as in scikit-learn; or
            the path of a file. Classes without clips, or missing in the file, have weight 1.

    Raises:
        SettingError: The file cannot be read, or names an unknown label.
    """
    if how == "none":
        return None
    if how != "balanced":
        return load_weights(Path(how), names)
    counts = np.bincount(np.asarray(ids, dtype=np.int64), minlength=len(names))
    balanced = len(ids) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.where(counts > 0, balanced, 1.0)


def load_weights(path: Path, names: Sequence[str]) -> Floats:
    """Read one weight per label from CSV (label, weight; with or without that header) or YAML.

    Returns:
        Weights in the order of `names`, shape (L,); 1 for labels that the file does not name.

    Raises:
        SettingError: The file cannot be read, names an unknown label, or has a weight that is not a
            number above 0.
    """
    given = read_weights(path)
    weights = np.ones(len(names))
    index = {name: number for number, name in enumerate(names)}
    for label, weight in given.items():
        if label not in index:
            raise SettingError(
                f"--class-weights {path}: there is no label '{label}': the labels are"
                f" {list_names(names)}.{suggest_name(label, names)}"
            )
        if not _is_weight(weight):
            raise SettingError(
                f"--class-weights {path}: the weight of '{label}' is {weight!r}: it must be a"
                " number above 0."
            )
        weights[index[label]] = float(str(weight))
    return weights


def read_weights(path: Path) -> dict[str, object]:
    """Read the label: weight pairs of a file; labels and weights are not checked yet.

    Raises:
        SettingError: The file cannot be read, or has no such pairs.
    """
    try:
        text = path.read_text("utf-8")
        if path.suffix.lower() == ".csv":
            rows = [row for row in csv.reader(text.splitlines()) if row]
            if rows and rows[0] == ["label", "weight"]:
                rows = rows[1:]
            return {label: weight for label, weight in rows}
        tree = yaml.safe_load(text)
        if not isinstance(tree, dict):
            raise ValueError("it holds no 'label: weight' lines")
        return {str(label): weight for label, weight in tree.items()}
    except (OSError, ValueError, csv.Error, yaml.YAMLError) as error:
        reason = describe_error(error)
        raise SettingError(
            f"--class-weights {path} cannot be read ({reason}): give none, balanced, a .csv file"
            " of label,weight rows or a .yaml file of 'label: weight' lines."
        ) from error


def _is_weight(value: object) -> bool:
    """Return whether a value is a finite number above 0."""
    try:
        return 0 < float(str(value)) < math.inf
    except ValueError:
        return False


def compute_clip_weights(
    targets: LabelArray, names: Sequence[str], cfg: OptimConfig, epoch: LabelArray | None = None
) -> Floats | None:
    """Return the weight of each clip in the mean loss of its step, shape (N,); None for 1.

    It is the weight of the clip's class. With mixup the class of the other clip does not count:
    other clips are drawn from all clips alike, so that the expected sum is the same.

    Args:
        targets: Labels of the training clips: ids (N,), or multi-hot (N, L).
        names: The L labels.
        cfg: `class_weights`.
        epoch: Labels of the clips of one epoch, if it uses a subset of the clips.
    """
    if targets.ndim > 1:
        return None
    weights = compute_class_weights(targets if epoch is None else epoch, names, cfg.class_weights)
    return None if weights is None else weights[targets.astype(np.int64)]


def compute_sampling_weights(
    targets: LabelArray, cfg: OptimConfig, epoch: LabelArray | None = None
) -> Floats | None:
    """Return the sampling weight of each clip, shape (N,); None if each is used once per epoch.

    It is 1 / (clips of the label in an epoch), so that all labels are drawn equally often; for a
    clip with several labels the mean of that, without a label 1 / (clips without a label).

    Args:
        targets: Labels of the training clips: ids (N,), or multi-hot (N, L).
        cfg: `sampler`.
        epoch: Labels of the clips of one epoch, if it uses a subset of the clips.
    """
    if cfg.sampler == "uniform":
        return None
    counted = targets if epoch is None else epoch
    if targets.ndim == 1:
        num_labels = int(targets.max(initial=-1)) + 1
        counts = np.bincount(counted.astype(np.int64), minlength=num_labels)
        return np.asarray(1 / np.maximum(counts, 1)[targets.astype(np.int64)])
    counts = np.maximum(count_classes(counted), 1)
    has_label = np.not_equal(targets, 0)
    num_labels = has_label.sum(axis=1)
    without = max(1, int((num_labels == 0).sum()))
    means = (has_label / counts).sum(axis=1) / np.maximum(num_labels, 1)
    return np.where(num_labels > 0, means, 1 / without)


def _to_tensor(values: Floats | None) -> torch.Tensor | None:
    """Return a float32 tensor, as the logits are."""
    return None if values is None else torch.tensor(values, dtype=torch.float32)
