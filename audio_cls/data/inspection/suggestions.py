"""Suggested settings for a data set, from the durations of its clips and the class counts."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from audio_cls.config import MAX_CROP_SECONDS, ModelConfig, Seconds, flag_name
from audio_cls.data.unused_columns import MIN_GROUPS, Unused

BALANCED = 2.0  # largest ratio of two class counts for which accuracy is suggested
MIN_CLIPS = 3  # of a class with clips in training, validation and test

DEFAULT_MODEL = ModelConfig.model
# Training memory of the default model, DistilHuBERT (23.7 million weights), in float32: weights,
# gradients and the two moments of AdamW take 16 bytes per weight; the activations saved for the
# backward pass take 42 to 60 MB per second of audio (measured with saved_tensors_hooks of torch).
MODEL_MB = 380
MB_PER_SECOND = 50
MEMORY_BUDGET_MB = 8_000  # of a small GPU
LARGEST_BATCH = 32
SMALL_BATCH = 8  # that of the audio course, for sets that are too small for `STEPS_PER_EPOCH`
STEPS_PER_EPOCH = 20  # at least, so that a few epochs are enough
MOST_FOR_AUTO = 5_000  # clips; with more, its passes take long, and fine-tuning is rarely worse
RECIPE = {"method", "epochs", "max_steps", "learning_rate", "freeze", "from_scratch", "sweep"}


def suggest_settings(
    seconds: np.ndarray,
    classes: Mapping[str, int],
    *,
    is_multilabel: bool = False,
    chosen: Mapping[str, Any] | None = None,
    unused: Sequence[Unused] = (),
) -> dict[str, Any]:
    """Suggest training settings.

    The crop is as long as 95 % of the clips, at most 30 s. The batch size is the largest power of
    two that trains DistilHuBERT in 8 GB, smaller for few clips (8 below 320). Where a class has
    more than twice the clips of another, classes are weighted. Classes of one or two clips cannot
    be in all three splits. `--method auto` is suggested for up to `MOST_FOR_AUTO` clips, unless a
    preset or flag has a recipe.

    Args:
        seconds: Durations, (N,).
        classes: Class -> number of clips.
        is_multilabel: Whether a clip may have several labels.
        chosen: Settings that a preset or flag has: they are used, not suggested.
        unused: Columns and file names of folds, splits and groups.

    Returns:
        The values, `arguments` of `train`, and `flags`, these as text for a shell; empty without
        durations. `memory_mb` is None for another model than DistilHuBERT, whose batch size is not
        suggested.
    """
    if len(seconds) == 0:
        return {}
    chosen = chosen or {}
    crop = float(chosen.get("max_seconds") or _choose_crop(seconds))
    most = (MEMORY_BUDGET_MB - MODEL_MB) / (MB_PER_SECOND * crop)
    most = min(most, LARGEST_BATCH, max(SMALL_BATCH, len(seconds) / STEPS_PER_EPOCH))
    batch = 2 ** math.floor(math.log2(max(1.0, most)))
    if isinstance(chosen.get("batch_size"), int):
        batch = chosen["batch_size"]
    present = {name: count for name, count in classes.items() if count}
    common = {name: count for name, count in present.items() if count >= MIN_CLIPS}
    # Where most classes are rare, leaving them out would change the task.
    has_rare = max(2, len(present) / 2) <= len(common) < len(present)
    has_rare = has_rare and "merge_rare_into" not in chosen
    kept = common if has_rare else present
    is_balanced = not kept or max(kept.values()) <= BALANCED * min(kept.values())
    weights = {
        name: round(sum(kept.values()) / (len(kept) * count), 3) for name, count in kept.items()
    }
    metric = "map" if is_multilabel else "accuracy" if is_balanced else "f1_macro"
    model = str(chosen.get("model") or DEFAULT_MODEL)
    is_default = model == DEFAULT_MODEL
    wanted: dict[str, Any] = {}
    if len(seconds) <= MOST_FOR_AUTO and not RECIPE & chosen.keys():
        wanted["method"] = "auto"
    wanted["max_seconds"] = f"{crop:g}"
    if is_default:  # the memory that a batch of another model needs is not known
        wanted["batch_size"] = batch
    wanted["metric"] = metric
    if has_rare:
        wanted["min_clips_per_label"] = MIN_CLIPS
    if not is_balanced and not {"sampler", "class_weights", "pos_weight"} & chosen.keys():
        wanted |= {"pos_weight": "auto"} if is_multilabel else {"class_weights": "balanced"}
    arguments = list_arguments({k: v for k, v in wanted.items() if k not in chosen})
    arguments += choose_splits(unused, len(seconds))
    return {
        "max_seconds": crop,
        "batch_size": batch,
        "model": model,
        "memory_mb": round(MODEL_MB + MB_PER_SECOND * crop * batch) if is_default else None,
        "metric": metric,
        "class_weights": weights if "class_weights" in wanted else {},
        "arguments": arguments,
        "flags": shlex.join(arguments),
    }


def choose_splits(unused: Sequence[Unused], num_clips: int) -> tuple[str, ...]:
    """Return the flags of one column or pattern by which to split: of folds, splits or groups.

    Args:
        unused: What `find_unused` lists.
        num_clips: Number of usable clips.
    """
    for kind, least in (("fold", MIN_GROUPS), ("split", 2), ("group", MIN_GROUPS)):
        for one in unused:
            if one.kind == kind and one.flags and least <= one.num_values < num_clips:
                return one.flags
    return ()


def list_arguments(settings: Mapping[str, object]) -> list[str]:
    """Return settings as arguments of a command.

    >>> list_arguments({"group_column": "my speaker", "batch_size": 8})
    ['--group-column', 'my speaker', '--batch-size', '8']
    """
    return [word for name, value in settings.items() for word in (flag_name(name), str(value))]


def _choose_crop(seconds: np.ndarray) -> Seconds:
    """Return the length that 95 % of the clips have at most, in steps of 0.5 s or 1 s."""
    p95 = float(np.percentile(seconds, 95))
    step = 0.5 if p95 <= 10 else 1.0
    return min(MAX_CROP_SECONDS, max(step, math.ceil(p95 / step - 1e-6) * step))
