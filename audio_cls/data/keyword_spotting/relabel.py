"""Keyword spotting: labels that are no keywords become `_unknown_`, and silence is added.

The classes are then the keywords, `_silence_` and `_unknown_`, as the 12 classes of Speech Commands
(Warden 2018, arXiv:1804.03209, section 6). sampling.py chooses the clips of each split and epoch.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset, DatasetInfo, concatenate_datasets

from audio_cls.audio.decode import measure_seconds
from audio_cls.config import DataConfig
from audio_cls.data.keyword_spotting.silence import (
    SYNTHESISE,
    Recording,
    SilencePiece,
    cut_recordings,
    list_recordings,
    make_silence,
)
from audio_cls.data.labels.filter import check_known
from audio_cls.data.labels.label_text import normalize_names
from audio_cls.data.labels.labels import read_label_column
from audio_cls.data.labels.parse import NULL, LabelColumn, Names
from audio_cls.data.loaded_dataset import IS_SILENCE_PIECE, SILENCE_RECORDING, LoadedDataset
from audio_cls.errors import DatasetError, list_names
from audio_cls.storage.keys import make_key

UNKNOWN, SILENCE = "_unknown_", "_silence_"
SILENCE_LABELS = (SILENCE, "_background_noise_")  # the two names in Speech Commands
AUTO = "auto"  # --silence-from: the label of silence, if there is one, else synthetic noise
LONG = 1.5  # a clip of silence that is longer, in pieces, is a recording to be cut


def relabel_keywords(dataset: LoadedDataset, cfg: DataConfig) -> LoadedDataset:
    """Relabel the clips for keyword spotting and add silence; without these settings do nothing.

    Args:
        dataset: The data set.
        cfg: `keywords`, `unknown_from`, `silence_from` and the settings next to them.

    Returns:
        The data set with the parsed label column, a ClassLabel of the keywords, then `_silence_`
        and `_unknown_` where there are such clips. If silence is asked for, the column `file` has
        the clip ids.

    Raises:
        DatasetError: A label does not exist, clips have several, or there is no silence.
    """
    if not is_keyword_task(cfg):
        return dataset
    labels = read_label_column(dataset, cfg)
    if any(len(names) > 1 for clips in labels.clips.values() for names in clips):
        raise DatasetError(
            f"Keyword spotting needs one label per clip, and clips of '{labels.name}' have"
            " several. Remove --keywords, --unknown-from and --silence-from."
        )
    renamed = rename_labels(labels.classes, cfg)
    names = {
        split: [renamed[clip[0]] if clip else None for clip in clips]
        for split, clips in labels.clips.items()
    }
    if cfg.silence_from is not None:
        dataset, names = _add_silence(dataset, labels, names, cfg)
    present = set(itertools.chain.from_iterable(names.values()))
    declared = list(dict.fromkeys([*renamed.values(), SILENCE]))
    keywords = [name for name in declared if name not in (SILENCE, UNKNOWN)]
    classes = (*keywords, *(name for name in (SILENCE, UNKNOWN) if name in present))
    splits = {
        split: _set_labels(table, labels.name, classes, names[split])
        for split, table in dataset.splits.items()
    }
    parsed = _make_label_column(labels.name, classes, names)
    return replace(dataset, splits=splits, label_column=parsed)


def _make_label_column(
    column: str, classes: Names, names: Mapping[str, list[str | None]]
) -> LabelColumn:
    """Return the parsed label column of clips with one name each, None for no label."""
    num_null = sum(labels.count(None) for labels in names.values())
    return LabelColumn(
        column,
        classes,
        {s: [() if name is None else (name,) for name in labels] for s, labels in names.items()},
        Counter({NULL: num_null} if num_null else {}),
        {split: np.zeros(len(labels), dtype=np.bool_) for split, labels in names.items()},
    )


def is_keyword_task(cfg: DataConfig) -> bool:
    """Return whether the settings ask for keywords, unknown words or silence."""
    return bool(cfg.keywords or cfg.unknown_from or cfg.silence_from)


def rename_labels(classes: Names, cfg: DataConfig) -> dict[str, str]:
    """Return label -> new label: a keyword, `_silence_` or `_unknown_`.

    Raises:
        DatasetError: The settings name a label that does not exist.
    """
    keywords = () if cfg.unknown_from else normalize_names(cfg.keywords)
    unknown = normalize_names(cfg.unknown_from)
    check_known(keywords, classes, "--keywords")
    check_known(unknown, classes, "--unknown-from")
    renamed = {name: name for name in classes}
    for name in classes:
        is_keyword = name in keywords if keywords else name not in unknown
        if name in (*SILENCE_LABELS, cfg.silence_from):
            renamed[name] = SILENCE
        elif not is_keyword:
            renamed[name] = UNKNOWN
    # The classes are in the order of --keywords.
    return {name: renamed[name] for name in (*keywords, *classes)}


def _add_silence(
    dataset: LoadedDataset,
    labels: LabelColumn,
    names: Mapping[str, list[str | None]],
    cfg: DataConfig,
) -> tuple[LoadedDataset, dict[str, list[str | None]]]:
    """Replace recordings of silence by pieces of them, or append pieces to the first split.

    Args:
        dataset: The data set.
        labels: Its label column.
        names: Split -> new label of each clip.
        cfg: Settings.

    Returns:
        The data set with the pieces, and the new label of each of its clips.
    """
    splits, column = dataset.splits, dataset.audio_column
    first = cfg.train_split if cfg.train_split in splits else next(iter(splits))
    ends = np.cumsum([len(table) for table in splits.values()])
    tables, new_names = {}, {}
    ids: list[str] = []
    for (split, table), own_ids in zip(
        splits.items(), np.split(dataset.ids, ends[:-1]), strict=True
    ):
        wanted = _count_wanted(split, first, names, cfg)
        long = _find_recordings(table, column, labels.clips[split], own_ids, cfg)
        pieces = cut_recordings(list(long.values()), cfg.silence_seconds, wanted) if long else []
        if split == first and not long:
            pieces = _find_elsewhere(wanted, names, cfg)
        kept = [row for row in range(len(table)) if row not in long]
        table = _set_ids(_drop_rows(table, long), own_ids[kept])
        if pieces:
            rows = _make_rows(table, column, pieces, is_assigned_later=split == first)
            table = concatenate_datasets([table, rows])
        tables[split] = table
        new_names[split] = [names[split][row] for row in kept] + [SILENCE] * len(pieces)
        ids += [*own_ids[kept].tolist(), *(piece.id for piece in pieces)]
    return replace(dataset, splits=tables, ids=np.array(ids, dtype=np.str_)), new_names


def _count_wanted(
    split: str, first: str, names: Mapping[str, list[str | None]], cfg: DataConfig
) -> int:
    """Return the number of pieces for a split; the first also has those of splits without silence.

    Args:
        split: Its name.
        first: Name of the split whose pieces are assigned to other splits later.
        names: Split -> new label of each clip.
        cfg: `silence_share`.
    """
    counted = [
        own_names
        for name, own_names in names.items()
        if name == split or (split == first and SILENCE not in own_names)
    ]
    labels = itertools.chain.from_iterable(counted)
    keyword_clips = sum(label not in (None, SILENCE, UNKNOWN) for label in labels)
    return math.ceil(cfg.silence_share * keyword_clips)


def _find_recordings(
    table: Dataset, audio_column: str, clips: list[Names], ids: np.ndarray, cfg: DataConfig
) -> dict[int, Recording]:
    """Return row -> recording of the clips of silence that are long enough to cut."""
    recordings = {}
    undecoded = table.with_format(None)
    for row, names in enumerate(clips):
        if names and names[0] in (cfg.silence_from, *SILENCE_LABELS):
            cell = undecoded[row][audio_column] or {}
            clip = Recording(str(ids[row]), cell.get("bytes"), cell.get("path"))
            if measure_seconds(clip.bytes_, clip.path) > LONG * cfg.silence_seconds:
                recordings[row] = clip
    return recordings


def _find_elsewhere(
    count: int, names: Mapping[str, list[str | None]], cfg: DataConfig
) -> list[SilencePiece]:
    """Return pieces of the recordings in a folder, or synthetic ones.

    None is returned where the data set has a label of silence with short clips.

    Raises:
        DatasetError: `--silence-from` is neither a folder nor a label.
    """
    folder = _find_folder(cfg)
    if folder is not None:
        return cut_recordings(list_recordings(folder), cfg.silence_seconds, count)
    has_label = any(SILENCE in labels for labels in names.values())
    if cfg.silence_from == SYNTHESISE or (cfg.silence_from == AUTO and not has_label):
        return make_silence(count, cfg.silence_seconds, cfg.split_seed)
    if has_label:
        return []
    labels = sorted(filter(None, set(itertools.chain.from_iterable(names.values()))))
    raise DatasetError(
        f"--silence-from '{cfg.silence_from}' is neither a folder nor a label: the labels are"
        f" {list_names(labels)}. Give one of them, a folder of recordings, '{SYNTHESISE}' or"
        f" '{AUTO}'."
    )


def _find_folder(cfg: DataConfig) -> Path | None:
    """Return the folder that --silence-from names, if it is one."""
    folder = Path(cfg.silence_from or "").expanduser()
    return folder if cfg.silence_from and folder.is_dir() else None


def _set_ids(table: Dataset, ids: np.ndarray) -> Dataset:
    """Write the clip ids into a column `file`, and add the columns of silence pieces."""
    added = ("file", SILENCE_RECORDING, IS_SILENCE_PIECE)
    table = table.remove_columns([name for name in added if name in table.column_names])
    table = table.add_column("file", pa.array(ids.tolist(), pa.string()))
    table = table.add_column(SILENCE_RECORDING, pa.array([""] * len(table), pa.string()))
    return table.add_column(IS_SILENCE_PIECE, pa.array([False] * len(table)))


def _make_rows(
    table: Dataset, audio_column: str, pieces: list[SilencePiece], *, is_assigned_later: bool
) -> Dataset:
    """Make one row per piece, with the columns of a table; other columns are null.

    Args:
        table: The table that the rows are appended to.
        audio_column: Its audio column.
        pieces: The pieces.
        is_assigned_later: Whether the recordings are assigned to splits later.
    """
    schema = table.features.arrow_schema
    columns = {field.name: pa.nulls(len(pieces), field.type) for field in schema}
    # The name depends on the content, as cache keys depend on the name.
    cells = [{"bytes": one.bytes_, "path": f"{make_key(piece=one.bytes_)}.wav"} for one in pieces]
    columns[audio_column] = pa.array(cells, schema.field(audio_column).type)
    columns["file"] = pa.array([one.id for one in pieces], schema.field("file").type)
    recordings = [one.recording if is_assigned_later else "" for one in pieces]
    columns[SILENCE_RECORDING] = pa.array(recordings, schema.field(SILENCE_RECORDING).type)
    columns[IS_SILENCE_PIECE] = pa.array([True] * len(pieces))
    return Dataset(pa.table(columns, schema=schema), info=DatasetInfo(features=table.features))


def _drop_rows(table: Dataset, rows: Collection[int]) -> Dataset:
    """Remove rows from a table without copying the audio of the others."""
    edges = [-1, *sorted(rows), len(table)]
    parts = [range(last + 1, row) for last, row in itertools.pairwise(edges) if row > last + 1]
    return concatenate_datasets([table.select(part) for part in parts]) if rows else table


def _set_labels(
    table: Dataset, column: str, classes: Sequence[str], names: Sequence[str | None]
) -> Dataset:
    """Replace the label column by a ClassLabel of these names."""
    id_of = {name: number for number, name in enumerate(classes)}
    ids = [None if name is None else id_of[name] for name in names]
    others = table.select_columns([name for name in table.column_names if name != column])
    return others.add_column(column, ids, feature=ClassLabel(names=list(classes)))
