"""Settings that fit a data set, from the durations of its clips and the sizes of its classes."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from typing import Any

import numpy as np

from audio_cls.config import Seconds, flag_name

BALANCED = 2.0  # a largest class at most this many times the smallest leaves accuracy fair
MIN_CLIPS = 4  # of a class that can have clips in training, validation and test

# Training memory of the default model, DistilHuBERT (23.7 million weights), in float32: weights,
# gradients and AdamW's two moments take 16 bytes a weight; the activations kept for the backward
# pass were measured with torch.autograd.graph.saved_tensors_hooks at 42 to 60 MB a second of sound.
MODEL_MB = 380
MB_PER_SECOND = 50
MEMORY_BUDGET_MB = 8_000  # of a small GPU
LARGEST_BATCH = 32
MAX_CROP_SECONDS: Seconds = 30.0


def suggest_settings(
    seconds: np.ndarray,
    classes: Mapping[str, int],
    *,
    is_multilabel: bool = False,
    chosen: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Suggest how to train, from durations (N,) and the clips of each class.

    The longest piece is what 95 % of the clips fit into, at most 30 s. The batch is the largest
    power of two that trains DistilHuBERT in 8 GB. Where a class has more than twice the clips of
    another, rare ones weigh more. Classes of one to three clips cannot be in all three splits.

    Args:
        seconds: Durations.
        classes: Class -> clips.
        is_multilabel: Whether a clip may have several labels.
        chosen: Settings that a preset or flag gives already: they are followed, not suggested.

    Returns:
        The values and `flags`, as they are typed in a shell; empty without durations.
    """
    if len(seconds) == 0:
        return {}
    chosen = chosen or {}
    piece = float(chosen.get("max_seconds") or _choose_piece(seconds))
    room = (MEMORY_BUDGET_MB - MODEL_MB) / (MB_PER_SECOND * piece)
    batch = int(min(LARGEST_BATCH, 2 ** math.floor(math.log2(max(1.0, room)))))
    if isinstance(chosen.get("batch_size"), int):
        batch = chosen["batch_size"]
    present = {name: count for name, count in classes.items() if count}
    common = {name: count for name, count in present.items() if count >= MIN_CLIPS}
    has_rare = 2 <= len(common) < len(present) and "merge_rare_into" not in chosen
    kept = common if has_rare else present
    is_balanced = not kept or max(kept.values()) <= BALANCED * min(kept.values())
    weights = {
        name: round(sum(kept.values()) / (len(kept) * count), 3) for name, count in kept.items()
    }
    metric = "map" if is_multilabel else "accuracy" if is_balanced else "f1_macro"
    wanted: dict[str, Any] = {"max_seconds": f"{piece:g}", "batch_size": batch, "metric": metric}
    if has_rare:
        wanted["min_clips_per_label"] = MIN_CLIPS
    if not is_balanced and not {"sampler", "class_weights", "pos_weight"} & chosen.keys():
        wanted |= {"pos_weight": "auto"} if is_multilabel else {"class_weights": "balanced"}
    return {
        "max_seconds": piece,
        "batch_size": batch,
        "memory_mb": round(MODEL_MB + MB_PER_SECOND * piece * batch),
        "metric": metric,
        "class_weights": weights if "class_weights" in wanted else {},
        "flags": write_flags({k: v for k, v in wanted.items() if k not in chosen}),
    }


def write_flags(settings: Mapping[str, object]) -> str:
    """Write settings as they are typed in a shell.

    >>> write_flags({"group_column": "my speaker", "batch_size": 8})
    "--group-column 'my speaker' --batch-size 8"
    """
    words = [(flag_name(name), str(value)) for name, value in settings.items()]
    return shlex.join(word for pair in words for word in pair)


def _choose_piece(seconds: np.ndarray) -> Seconds:
    """Return the length that 95 % of the clips fit into, in steps of half a second or a second."""
    p95 = float(np.percentile(seconds, 95))
    step = 0.5 if p95 <= 10 else 1.0
    return min(MAX_CROP_SECONDS, max(step, math.ceil(p95 / step - 1e-6) * step))
