"""A keyword spotter as a detector: false accepts an hour at a given share of missed keywords.

Accuracy weighs a clip of silence like a keyword; a device that listens all day cares how often it
wakes for nothing. A clip fires its most probable keyword when that one's probability reaches a
threshold. A keyword clip is falsely rejected unless its own keyword fires; a clip of `_unknown_` or
`_silence_` is falsely accepted when any keyword fires. N clips, L labels.
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
RATES = (0.01, 0.05, 0.1)  # false-reject rates that are reported
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True)
class OperatingPoint:
    """What a threshold gives."""

    threshold: float
    false_rejects: float  # share of the keyword clips whose own keyword does not fire
    false_accepts: int  # clips of no keyword that fire


def find_operating_point(
    true: NDArray[np.int64],
    scores: NDArray[np.float64],
    is_keyword: NDArray[np.bool_],
    most_rejects: float,
) -> OperatingPoint | None:
    """Find the highest threshold at which at most `most_rejects` of the keywords are missed.

    Args:
        true: Label ids, (N,).
        scores: Probabilities, (N, L).
        is_keyword: Which labels are keywords, (L,).
        most_rejects: Allowed share of missed keyword clips.

    Returns:
        None when no threshold misses so few: too many keywords are taken for another one.
    """
    words = np.where(is_keyword, scores, -1.0)
    best, score = words.argmax(axis=1), words.max(axis=1)
    is_word_clip = is_keyword[true]
    own = np.where(best == true, score, -1.0)[is_word_clip]  # the score by which its own word fires
    wanted = len(own) - int(np.floor(most_rejects * len(own) + 1e-9))
    threshold = float(np.sort(own)[::-1][wanted - 1]) if wanted else float("inf")
    if threshold < 0:
        return None
    return OperatingPoint(
        threshold,
        false_rejects=float((own < threshold).mean()),
        false_accepts=int((score[~is_word_clip] >= threshold).sum()),
    )


def bound_hourly(count: int, hours: float) -> tuple[float, float]:
    """Return the exact 95 % interval of a rate of which `count` events were seen in `hours`.

    The events are taken as a Poisson process (Garwood 1936): none in an hour still allows 3.69.
    """
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return float(low / hours), float(chi2.ppf(0.975, 2 * count + 2) / 2 / hours)


def report_detection(
    scores: Scores, names: Sequence[str], seconds: NDArray[np.float64] | None
) -> dict[str, Any]:
    """Return the `detection` part of a result; empty where it makes no sense.

    That is with several labels a clip, without a label `_unknown_` or `_silence_`, without a clip
    of them or of a keyword, and where the clips' lengths are not known.

    Args:
        scores: A row a clip.
        names: The L labels.
        seconds: Length of each clip, (N,).
    """
    if scores.is_multilabel:
        return {}
    is_keyword = np.array([name not in NO_KEYWORDS for name in names])
    is_word_clip = is_keyword[scores.targets]
    if seconds is None or is_keyword.all() or is_word_clip.all() or not is_word_clip.any():
        return {}
    heard = float(seconds[~is_word_clip].sum())
    hours = heard / SECONDS_PER_HOUR
    points: list[dict[str, Any]] = []
    for rate in RATES:
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
            "keyword_clips": int(is_word_clip.sum()),
            "other_clips": int((~is_word_clip).sum()),
            "other_seconds": round(heard, 2),
            "points": points,
        }
    }
