"""Recordings of `--noise-dir`, decoded once before training into the decode cache."""

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
from audio_cls.errors import SettingError, count_of, list_names
from audio_cls.run_warnings import warn
from audio_cls.storage.arrow import MappedRows

logger = logging.getLogger(__name__)


class NoiseFiles:
    """Usable recordings of a folder: a sequence of waveforms (T_i,) in a memory-mapped file."""

    def __init__(self, table: Dataset, rows: NDArray[np.int64]) -> None:
        self.table = table  # decoded: wave
        self.rows = rows  # (N,) the usable rows of the table

    def __len__(self) -> int:
        """Return the number of recordings."""
        return len(self.rows)

    def __getitem__(self, number: int) -> Wave:
        """Return a recording (T,): a view of the mapped file, which is read on use."""
        wave = self._waves[int(self.rows[number])]
        self._waves.pages.note(wave.nbytes)  # at most this many bytes will be read
        return wave

    @functools.cached_property
    def _waves(self) -> MappedRows:
        return MappedRows(self.table, "wave")

    def __reduce__(self) -> tuple[type[NoiseFiles], tuple[Dataset, NDArray[np.int64]]]:
        """Send only the table to a loader worker, which maps the file again."""
        return NoiseFiles, (self.table, self.rows)


def read_noise_files(folder: str, sampling_rate: Hertz) -> NoiseFiles:
    """Decode the recordings in a folder and its subfolders. Writes the decode cache.

    Args:
        folder: The folder.
        sampling_rate: Rate of the waveforms in Hz.

    Returns:
        The usable recordings in the order of their paths; a warning names the others.

    Raises:
        SettingError: There is no recording, or none that can be decoded.
    """
    root = Path(folder).expanduser().absolute()
    paths = find_audio_files(root)
    if not paths:
        raise SettingError(
            f"--noise-dir {folder} contains no recording. Give a folder with"
            f" {', '.join(AUDIO_SUFFIXES[:4])} ... files."
        )
    names = np.array([path.relative_to(root).as_posix() for path in paths])
    table = Dataset.from_dict({"audio": [str(path) for path in paths]})
    table = table.cast_column("audio", Audio(decode=False))
    decoded = decode_clips(table, "audio", sampling_rate, content_key="noise files")
    stats = read_clip_stats(decoded)
    warn_of_lost_frequencies(stats["file_rate"].to_numpy(), sampling_rate)
    reasons = stats["error"].to_pylist()
    rows = np.flatnonzero([reason is None for reason in reasons])
    bad = {str(n): str(r) for n, r in zip(names, reasons, strict=True) if r is not None}
    if len(rows) == 0:
        raise SettingError(
            f"--noise-dir {folder}: none of the {count_of(len(paths), 'recording')} can be read"
            f" ({list_names(f'{name}: {reason}' for name, reason in bad.items())}). Repair"
            " them, or give another folder."
        )
    if bad:
        kinds = Counter(reason.split(":")[0] for reason in bad.values())
        summary = ", ".join(f"{count} {reason}" for reason, count in kinds.most_common())
        warn(
            logger,
            f"--noise-dir: {len(bad)} of {count_of(len(paths), 'recording')}"
            f" {'is' if len(bad) == 1 else 'are'} not used: {summary}.",
            names=bad,
        )
    return NoiseFiles(decoded, rows)
