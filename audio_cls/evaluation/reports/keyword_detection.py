"""Keyword detection: false accepts per hour at a given false reject rate.

Accuracy gives silence and keywords the same weight; on a device that is always on, false accepts
matter more. A keyword is detected in a clip when it is the most probable keyword and its
probability reaches a threshold. A keyword clip is falsely rejected unless its own keyword is
detected; a clip of `_unknown_` or `_silence_` is falsely accepted when a keyword is detected. N
clips, L labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2  # type: ignore[import-untyped]

from audio_cls.data.keyword_spotting.relabel import SILENCE, UNKNOWN
from audio_cls.evaluation.metrics.scores import Scores

NO_KEYWORDS = (UNKNOWN, SILENCE)
REJECT_RATES = (0.01, 0.05, 0.1)  # false reject rates that are reported
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True)
class OperatingPoint:
    """The errors at a threshold."""

    threshold: float
    false_rejects: float  # share of the keyword clips whose own keyword is not detected
    false_accepts: int  # other clips in which a keyword is detected


def find_operating_point(
    true: NDArray[np.int64],
    scores: NDArray[np.float64],
    is_keyword: NDArray[np.bool_],
    max_rejects: float,
) -> OperatingPoint | None:
    """Find the highest threshold at which at most `max_rejects` of the keywords are missed.

    Args:
        true: Label ids, (N,).
        scores: Probabilities, (N, L).
        is_keyword: Which labels are keywords, (L,).
        max_rejects: Allowed share of falsely rejected keyword clips.

    Returns:
        None when no threshold rejects so few: too many keywords are confused with another one.
    """
    keyword_scores = np.where(is_keyword, scores, -1.0)
    best, score = keyword_scores.argmax(axis=1), keyword_scores.max(axis=1)
    is_keyword_clip = is_keyword[true]
    true_scores = np.where(best == true, score, -1.0)[is_keyword_clip]  # of keyword clips
    num_detected = len(true_scores) - int(np.floor(max_rejects * len(true_scores) + 1e-9))
    threshold = float(np.sort(true_scores)[-num_detected]) if num_detected else float("inf")
    if threshold < 0:
        return None
    return OperatingPoint(
        threshold,
        false_rejects=float((true_scores < threshold).mean()),
        false_accepts=int((score[~is_keyword_clip] >= threshold).sum()),
    )


def bound_hourly(count: int, hours: float) -> tuple[float, float]:
    """Return the exact 95 % interval of an hourly rate, from `count` events in `hours`.

    For a Poisson process (Garwood 1936): with no event in one hour, the upper bound is 3.69.
    """
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return float(low / hours), float(chi2.ppf(0.975, 2 * count + 2) / 2 / hours)


def report_detection(
    scores: Scores, names: Sequence[str], seconds: NDArray[np.float64] | None
) -> dict[str, Any]:
    """Return the `detection` part of results.json; empty where it does not apply.

    That is for multi-label tasks, without a label `_unknown_` or `_silence_`, without clips of them
    or of keywords, and where the durations are not known.

    Args:
        scores: Of the test clips.
        names: Names of the L labels.
        seconds: Duration of each clip, (N,).
    """
    if scores.is_multilabel:
        return {}
    is_keyword = np.array([name not in NO_KEYWORDS for name in names])
    is_keyword_clip = is_keyword[scores.targets]
    if seconds is None or is_keyword.all() or is_keyword_clip.all() or not is_keyword_clip.any():
        return {}
    other_seconds = float(seconds[~is_keyword_clip].sum())
    hours = other_seconds / SECONDS_PER_HOUR
    points: list[dict[str, Any]] = []
    for rate in REJECT_RATES:
        found = find_operating_point(scores.targets, scores.probabilities, is_keyword, rate)
        if found is None:
            points.append({"allowed_false_rejects": rate, "threshold": None})
            continue
        bounds = bound_hourly(found.false_accepts, hours)
        points.append(
            {
                "allowed_false_rejects": rate,
                "threshold": round(found.threshold, 6),
                "false_rejects": round(found.false_rejects, 4),
                "false_accepts": found.false_accepts,
                "false_accepts_per_hour": round(found.false_accepts / hours, 2),
                "false_accepts_per_hour_ci95": [round(bound, 2) for bound in bounds],
            }
        )
    return {
        "detection": {
            "keyword_clips": int(is_keyword_clip.sum()),
            "other_clips": int((~is_keyword_clip).sum()),
            "other_seconds": round(other_seconds, 2),
            "points": points,
        }
    }
