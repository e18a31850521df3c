"""The recordings of `--noise-dir`, decoded once before training, as the clips of a data set are."""

from __future__ import annotations

import functools
import logging
from collections import Counter
from pathlib import Path

import numpy as np
from datasets import Audio, Dataset
from numpy.typing import NDArray

from audio_cls.audio.files import AUDIO_SUFFIXES, find_audio_files
from audio_cls.audio.waveform import Wave
from audio_cls.config import Hertz
from audio_cls.data.clips.decode_cache import decode_clips, read_clip_stats
from audio_cls.data.clips.quality import warn_of_lost_frequencies
from audio_cls.errors import SettingError, list_names
from audio_cls.run_warnings import warn
from audio_cls.storage.arrow import MappedRows

logger = logging.getLogger(__name__)


class NoiseFiles:
    """The recordings of a folder, as a sequence of waves (T_i,) in a mapped file."""

    def __init__(self, table: Dataset, rows: NDArray[np.int64]) -> None:
        self.table = table  # decoded: wave
        self.rows = rows  # (N,) the usable rows of the table

    def __len__(self) -> int:
        """Count the recordings."""
        return len(self.rows)

    def __getitem__(self, number: int) -> Wave:
        """Return a recording (T,): a view of the file, of which nothing is read yet."""
        wave = self._waves[int(self.rows[number])]
        self._waves.pages.note(wave.nbytes)  # at most this will be read
        return wave

    @functools.cached_property
    def _waves(self) -> MappedRows:
        return MappedRows(self.table, "wave")

    def __reduce__(self) -> tuple[type[NoiseFiles], tuple[Dataset, NDArray[np.int64]]]:
        """Send a loader process the table alone: it maps the file itself."""
        return NoiseFiles, (self.table, self.rows)


def read_noise_files(folder: str, sampling_rate: Hertz) -> NoiseFiles:
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
    warn_of_lost_frequencies(notes["file_rate"].to_numpy(), sampling_rate)
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
    return NoiseFiles(decoded, rows)
