"""The run that a model came from: its settings and its lists of clips, used again in evaluation.

Comes in: the files that lie beside a model, and a data set. Goes out: the same settings and clips
as in training where it is the same data set; of another one, the clips that it has.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
from audio_cls.errors import DatasetError, RunFolderError, SettingError, list_names, suggest_name
from audio_cls.run_warnings import warn
from audio_cls.runs.resolved import read_settings
from audio_cls.runs.results import RunResults, read_results

logger = logging.getLogger(__name__)

CAPS = ("max_train_samples", "max_eval_samples")  # of a run, that its evaluation need not share


@dataclass(frozen=True)
class SourceRun:
    """What the run that made a model left beside it; empty for a model from elsewhere."""

    settings: Mapping[str, Any]  # by section, as they were used in the run
    origins: Mapping[str, str]  # role -> how results.json says the split came about
    lists: Mapping[str, list[str]]  # role -> clip ids
    test: Mapping[str, Any] = field(default_factory=dict)  # of results.json
    # role -> hashes of some of the listed clips, see `has_clips`; older runs have none
    fingerprints: Mapping[str, list[int]] = field(default_factory=dict)


def read_source_run(find_file: Callable[[str], Path | None]) -> SourceRun:
    """Read what a run left beside its model.

    Args:
        find_file: Name -> path of the file beside the model, or None.

    Raises:
        SettingError: One of the files is not what its name says.
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
    except (RunFolderError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise SettingError(
            f"The model's run_config.yaml or results.json cannot be read ({error})."
            " Copy the run again, or remove the file to do without."
        ) from error


def inherit_settings(
    typed: Mapping[str, Any], run: SourceRun, preset: Mapping[str, Any] | None = None
) -> tuple[RunConfig, bool]:
    """Fill what was not typed from the model's own run, else from the data set's preset.

    The run's data settings count where it is about the same data set; the preset is left aside
    then. The run's metric always counts.

    Args:
        typed: Setting name -> value, of those that the user gave.
        run: What the model's run left.
        preset: Setting name -> value, of the preset that belongs to the data set.

    Returns:
        The settings, and whether the data set is the one that the model was trained on.

    Raises:
        SettingError: A value is out of range.
    """
    own = {key: value for key, value in run.settings.get("data", {}).items() if value is not None}
    dataset = typed.get("dataset") or own.get("dataset")
    is_own = bool(own) and _name_place(dataset) == _name_place(own.get("dataset"))
    known = {spec.name: spec for spec in dataclasses.fields(RunConfig().data)}
    adopted = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in own.items()
        if is_own and key in known and key not in CAPS
    }
    precision = run.settings.get("train", {}).get("mixed_precision")
    if precision is not None:
        adopted["mixed_precision"] = precision
    metric = {key: v for key, v in run.settings.get("eval", {}).items() if key.startswith("metric")}
    base = {} if is_own else dict(preset or {})
    values = drop_unused({**base, **adopted, **metric, **typed, "dataset": dataset}, keep=typed)
    return RunConfig.from_flat(values), is_own


def _name_place(dataset: str | None) -> str | None:
    """Return a Hub id, or a folder's own name: it may have moved since the training."""
    is_folder = dataset is not None and Path(dataset).expanduser().is_dir()
    return Path(str(dataset)).expanduser().resolve().name if is_folder else dataset


def keep_lists(run: SourceRun, source: LoadedDataset, pool: ClipIndex) -> SourceRun:
    """Return the run with empty lists where the data set has other clips of the same ids.

    Lists without a fingerprint, of an older run, are kept.
    """
    lists = {
        role: ids
        if role not in run.fingerprints or has_clips(source, pool, ids, run.fingerprints[role])
        else []
        for role, ids in run.lists.items()
    }
    return dataclasses.replace(run, lists=lists)


def select_rows(
    pool: ClipIndex, split: str, run: SourceRun, cfg: RunConfig, *, is_own: bool
) -> tuple[Rows, str]:
    """Find the clips to evaluate.

    A test that training cut from a larger split, or that was listed or folded, is repeated by its
    clip ids. Otherwise the data set's split of that name is taken whole, then one of a usual other
    name. Another data set with one split only, such as a folder of classes, is taken whole.

    Returns:
        Rows of the pool with a usable label, and how they were found, for results.json.

    Raises:
        DatasetError: There is no such split, or no clip of it is left.
    """
    listed = run.lists.get(split)
    was_given = run.origins.get(split, "").startswith("split '")
    named = {role: getattr(cfg.data, f"{role}_split") for role in ROLES} if is_own else {}
    names = [split, named.get(split), *SPLIT_NAMES.get(split, ())]
    given = next((name for name in names if name in pool.split_rows), None)
    wants_list = listed is not None and (given is None or (is_own and not was_given))
    rows = _find_listed(listed, pool, split, is_own=is_own) if wants_list and listed else None
    if rows is not None:
        _warn_of_unchecked(split, run, cfg)
        origin = run.origins.get(split, "listed")
        if split != "test" or not origin.startswith("cut"):
            origin = f"the run's own {split} clips ({origin})"
    elif given is not None:
        rows, origin = pool.split_rows[given], f"split '{given}'"
    elif wants_list and len(pool.split_rows) == 1:
        rows, origin = _take_whole(pool, split)
    else:
        raise DatasetError(
            f"There is no split '{split}': the data set has {list_names(pool.split_rows)}, and none"
            f" of the {split} clips of the model's run. Choose one by --split."
            f"{suggest_name(split, pool.split_rows)}"
        )
    usable = rows[pool.labels[rows] != UNUSABLE]
    if len(usable) == 0:
        raise DatasetError(
            f"No clip of '{split}' has a label that the model knows. Check --label-column, or"
            " translate the labels by --label-map."
        )
    _warn_of_trained(pool.ids[usable], run.lists.get("train", ()))
    return usable, origin


def _find_listed(
    listed: Sequence[str], pool: ClipIndex, split: str, *, is_own: bool
) -> Rows | None:
    """Return the rows of the clips that the run listed, in that order.

    Of the run's own data set those that are still there, with a warning; of another data set all of
    them or None, since single ids may agree by chance.
    """
    place = {str(name): row for row, name in enumerate(pool.ids)}
    found = [place[name] for name in listed if name in place]
    num_missing = len(listed) - len(found)
    if not found or (num_missing and not is_own):
        return None
    if num_missing:
        text = (
            f"{num_missing} of the {len(listed)} {split} clips of the model's run are not in this"
            f" data set: the other {len(found)} are evaluated."
        )
        warn(logger, text, names=[name for name in listed if name not in place])
    return np.array(found, dtype=np.int64)


def _warn_of_unchecked(split: str, run: SourceRun, cfg: RunConfig) -> None:
    """Warn where clips on this disk are chosen by their ids alone."""
    dataset = cfg.data.dataset
    if split not in run.fingerprints and dataset and Path(dataset).expanduser().exists():
        text = (
            f"The model's run is of an older version: its {split} clips were found by their ids"
            " alone. Check that this data set is the one that the model was trained on."
        )
        warn(logger, text)


def _take_whole(pool: ClipIndex, split: str) -> tuple[Rows, str]:
    """Return all clips of another data set's only split."""
    (name,) = pool.split_rows
    text = (
        f"This data set has no split '{split}' and is not the one that the model was trained on:"
        f" all clips of '{name}' are evaluated."
    )
    warn(logger, text)
    return pool.split_rows[name], f"all of split '{name}' (another data set than in training)"


def _warn_of_trained(ids: NDArray[np.str_], trained: Sequence[str]) -> None:
    """Warn where clips that are evaluated were trained on, as far as their ids tell."""
    count = int(np.isin(ids, np.array(trained, dtype=np.str_)).sum()) if len(trained) else 0
    if count:
        text = (
            f"{count} of the {len(ids)} evaluated clips have the id of a training clip of the"
            " model's run: the scores are too high for new clips."
        )
        warn(logger, text)
