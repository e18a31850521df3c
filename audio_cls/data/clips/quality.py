"""Unusable clips: found after decoding, reported, and limited in number.

Decoding finds clips that are missing, unreadable, empty, truncated, not finite or too long. Whether
a clip is too short or silent depends on settings and is decided from the cached lengths and peaks.
"""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from audio_cls.audio.waveform import SILENT_PEAK
from audio_cls.config import DataConfig, Hertz
from audio_cls.errors import MAX_LISTED, DatasetError, count_of
from audio_cls.run_warnings import warn

USUAL_RATE: Hertz = 48_000  # recordings at higher rates are often made for ultrasound

logger = logging.getLogger(__name__)


def find_unusable_clips(
    stats: pa.Table, ids: NDArray[np.str_], sampling_rate: Hertz, cfg: DataConfig
) -> dict[str, str]:
    """List the clips that cannot be used.

    Args:
        stats: Output of `read_clip_stats`, N rows.
        ids: Clip ids, (N,).
        sampling_rate: Rate of the waveforms in Hz.
        cfg: `min_clip_seconds` and `drop_silent`.

    Returns:
        Clip id -> reason, with details after a colon.
    """
    lengths, peaks = stats["num_samples"].to_numpy(), stats["peak"].to_numpy()
    is_error = pc.is_valid(stats["error"]).to_numpy()
    min_length = cfg.min_clip_seconds * sampling_rate
    reasons = {}
    for row in np.flatnonzero(is_error | (lengths < min_length) | (peaks < SILENT_PEAK)).tolist():
        reason = stats["error"][row].as_py() or unusable_reason(
            int(lengths[row]), float(peaks[row]), sampling_rate, cfg
        )
        if reason:
            reasons[str(ids[row])] = reason
    if not cfg.drop_silent and cfg.silence_from is None:
        is_silent = ~is_error & (peaks < SILENT_PEAK) & (lengths >= min_length)
        _warn_of_silence(ids[is_silent], len(ids))
    return reasons


def warn_of_lost_frequencies(file_rates: NDArray[np.int32], sampling_rate: Hertz) -> None:
    """Warn if clips were recorded far above the model's rate, as ultrasound is.

    Args:
        file_rates: Sampling rates of the files in Hz, (N,).
        sampling_rate: Rate of the model in Hz.
    """
    highest = int(file_rates.max(initial=0))
    if highest > max(USUAL_RATE, sampling_rate):
        warn(
            logger,
            f"Clips were recorded at up to {highest} Hz and the model uses {sampling_rate} Hz:"
            f" content above {sampling_rate // 2} Hz is removed. `audio-cls inspect` measures"
            " how much of the energy that is.",
        )


def _warn_of_silence(silent: NDArray[np.str_], num_clips: int) -> None:
    """Warn of silent clips that are used; mixing channels in antiphase makes a clip silent, too."""
    if len(silent):
        warn(
            logger,
            f"Silent, or with channels that cancel each other when mixed to mono: {len(silent):,}"
            f" of {count_of(num_clips, 'clip')}. They are used; --drop-silent leaves them out.",
            names=silent,
        )


def unusable_reason(num_samples: int, peak: float, sampling_rate: Hertz, cfg: DataConfig) -> str:
    """Return why a decoded clip cannot be used; '' if it can.

    >>> unusable_reason(160, 0.5, 16_000, DataConfig(min_clip_seconds=0.1))
    'too short: 0.010 s'
    """
    if num_samples < cfg.min_clip_seconds * sampling_rate:
        return f"too short: {num_samples / sampling_rate:.3f} s"
    return "silent" if cfg.drop_silent and peak < SILENT_PEAK else ""


def enforce_bad_audio_limit(reasons: dict[str, str], num_clips: int, cfg: DataConfig) -> None:
    """Log the number of unusable clips by reason, and refuse too many.

    Raises:
        DatasetError: There are more than `cfg.max_bad_audio_ratio`, or any at all with
            `--bad-audio fail`.
    """
    excess = describe_excess(reasons, num_clips, cfg)
    if excess is not None:
        raise DatasetError(excess)
    if reasons:
        clips = count_of(num_clips, "clip")
        logger.warning(
            "%s left out: %s (first: %s). Repair them to use them; bad_audio.csv in the run folder"
            " and `audio-cls inspect` list them.",
            count_of(len(reasons), f"of {clips} is", f"of {clips} are"),
            _count_reasons(reasons),
            _list_examples(reasons),
        )


def describe_excess(reasons: dict[str, str], num_clips: int, cfg: DataConfig) -> str | None:
    """Return the error about too many unusable clips; None if they are few enough.

    Args:
        reasons: See `find_unusable_clips`.
        num_clips: Number of clips, with those.
        cfg: `bad_audio` and `max_bad_audio_ratio`.
    """
    if not reasons:
        return None
    clips = count_of(num_clips, "clip")
    why = f"({_count_reasons(reasons)}; first: {_list_examples(reasons)})"
    if len(reasons) == num_clips:
        return (
            f"None of {clips} can be used {why}. Repair them, or check --dataset and"
            " --audio-column."
        )
    text = f"{len(reasons):,} of {clips} cannot be used {why}. Repair or remove them, or"
    if cfg.bad_audio == "fail":
        return f"{text} leave them out with --bad-audio skip."
    if len(reasons) > cfg.max_bad_audio_ratio * num_clips:
        share = np.ceil(100 * len(reasons) / num_clips) / 100
        return f"{text} allow them with --max-bad-audio-ratio {share:.2f}"
    return None


def _count_reasons(reasons: dict[str, str]) -> str:
    """Return the number of unusable clips by reason, the most frequent first."""
    kinds = Counter(text.split(":")[0] for text in reasons.values())
    return ", ".join(f"{count} {reason}" for reason, count in kinds.most_common())


def _list_examples(reasons: dict[str, str]) -> str:
    """Return the first clip of each kind of reason, with the whole reason."""
    examples: dict[str, str] = {}
    for clip, reason in reasons.items():
        examples.setdefault(reason.split(":")[0], f"{clip}, {reason}")
    return "; ".join(list(examples.values())[:MAX_LISTED])
