"""The training run of a model: its settings and clip lists, used again in evaluation.

They are read from the files in the model's folder or repository. On the data set of the training,
the same settings and clips are used; on another one, the split that it has.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from audio_cls.config import RunConfig, drop_unused, rename_settings
from audio_cls.data.dataset_fingerprint import has_clips
from audio_cls.data.labels.labels import UNUSABLE
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.data.sources.split_names import ROLES, SPLIT_NAMES
from audio_cls.data.splits.clip_index import ClipIndex
from audio_cls.data.splits.train_test_split import Rows
from audio_cls.errors import (
    DatasetError,
    RunFolderError,
    SettingError,
    count_of,
    list_names,
    suggest_name,
)
from audio_cls.run_warnings import warn
from audio_cls.runs.resolved import read_settings
from audio_cls.runs.results import RunResults, read_results

logger = logging.getLogger(__name__)

CAPS = ("max_train_samples", "max_eval_samples")  # of a run, that its evaluation need not share


@dataclass(frozen=True)
class SourceRun:
    """The training run of a model, as its files describe it; empty for other models."""

    settings: Mapping[str, Any]  # by section, as they were used in the run
    origins: Mapping[str, str]  # role -> origin of the split, from results.json
    lists: Mapping[str, list[str]]  # role -> clip ids
    test: Mapping[str, Any] = field(default_factory=dict)  # of results.json
    # role -> hashes of some of the listed clips, see `has_clips`; older runs have none
    fingerprints: Mapping[str, list[int]] = field(default_factory=dict)


class SelectedClips(NamedTuple):
    """The clips that are evaluated."""

    rows: Rows  # of the index, with a usable label
    origin: str  # how they were selected, for results.json
    split: str  # the split of the data set that they are, else the role
    is_whole: bool  # all clips of that split


def read_source_run(find_file: Callable[[str], Path | None]) -> SourceRun:
    """Read the files of a run in the folder or repository of its model.

    Args:
        find_file: Name -> path of the file, or None.

    Raises:
        SettingError, RunFolderError: One of the files is not valid.
    """
    lists = {role: find_file(f"splits/{role}.txt") for role in ROLES}
    settings, results = find_file("run_config.yaml"), find_file("results.json")
    try:
        tree = rename_settings(yaml.safe_load(settings.read_text("utf-8"))) if settings else {}
        found = read_results(results) if results else RunResults()
        splits = found.dataset.split
        return SourceRun(
            settings=read_settings(tree),
            origins={role: part.origin or "" for role, part in splits.items()},
            lists={role: p.read_text("utf-8").splitlines() for role, p in lists.items() if p},
            test=found.test,
            fingerprints={
                role: part.fingerprint
                for role, part in splits.items()
                if part.fingerprint is not None
            },
        )
    except RunFolderError:  # it names the file and what to do
        raise
    except (ValueError, AttributeError, yaml.YAMLError) as error:
        raise SettingError(
            f"'{settings}' is not valid ({' '.join(str(error).split())}). Copy the run again, or"
            " remove the file to continue without it."
        ) from error


def inherit_settings(
    typed: Mapping[str, Any], run: SourceRun, preset: Mapping[str, Any] | None = None
) -> tuple[RunConfig, bool]:
    """Return the settings: those that were typed, else those of the model's run or a preset.

    The run's data settings are used on the data set that it was trained on, the preset on another
    one. The run's metric is used on both. The number format is float32 unless it was typed.

    Args:
        typed: Setting name -> value, of those that the user gave.
        run: The training run of the model.
        preset: Setting name -> value, of the preset of the data set.

    Returns:
        The settings, and whether the data set is the one that the model was trained on.

    Raises:
        SettingError: A value is out of range.
    """
    run_data = {
        key: value for key, value in run.settings.get("data", {}).items() if value is not None
    }
    dataset = typed.get("dataset") or run_data.get("dataset")
    is_same_dataset = bool(run_data) and _dataset_name(dataset) == _dataset_name(
        run_data.get("dataset")
    )
    known = {spec.name: spec for spec in dataclasses.fields(RunConfig().data)}
    adopted = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in run_data.items()
        if is_same_dataset and key in known and key not in CAPS
    }
    adopted["mixed_precision"] = "no"  # whatever the training had: as transformers' pipeline
    metric = {key: v for key, v in run.settings.get("eval", {}).items() if key.startswith("metric")}
    base = {} if is_same_dataset else dict(preset or {})
    values = drop_unused({**base, **adopted, **metric, **typed, "dataset": dataset}, keep=typed)
    return RunConfig.from_flat(values), is_same_dataset


def _dataset_name(dataset: str | None) -> str | None:
    """Return a Hub id, or the last part of a folder, which may have moved since training."""
    is_folder = dataset is not None and Path(dataset).expanduser().is_dir()
    return Path(str(dataset)).expanduser().resolve().name if is_folder else dataset


def keep_lists(run: SourceRun, source: LoadedDataset, index: ClipIndex) -> SourceRun:
    """Return the run with empty lists where the data set has other clips with the same ids.

    Lists without a fingerprint, from an older version, are kept.
    """
    lists = {
        role: ids
        if role not in run.fingerprints or has_clips(source, index, ids, run.fingerprints[role])
        else []
        for role, ids in run.lists.items()
    }
    return dataclasses.replace(run, lists=lists)


def select_rows(
    index: ClipIndex, split: str, run: SourceRun, cfg: RunConfig, *, is_same_dataset: bool
) -> SelectedClips:
    """Return the clips to evaluate.

    A test that training made by itself (cut from a split, listed or a fold) is selected by its clip
    ids. Otherwise the whole split of that name is used, or one with another usual name of that
    role. A data set with a single split, such as a folder of classes, is used whole.

    Args:
        index: All clips of the data set.
        split: What `--split` asked for.
        run: The training run of the model.
        cfg: The settings.
        is_same_dataset: The model was trained on this data set.

    Raises:
        DatasetError: There is no such split, or no clip of it is left.
    """
    listed = run.lists.get(split)
    was_given = run.origins.get(split, "").startswith("split '")
    named = {role: getattr(cfg.data, f"{role}_split") for role in ROLES} if is_same_dataset else {}
    names = [split, named.get(split), *SPLIT_NAMES.get(split, ())]
    given = next((name for name in names if name in index.split_rows), None)
    wants_list = listed is not None and (given is None or (is_same_dataset and not was_given))
    rows, name = None, split
    if wants_list and listed:
        rows = _select_listed(listed, index, split, is_same_dataset=is_same_dataset)
    if rows is not None:
        _warn_of_unchecked(split, run, cfg)
        origin = run.origins.get(split, "listed")
        if split != "test" or not is_same_dataset or not origin.startswith("cut"):
            origin = f"the run's own {split} clips ({origin})"
        if not is_same_dataset and len(rows) < len(index.ids):
            _warn_of_same_clips(split, len(rows))
    elif given is not None:
        rows, origin, name = index.split_rows[given], f"split '{given}'", given
    elif wants_list and len(index.split_rows) == 1:
        rows, origin = _select_only_split(index, split)
        (name,) = index.split_rows
    else:
        raise _explain_unknown_split(split, index, run)
    usable = rows[index.labels[rows] != UNUSABLE]
    if len(usable) == 0:
        raise DatasetError(
            f"No clip of '{split}' has a label that the model knows. Check --label-column, or"
            " map the labels with --label-map."
        )
    trained = [*run.lists.get("train", ())]
    if run.settings.get("train", {}).get("refit"):
        trained += run.lists.get("validation", ())
    _warn_of_trained(index.ids[usable], trained)
    is_whole = name in index.split_rows and rows is index.split_rows[name]
    return SelectedClips(usable, origin, name, is_whole)


def _explain_unknown_split(split: str, index: ClipIndex, run: SourceRun) -> DatasetError:
    """Return the error for a split that neither the data set nor the model's run has."""
    listed = [role for role in ROLES if run.lists.get(role) and role not in index.split_rows]
    own = f", the model's run also {list_names(listed)}" if listed and split not in ROLES else ""
    lacks = ", and not the clips of that split of the model's run" if split in ROLES else ""
    return DatasetError(
        f"There is no split '{split}': the data set has {list_names(index.split_rows)}{own}"
        f"{lacks}. Choose one with --split."
        f"{suggest_name(split, [*index.split_rows, *listed])}"
    )


def _warn_of_same_clips(split: str, count: int) -> None:
    """Warn where only a list of the run is evaluated on a data set of another name."""
    text = (
        "This data set has another name than that of the training, but the same clips: only the"
        f" run's own {count_of(count, f'{split} clip')} of them"
        f" {'is' if count == 1 else 'are'} evaluated, not those of its other splits."
    )
    warn(logger, text)


def _select_listed(
    listed: Sequence[str], index: ClipIndex, split: str, *, is_same_dataset: bool
) -> Rows | None:
    """Return the rows of the clips in a list of the run, in its order.

    On the data set of the training: those that are still in it, with a warning if some are missing.
    On another one: all of them or None, since single ids may be equal by chance.
    """
    row_of = {str(name): row for row, name in enumerate(index.ids)}
    found = [row_of[name] for name in listed if name in row_of]
    num_missing = len(listed) - len(found)
    if not found or (num_missing and not is_same_dataset):
        return None
    if num_missing:
        text = (
            f"{num_missing:,} of the {len(listed):,} {split} clips of the model's run"
            f" {'is' if num_missing == 1 else 'are'} not in this data set: only the other"
            f" {count_of(len(found), 'clip is', 'clips are')} evaluated."
        )
        warn(logger, text, names=[name for name in listed if name not in row_of])
    return np.array(found, dtype=np.int64)


def _warn_of_unchecked(split: str, run: SourceRun, cfg: RunConfig) -> None:
    """Warn where local clips are selected by their ids alone."""
    dataset = cfg.data.dataset
    if split not in run.fingerprints and dataset and Path(dataset).expanduser().exists():
        text = (
            f"The files of the model's run have no hashes of its clips: its {split} clips were"
            " found by their ids alone. Check that this data set is the one that the model was"
            " trained on."
        )
        warn(logger, text)


def _select_only_split(index: ClipIndex, split: str) -> tuple[Rows, str]:
    """Return all clips of the only split, with a warning."""
    (name,) = index.split_rows
    text = (
        f"This data set has no split '{split}' and is not the one that the model was trained on:"
        f" all clips of '{name}' are evaluated."
    )
    warn(logger, text)
    return index.split_rows[name], f"all of split '{name}' (another data set than in training)"


def _warn_of_trained(ids: NDArray[np.str_], trained: Sequence[str]) -> None:
    """Warn where evaluated clips have the id of a training clip."""
    count = int(np.isin(ids, np.array(trained, dtype=np.str_)).sum()) if len(trained) else 0
    if count:
        text = (
            f"{count:,} of the {count_of(len(ids), 'evaluated clip')}"
            f" {'has' if count == 1 else 'have'} the id of a training clip of the model's run: the"
            " scores are too high for new clips."
        )
        warn(logger, text)
