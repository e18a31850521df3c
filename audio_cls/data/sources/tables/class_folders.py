"""Class folders: the label of a clip is the name of its folder, `[SPLIT/]LABEL/clip.wav`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from datasets import Audio, Dataset, DatasetDict

from audio_cls.data.sources.naming_schemes import suggest_label_pattern
from audio_cls.data.sources.split_names import SPLIT_OF_NAME
from audio_cls.errors import DatasetError, count_of, list_names
from audio_cls.run_warnings import warn

LEVEL_COLUMN = "folder_{}"  # column with the folder at one level, where there are several levels

logger = logging.getLogger(__name__)


def read_class_folders(folder: Path, clips: Sequence[Path], level: int | None) -> DatasetDict:
    """Make tables from `[SPLIT/]LABEL/clip.wav`: columns audio, label and file (relative path).

    Leading folders that all clips share (`Data/genres_original/`) are skipped. The folders below
    them are splits if all have names of splits, or if two splits are among them; then clips in
    other folders are left out. The label is the rest of the path, or the folder at `level`. Where
    there are several levels, the folders are also the columns folder_1, folder_2 ...

    Args:
        folder: The folder of the data set.
        clips: Its audio files.
        level: `--label-level`: 1 is the first folder below `folder`, -1 the folder of the file;
            None for the whole path.

    Raises:
        DatasetError: No clip is in a class folder, split folders have no class folders, or there is
            no such level.
    """
    if level == 0:
        raise DatasetError(
            "--label-level 0 is not possible: 1 is the first folder, -1 the last one."
        )
    paths = [path.relative_to(folder).parts for path in clips]
    depth = _count_shared_folders(paths)
    is_split = _has_split_folders([parts[depth:-1] for parts in paths])
    if is_split and level is not None:  # the level may be that of these folders
        is_split = any((_find_level(parts, level) or 0) > depth for parts in paths)
    rows: dict[str, list[tuple[str, ...]]] = {}
    num_outside = 0
    for path, parts in zip(clips, paths, strict=True):
        split, label = _read_label(parts, depth, level, is_split=is_split)
        if label is None:
            num_outside += 1
            continue
        rows.setdefault(split, []).append((str(path), label, "/".join(parts), *parts[:-1]))
    if not rows:
        raise DatasetError(_explain_no_label(folder, paths, is_split=is_split, level=level))
    if num_outside:
        warn(logger, f"Left out: {count_of(num_outside, 'clip')} outside of the class folders.")
    if level is None:
        labels = {row[1] for split_rows in rows.values() for row in split_rows}
        _warn_of_levels(labels, depth + is_split)
    _warn_of_empty_folders(folder, clips, paths, depth + is_split)
    num_levels = max(map(len, paths)) - 1
    return DatasetDict({split: _make_table(table, num_levels) for split, table in rows.items()})


def read_clip_files(folder: Path, clips: Sequence[Path]) -> DatasetDict:
    """Make tables of clips whose folders are no labels: columns audio and file (relative path).

    The first folder below the shared ones is the split, where these folders are splits (see
    `read_class_folders`); else all clips are in train.
    """
    rows: dict[str, list[tuple[str, str]]] = {}
    paths = [path.relative_to(folder).parts for path in clips]
    depth = _count_shared_folders(paths)
    is_split = _has_split_folders([parts[depth:-1] for parts in paths])
    for path, parts in zip(clips, paths, strict=True):
        split = SPLIT_OF_NAME.get(parts[depth].lower(), "train") if is_split else "train"
        rows.setdefault(split, []).append((str(path), "/".join(parts)))
    tables = DatasetDict()
    for split, pairs in rows.items():
        paths_of_split, names = zip(*pairs, strict=True)
        table = Dataset.from_dict({"audio": paths_of_split, "file": names})
        tables[split] = table.cast_column("audio", Audio(decode=False))
    return tables


def _make_table(rows: list[tuple[str, ...]], num_levels: int) -> Dataset:
    """Make a table of (path, label, file, folders ...)."""
    names = ["audio", "label", "file"]
    if num_levels > 1:
        names += [LEVEL_COLUMN.format(level) for level in range(1, num_levels + 1)]
    columns = {
        name: [row[place] if place < len(row) else "" for row in rows]
        for place, name in enumerate(names)
    }
    return Dataset.from_dict(columns).cast_column("audio", Audio(decode=False))


def _read_label(
    parts: tuple[str, ...], depth: int, level: int | None, *, is_split: bool
) -> tuple[str, str | None]:
    """Return the split and the label of a clip; the label is None where it has none."""
    folders = parts[depth:-1]
    split = SPLIT_OF_NAME.get(folders[0].lower()) if folders and is_split else "train"
    first = depth + is_split
    if split is None:  # a folder next to those of the splits
        return "train", None
    if level is None:
        return split, "/".join(parts[first:-1]) or None
    place = _find_level(parts, level)
    return split, parts[place] if place is not None and place >= first * is_split else None


def _find_level(parts: tuple[str, ...], level: int) -> int | None:
    """Return the position of the folder at a level in a path; None where there is none."""
    place = level - 1 if level > 0 else len(parts) - 1 + level
    return place if 0 <= place < len(parts) - 1 else None


def _has_split_folders(folders: Sequence[tuple[str, ...]]) -> bool:
    """Return whether the first folders are splits: all have such names, or two splits are there.

    >>> _has_split_folders([("train", "a"), ("train", "b")])
    True
    >>> _has_split_folders([("train",), ("tram",)])
    False
    """
    names = {parts[0].lower() for parts in folders if parts}
    splits = {SPLIT_OF_NAME[name] for name in names if name in SPLIT_OF_NAME}
    return bool(names) and (names <= set(SPLIT_OF_NAME) or len(splits) > 1)


def _explain_no_label(
    folder: Path, paths: Sequence[tuple[str, ...]], *, is_split: bool, level: int | None
) -> str:
    """Return the message for clips without a label, and what to do."""
    arrange = (
        " Arrange them as LABEL/clip.wav or train/LABEL/clip.wav, or list them with their labels in"
        " a CSV file."
    )
    if level is not None:
        shown = list_names("/".join(parts) for parts in paths[:3])
        return (
            f"--label-level {level}: the paths of '{folder}' have fewer folders: {shown}. Give a"
            " level that all of them have."
        )
    if is_split:
        names = sorted({parts[-2] for parts in paths if len(parts) > 1})
        return (
            f"The clips of '{folder}' are in folders named like splits ({list_names(names)}), and"
            f" there are no class folders in them.{arrange} If the files' names have the label,"
            " give --label-pattern; if the folders' names are the classes, --label-level -1."
        )
    scheme = suggest_label_pattern(["/".join(parts) for parts in paths])
    example = "" if scheme else ", such as '_([a-z]+)_[0-9]+' for SPEAKER_word_1.wav"
    return (
        f"The clips of '{folder}' are not in sub-folders, and a clip's folder is its"
        f" label.{arrange} If the files' names have the label, give"
        f" --label-pattern{example}.{scheme}"
    )


def _warn_of_levels(labels: set[str], first: int) -> None:
    """Warn where labels are paths whose folders repeat, as in SPEAKER/CLASS/clip.wav.

    Args:
        labels: The labels.
        first: Number of folders in a path before the label.
    """
    paths = [label.split("/") for label in labels]
    if len(paths[0]) < 2 or len({len(parts) for parts in paths}) > 1:
        return
    levels = [sorted(set(names)) for names in zip(*paths, strict=True)]
    if min(map(len, levels)) > len(labels) / 2:
        return
    flags = ", ".join(
        f"--label-level {place} ({count_of(len(names), 'name')})"
        for place, names in enumerate(levels, start=first + 1)
    )
    text = (
        f"The {len(labels)} labels are paths of {len(levels)} folders. If one of the folders is"
        f" the class (and another the speaker, for example), choose it with {flags}. The others"
        f" can be groups, such as --group-column {LEVEL_COLUMN.format(first + 1)}."
    )
    warn(logger, text, names=[min(labels), *(name for names in levels for name in names[:3])])


def _warn_of_empty_folders(
    folder: Path, clips: Sequence[Path], paths: Sequence[tuple[str, ...]], depth: int
) -> None:
    """Warn of folders next to the class folders that have no clip."""
    pairs = [(path, parts) for path, parts in zip(clips, paths, strict=True) if len(parts) > depth]
    parents = {path.parents[len(parts) - 1 - depth] for path, parts in pairs}
    used = {parts[: depth + 1] for parts in paths}
    empty = sorted(
        child.name
        for parent in parents
        for child in parent.iterdir()
        if child.is_dir()
        and not child.name.startswith(".")
        and child.relative_to(folder).parts not in used
    )
    if empty:
        warn(
            logger,
            f"Not used as classes: {count_of(len(empty), 'folder')} next to the class folders"
            f" without readable clips: {list_names(empty)}.",
        )


def _count_shared_folders(names: Sequence[tuple[str, ...]]) -> int:
    """Count the leading folders that all paths share, without splits and the last folder."""
    deepest = min((len(parts) for parts in names), default=0) - 2
    for depth in range(max(0, deepest)):
        shared = {parts[depth] for parts in names}
        if len(shared) > 1 or next(iter(shared)).lower() in SPLIT_OF_NAME:
            return depth
    return max(0, deepest)
