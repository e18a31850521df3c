"""One split alone, for evaluation: its clips are decoded, the others are not touched."""

from __future__ import annotations

import numpy as np
from datasets import concatenate_datasets

from audio_cls.config import DataConfig, Hertz
from audio_cls.data.clips.clips import Clips
from audio_cls.data.clips.decode_cache import decode_clips, read_notes
from audio_cls.data.clips.quality import check_faults, find_faults
from audio_cls.data.sources.source import Source
from audio_cls.data.splits.splits import Pool
from audio_cls.data.splits.train_test_split import Rows, cap_rows
from audio_cls.errors import DatasetError, list_names
from audio_cls.storage.keys import make_key


def prepare_split(
    source: Source, pool: Pool, rows: Rows, sampling_rate: Hertz, cfg: DataConfig
) -> tuple[Clips, dict[str, str]]:
    """Decode these rows of the pool, capped by `--max-eval-samples` as in training.

    Writes the cache of waves.

    Returns:
        The clips that can be used, and {clip id: reason} of the others.

    Raises:
        DatasetError: More than `cfg.max_bad_share` of the clips are bad, or none is left.
    """
    own = cap_rows(rows, pool.marks, cfg.max_eval_samples, cfg.split_seed)
    sounds = [table.select_columns([source.audio_column]) for table in source.splits.values()]
    table = concatenate_datasets(sounds).select(own)
    key = make_key(source=source.content_key, clips=pool.ids[own])
    decoded = decode_clips(table, source.audio_column, sampling_rate, key, cfg.max_clip_seconds)
    notes = read_notes(decoded)
    faults = find_faults(notes, pool.ids[own], sampling_rate, cfg)
    check_faults(faults, len(own), cfg)
    kept = np.flatnonzero([name not in faults for name in pool.ids[own]])
    if len(kept) == 0:
        raise DatasetError(f"No clip is left; the first faults: {list_names(faults.items())}")
    lengths = notes["num_samples"].to_numpy()[kept]
    row = own[kept]
    clips = Clips(decoded, kept, pool.marks[row], pool.ids[row], lengths, sampling_rate)
    return clips, faults
