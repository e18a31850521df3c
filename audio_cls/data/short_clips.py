"""Clips that are too short for a model are filled up with silence, and this is said."""

from __future__ import annotations

import logging

from audio_cls.data.prepare import PreparedClips
from audio_cls.run_warnings import warn

logger = logging.getLogger(__name__)


def warn_of_short_clips(clips: PreparedClips, min_samples: int) -> None:
    """Warn of clips that are shorter than what a model needs for one frame.

    Args:
        clips: The clips of all splits; streamed ones are not known yet.
        min_samples: Samples of the shortest wave that the model takes, at its sampling rate.
    """
    for role, part in clips.items():
        names = part.ids[part.lengths < min_samples]
        if len(names):
            seconds = min_samples / part.sampling_rate
            warn(
                logger,
                f"{len(names)} of {len(part)} {role} clips are shorter than {seconds:.3g} s, the"
                " shortest that the model takes: silence is added to them.",
                names.tolist(),
            )
