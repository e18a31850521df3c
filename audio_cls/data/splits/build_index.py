"""The clips of all splits in one line, with ids, labels, groups and folds, before they are cut."""

from __future__ import annotations

import numpy as np
from datasets import ClassLabel
from numpy.typing import NDArray

from audio_cls.audio.waveform import read_clip_ids
from audio_cls.config import DataConfig
from audio_cls.data.keyword_spotting.relabel import IS_PIECE, RECORDING
from audio_cls.data.keyword_spotting.sampling import read_fillers
from audio_cls.data.labels.label_columns import compile_pattern, find_first
from audio_cls.data.labels.labels import Labels
from audio_cls.data.labels.parse import make_cell_reader
from audio_cls.data.sources.parquet.shards import RowReader
from audio_cls.data.sources.source import Source
from audio_cls.data.splits.kfold import fold_pool
from audio_cls.data.splits.splits import Pool
from audio_cls.data.streaming.clips import StreamClips
from audio_cls.errors import DatasetError, list_names, suggest_name
from audio_cls.storage.arrow import copy_columns


def pool_clips(source: Source, labels: Labels, cfg: DataConfig) -> Pool:
    """Line the clips of all given splits up, with their ids, labels, groups and folds.

    Raises:
        DatasetError: The group or fold column does not exist.
    """
    given, start = {}, 0
    for name, table in source.splits.items():
        given[name] = np.arange(start, start + len(table))
        start += len(table)
    ids = read_clip_ids(source.splits, source.audio_column)
    pool = Pool(
        labels=np.concatenate([labels.ids[name] for name in source.splits]),
        ids=ids,
        groups=_read_groups(source, ids, cfg),
        folds=read_texts(source, cfg.fold_column, "--fold-column"),
        given=given,
        targets=None
        if labels.targets is None
        else np.concatenate([labels.targets[name] for name in source.splits]),
        recordings=_read_recordings(source),
        fillers=read_fillers(labels.names, cfg),
        stream=_make_stream(source, labels, cfg),
        names=labels.names,
    )
    return fold_pool(pool, cfg)


def _make_stream(source: Source, labels: Labels, cfg: DataConfig) -> StreamClips | None:
    """Return the streamed training clips, of no sampling rate yet; None when nothing is."""
    if source.shards is None:
        return None
    columns = (source.audio_column, labels.column)
    missing = [name for name in columns if name not in source.shards.features]
    if missing:
        raise DatasetError(
            f"The split '{source.shards.split}' has no column '{missing[0]}': it has"
            f" {list_names(source.shards.features)}. Choose another by --label-column."
        )
    kind = source.shards.features[labels.column]
    return StreamClips(
        reader=RowReader(source.shards, columns),
        audio_column=source.audio_column,
        label_column=labels.column,
        read_cell=make_cell_reader(source.splits, labels.column, cfg.label_separator, kind),
        task=labels,
        sampling_rate=0,
        cfg=cfg,
    )


def read_texts(source: Source, column: str | None, flag: str) -> NDArray[np.str_] | None:
    """Read a column of all splits as text: classes by name, 1.0 as '1', nothing as ''."""
    if column is None:
        return None
    columns = list(dict.fromkeys(name for t in source.splits.values() for name in t.column_names))
    if column not in columns:
        raise DatasetError(
            f"There is no column '{column}' for {flag}: the columns are"
            f" {list_names(columns)}.{suggest_name(column, columns)}"
        )
    texts: list[str] = []
    for table in source.splits.values():
        if column not in table.column_names:
            texts += [""] * len(table)
            continue
        cells = copy_columns(table, [column])[column].to_pylist()
        kind = table.features.get(column)
        names = kind.names if isinstance(kind, ClassLabel) else None
        texts += [_to_text(names[cell] if names and cell is not None else cell) for cell in cells]
    return np.array(texts, dtype=np.str_)


def _read_recordings(source: Source) -> NDArray[np.str_] | None:
    """Read what pieces of silence were cut from, '' for other clips; None without such pieces."""
    tables = source.splits.values()
    if not all(RECORDING in table.column_names for table in tables):
        return None
    names = np.concatenate([np.array(table[RECORDING][:], dtype=np.str_) for table in tables])
    return names if (names != "").any() else None


def _read_groups(source: Source, ids: NDArray[np.str_], cfg: DataConfig) -> NDArray[np.str_] | None:
    """Return the group of each clip: the column's text, or what `--group-pattern` finds in it.

    Pieces of silence that the program made or cut have no group ('').

    Raises:
        DatasetError: The pattern is no regular expression with a group, or its group finds nothing
            in some clip.
    """
    texts = read_texts(source, cfg.group_column, "--group-column")
    if cfg.group_pattern is None:
        return texts
    pattern = compile_pattern(cfg.group_pattern, "--group-pattern", "group")
    given = (ids if texts is None else texts).tolist()
    groups = [find_first(pattern, text) or "" for text in given]
    pieces = _list_pieces(source)
    missing = [
        text
        for text, group, is_piece in zip(given, groups, pieces, strict=True)
        if not group and not is_piece
    ]
    if missing:
        raise DatasetError(
            f"--group-pattern {cfg.group_pattern} finds no group in {len(missing)} of"
            f" {len(given)} clips: {list_names(missing[:3])}. Change the expression so that its"
            " first (...) matches in every clip."
        )
    return np.array(
        ["" if is_piece else group for group, is_piece in zip(groups, pieces, strict=True)],
        dtype=np.str_,
    )


def _list_pieces(source: Source) -> list[bool]:
    """Return for each clip whether it is a piece of silence that the program made or cut."""
    return [
        is_piece
        for table in source.splits.values()
        for is_piece in (
            table[IS_PIECE][:] if IS_PIECE in table.column_names else [False] * len(table)
        )
    ]


def _to_text(cell: object) -> str:
    """Write one cell.

    >>> _to_text(3.0), _to_text(None), _to_text("a b")
    ('3', '', 'a b')
    """
    if cell is None:
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
