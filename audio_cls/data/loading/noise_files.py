"""The recordings of `--noise-dir`, decoded once before training, as the clips of a data set are."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import numpy as np
from datasets import Audio, Dataset

from audio_cls.audio.files import AUDIO_SUFFIXES, find_audio_files
from audio_cls.config import Hertz
from audio_cls.data.clips.clips import Clips
from audio_cls.data.clips.decode_cache import decode_clips, read_clip_stats
from audio_cls.errors import SettingError, list_names
from audio_cls.run_warnings import warn

logger = logging.getLogger(__name__)


def read_noise_files(folder: str, sampling_rate: Hertz) -> Clips:
    """Decode the recordings below a folder, those that can be read. Writes the cache of waves.

    Args:
        folder: Where they are, at any depth.
        sampling_rate: Of the waves, in Hz.

    Returns:
        The recordings in the order of their paths, without labels. Others are named in a warning.

    Raises:
        SettingError: There is none, or none that can be read.
    """
    root = Path(folder).expanduser().absolute()
    paths = find_audio_files(root)
    if not paths:
        raise SettingError(
            f"--noise-dir {folder} holds no recording. Give a folder with"
            f" {', '.join(AUDIO_SUFFIXES[:4])} ... files."
        )
    names = np.array([path.relative_to(root).as_posix() for path in paths])
    table = Dataset.from_dict({"audio": [str(path) for path in paths]})
    table = table.cast_column("audio", Audio(decode=False))
    decoded = decode_clips(table, "audio", sampling_rate, content_key="noise files")
    notes = read_clip_stats(decoded)
    reasons = notes["fault"].to_pylist()
    rows = np.flatnonzero([reason is None for reason in reasons])
    faults = {str(n): str(r) for n, r in zip(names, reasons, strict=True) if r is not None}
    if len(rows) == 0:
        raise SettingError(
            f"--noise-dir {folder}: none of the {len(paths)} recordings can be read"
            f" ({list_names(f'{name}: {reason}' for name, reason in faults.items())}). Repair"
            " them, or give another folder."
        )
    if faults:
        kinds = Counter(reason.split(":")[0] for reason in faults.values())
        summary = ", ".join(f"{count} {reason}" for reason, count in kinds.most_common())
        warn(
            logger,
            f"{len(faults)} of {len(paths)} recordings of --noise-dir are not used: {summary}.",
            names=faults,
        )
    labels = np.zeros(len(rows), np.int64)
    lengths = notes["num_samples"].to_numpy()[rows]
    return Clips(decoded, rows, labels, names[rows], lengths, sampling_rate)
