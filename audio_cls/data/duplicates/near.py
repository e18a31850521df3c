"""Near duplicates among the clips of the splits: the same recording, encoded or cut in another way.

They are reported, not removed: two clips of one drone or one jingle may be similar and both valid.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy  # type: ignore[import-untyped]
import sklearn
from datasets import Dataset
from numpy.typing import NDArray

from audio_cls.audio.fingerprint import BANDS, Fingerprint
from audio_cls.audio.waveform import Wave
from audio_cls.data.clips.clips import Clips, hash_audio
from audio_cls.data.duplicates.exact import SPLIT_PRIORITY, rows_by_split_priority
from audio_cls.data.duplicates.similarity import Pairs, find_near_duplicates, waveform_correlation
from audio_cls.data.splits.train_test_split import Rows
from audio_cls.errors import count_of
from audio_cls.progress import SharedCounter, report_shared
from audio_cls.run_warnings import warn
from audio_cls.storage.arrow import MappedRows, hide_map_bar
from audio_cls.storage.cache import cache_json, read_cached_json
from audio_cls.storage.files import write_csv
from audio_cls.storage.keys import make_key

VERSION = 2  # increase when the comparison changes, so that old caches are not used
LIBRARIES = [np.__version__, scipy.__version__, sklearn.__version__]
PAIRS_PER_PROCESS = 4096  # fewer pairs of waveforms are not worth a process

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NearDuplicate:
    """Two clips of nearly the same audio that are not equal sample by sample."""

    id: str
    split: str
    similar_to: str  # id of the other clip
    similar_to_split: str
    correlation: float  # of the waveforms

    @property
    def is_leak(self) -> bool:
        """Return whether the two clips are in different splits."""
        return self.split != self.similar_to_split


def list_near_duplicates(
    parts: Mapping[str, Rows], clips: Clips, audio_ids: NDArray[np.int64]
) -> list[NearDuplicate]:
    """List the near duplicates among clips that are not exact duplicates.

    Args:
        parts: Split -> rows of `clips`; one row may be in validation and test.
        clips: All decoded clips, row for row as in their table.
        audio_ids: Number of the audio of each of them, see `audio_group_ids`.
    """
    rows, priorities = rows_by_split_priority(parts, audio_ids)
    _, first = np.unique(audio_ids[rows], return_index=True)
    first = first[np.argsort(rows[first])]
    rows, priorities = rows[first], priorities[first]
    pairs = _find_pairs(rows, clips)
    return [
        NearDuplicate(
            str(clips.ids[rows[one]]), SPLIT_PRIORITY[priorities[one]],
            str(clips.ids[rows[two]]), SPLIT_PRIORITY[priorities[two]], round(correlation, 4),
        )
        for one, two, correlation in pairs
    ]  # fmt: skip


def _find_pairs(rows: Rows, clips: Clips) -> list[tuple[int, int, float]]:
    """Compare the clips of these rows, or read the cached result. Writes the cache.

    Returns:
        Places of two clips in `rows`, and the correlation of their waveforms.
    """
    key = make_key(version=VERSION, libraries=LIBRARIES, sound=hash_audio(clips, rows))
    cached = read_cached_json("near", key)
    if cached is not None:
        return [(one, two, correlation) for one, two, correlation in cached]
    fingerprints = _Fingerprints(MappedRows(clips.table, "fingerprint"), rows)
    pairs = find_near_duplicates(fingerprints, lambda places: _compare_rows(rows[places], clips))
    cache_json("near", key, pairs)
    return pairs


class _Fingerprints(Sequence[Fingerprint]):
    """Fingerprints of some rows of the decoded table, each read when it is used."""

    def __init__(self, column: MappedRows, rows: Rows) -> None:
        self.column, self.rows = column, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: Any) -> Any:  # noqa: ANN401 (a fingerprint, or several by slice)
        if isinstance(place, slice):
            return _Fingerprints(self.column, self.rows[place])
        data = self.column[int(self.rows[place])]
        self.column.pages.note(data.nbytes)
        return to_fingerprint(data)


def _compare_rows(pairs: Pairs, clips: Clips) -> NDArray[np.float64]:
    """Correlate the waveforms of each pair of rows, in several processes if there are many."""
    num_processes = min(os.cpu_count() or 1, len(pairs) // PAIRS_PER_PROCESS)
    name = "Near duplicates, waveforms"
    with report_shared(name, len(pairs), logger) as counter, hide_map_bar():
        if num_processes <= 1:
            return _compare_batch(pairs, clips, counter)
        found = Dataset.from_dict({"pair": pairs}).map(
            lambda block: {"correlation": _compare_batch(np.array(block), clips, counter)},
            batched=True,
            input_columns="pair",
            remove_columns="pair",
            num_proc=num_processes,
            keep_in_memory=True,
            new_fingerprint="correlation",  # else all clips would be hashed; nothing is cached
        )
    return np.array(found["correlation"])


def _compare_batch(pairs: Pairs, clips: Clips, counter: SharedCounter) -> NDArray[np.float64]:
    """Correlate the waveforms of each pair of rows."""

    def read_wave(row: int) -> Wave:
        return clips.read_wave(row, 0, int(clips.lengths[row]))

    return waveform_correlation(read_wave, clips.sampling_rate, pairs, counter.add)


def to_fingerprint(data: bytes | NDArray[np.uint8]) -> Fingerprint:
    """Return the fingerprint (F, BANDS) stored in bytes."""
    return np.frombuffer(data, np.uint8).reshape(-1, BANDS)


def warn_of_near_duplicates(pairs: Sequence[NearDuplicate]) -> None:
    """Warn of near duplicates, and name one, if possible across splits."""
    if not pairs:
        return
    first = min(pairs, key=lambda pair: not pair.is_leak)
    text = (
        f"{count_of(len(pairs), 'pair of clips is', 'pairs of clips are')} near-duplicate"
        f" ({sum(p.is_leak for p in pairs):,} across splits): one recording, encoded or cut in two"
        " ways? See near_duplicates.csv."
    )
    names = f"{first.id} in {first.split}, {first.similar_to} in {first.similar_to_split}"
    warn(logger, text, [f"first: {names}"])


def save_near_duplicates(path: Path, pairs: Sequence[NearDuplicate]) -> None:
    """Write one row per pair: id, split, like, like_split, likeness."""
    rows = [dataclasses.astuple(pair) for pair in pairs]
    write_csv(path, ["id", "split", "like", "like_split", "likeness"], rows)
