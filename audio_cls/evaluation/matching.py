"""Any model on any data set: which clips are judged, and which label means which.

Comes in: a data set's labels and splits, a model's labels, and what the model's own run left behind
(settings, split lists). Goes out: the same clips and settings as in training where it is the same
data set, and labels matched by name.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from numpy.typing import NDArray

from audio_cls.config import RunConfig, drop_unused
from audio_cls.data.cuts import Rows
from audio_cls.data.found import SPLIT_NAMES
from audio_cls.data.label_text import normalize_name
from audio_cls.data.labels import UNUSABLE, Labels
from audio_cls.data.splits import ROLES, Pool
from audio_cls.errors import DatasetError, SettingError, list_names, suggest_name

logger = logging.getLogger(__name__)

CAPS = ("max_train_samples", "max_eval_samples")  # of a run, that its evaluation need not share


@dataclass(frozen=True)
class OwnRun:
    """What the run that made a model left beside it; empty for a model from elsewhere."""

    settings: Mapping[str, Any]  # run_config.yaml by section
    origins: Mapping[str, str]  # role -> how results.json says the split came about
    lists: Mapping[str, list[str]]  # role -> clip ids


def read_own_run(find_file: Callable[[str], Path | None]) -> OwnRun:
    """Read what a run left beside its model.

    Args:
        find_file: Name -> path of the file beside the model, or None.

    Raises:
        SettingError: One of the files is not what its name says.
    """
    lists = {role: find_file(f"splits/{role}.txt") for role in ROLES}
    settings, results = find_file("run_config.yaml"), find_file("results.json")
    try:
        tree = yaml.safe_load(settings.read_text("utf-8")) if settings else {}
        told = json.loads(results.read_text("utf-8")) if results else {}
        splits = told.get("dataset", {}).get("split", {})
        return OwnRun(
            settings={str(k): v for k, v in tree.items() if isinstance(v, dict)},
            origins={role: str(part.get("origin", "")) for role, part in splits.items()},
            lists={role: p.read_text("utf-8").splitlines() for role, p in lists.items() if p},
        )
    except (ValueError, AttributeError, yaml.YAMLError) as error:
        raise SettingError(
            f"The model's run_config.yaml or results.json cannot be read ({error})."
            " Copy the run again, or remove the file to do without."
        ) from error


def adopt_settings(typed: Mapping[str, Any], run: OwnRun) -> tuple[RunConfig, bool]:
    """Fill what was not typed from the model's own run, where it is about the same data set.

    Args:
        typed: Setting name -> value, of those that the user gave.
        run: What the model's run left.

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
    values = drop_unused({**adopted, **metric, **typed, "dataset": dataset}, keep=typed)
    return RunConfig.from_flat(values), is_own


def _name_place(dataset: str | None) -> str | None:
    """Return a Hub id, or a folder's own name: it may have moved since the training."""
    is_folder = dataset is not None and Path(dataset).expanduser().is_dir()
    return Path(str(dataset)).expanduser().resolve().name if is_folder else dataset


def follow_task(cfg: RunConfig, problem_type: Literal["single-label", "multi-label"]) -> RunConfig:
    """Return the settings with the model's kind of task, and the metric that 'auto' means for it.

    Args:
        cfg: As typed, or adopted from the model's run.
        problem_type: Of the model: it cannot judge as another.
    """
    is_multilabel = problem_type == "multi-label"
    return dataclasses.replace(
        cfg,
        data=dataclasses.replace(cfg.data, problem_type=problem_type),
        eval=cfg.eval.choose_metric(is_multilabel=is_multilabel),
    )


def choose_rows(
    pool: Pool, split: str, run: OwnRun, cfg: RunConfig, *, is_own: bool
) -> tuple[Rows, str]:
    """Find the clips to judge.

    A test that training cut from a larger split, or that was listed or folded, is repeated by its
    clip ids. Otherwise the data set's split of that name is taken whole, then one of a usual other
    name, and at last the ids again.

    Returns:
        Rows of the pool with a usable label, and how they were found, for results.json.

    Raises:
        DatasetError: There is no such split, or no clip of it is left.
    """
    listed = run.lists.get(split)
    was_given = run.origins.get(split, "").startswith("split '")
    named = {role: getattr(cfg.data, f"{role}_split") for role in ROLES} if is_own else {}
    names = [split, named.get(split), *SPLIT_NAMES.get(split, ())]
    given = next((name for name in names if name in pool.given), None)
    if listed is not None and (given is None or (is_own and not was_given)):
        rows, origin = _find_listed(listed, pool, split), run.origins.get(split, "listed")
        if not origin.startswith("cut"):
            origin = f"the run's own {split} clips ({origin})"
    elif given is not None:
        rows, origin = pool.given[given], f"split '{given}'"
    else:
        raise DatasetError(
            f"There is no split '{split}': the data set has {list_names(pool.given)}, and the model"
            f" brought no list of its {split} clips. Choose one by --split."
            f"{suggest_name(split, pool.given)}"
        )
    usable = rows[pool.labels[rows] != UNUSABLE]
    if len(usable) == 0:
        raise DatasetError(
            f"No clip of '{split}' has a label that the model knows. Check --label-column, or"
            " translate the labels by --label-map."
        )
    return usable, origin


def _find_listed(listed: Sequence[str], pool: Pool, split: str) -> Rows:
    """Return the rows of the clips that training listed, in that order."""
    place = {str(name): row for row, name in enumerate(pool.ids)}
    missing = [name for name in listed if name not in place]
    if missing:
        raise DatasetError(
            f"{len(missing)} of the {len(listed)} clips that the model's run judged as {split} are"
            f" not in this data set (first: {missing[0]}). Give the data set it was trained on, or"
            " another --split."
        )
    return np.array([place[name] for name in listed], dtype=np.int64)


@dataclass(frozen=True)
class Match:
    """A data set's labels in a model's words."""

    labels: Labels  # with the model's names and ids
    unmatched: dict[str, int]  # label of the data set that the model does not know -> its clips


def match_labels(given: Labels, known: Sequence[str], mapping: Mapping[str, str | None]) -> Match:
    """Translate a data set's labels into a model's, by the map, by name, or nearly by name.

    Nearly: capitals, spaces, hyphens and underscores make no difference where that is unambiguous.
    Clips whose label the model does not know cannot be judged: they are counted and left out. Of
    several labels a clip only the unknown ones are, and the clip if it has no other.

    Raises:
        SettingError: The map names a label that does not exist.
        DatasetError: No label matches.
    """
    _check_map(mapping, given.names, known)
    exact = {name: number for number, name in enumerate(known)}
    loose: dict[str, int] = {}
    for name, number in exact.items():
        loose[_loosen(name)] = UNUSABLE if _loosen(name) in loose else number
    target = []
    for name in given.names:
        said = mapping.get(name, name)
        number = exact.get(said, loose.get(_loosen(said), UNUSABLE)) if said else UNUSABLE
        target.append(number)
    clips = _count_clips(given)
    unmatched = {
        name: int(clips[number])
        for number, name in enumerate(given.names)
        if target[number] == UNUSABLE and clips[number] > 0
    }
    if all(number == UNUSABLE for number in target):
        raise DatasetError(
            f"None of the data set's labels ({list_names(given.names)}) is one of the model's"
            f" ({list_names(known)}). Write a file of 'label of the data set: label of the model'"
            " lines and give it by --label-map."
        )
    _tell(unmatched, [name for number, name in enumerate(known) if number not in target])
    return Match(_translate(given, target, tuple(known)), unmatched)


def _count_clips(given: Labels) -> NDArray[np.int64]:
    """Return the clips of each label over all splits, (L,)."""
    if given.targets is not None:
        whole = np.concatenate(list(given.targets.values()))
        return np.asarray(whole.sum(axis=0), dtype=np.int64)
    usable = np.concatenate([ids[ids != UNUSABLE] for ids in given.ids.values()])
    return np.bincount(usable, minlength=len(given.names))


def _translate(given: Labels, target: Sequence[int], known: tuple[str, ...]) -> Labels:
    """Return the clips' labels with the model's ids; `target` has one for each label."""
    lookup = np.array([*target, UNUSABLE], dtype=np.int64)  # the last is for UNUSABLE itself
    if given.targets is None:
        return Labels(given.column, known, {s: lookup[own] for s, own in given.ids.items()})
    ids, targets = {}, {}
    matched = [place for place, number in enumerate(target) if number != UNUSABLE]
    for split, marks in given.targets.items():
        targets[split] = np.zeros((len(marks), len(known)), dtype=np.float32)
        for place in matched:  # two labels of the data set may be one of the model's
            column = targets[split][:, target[place]]
            np.maximum(column, marks[:, place], out=column)
        firsts = np.where(targets[split].any(axis=1), targets[split].argmax(axis=1), UNUSABLE)
        was_bare = given.ids[split] == len(given.names)
        ids[split] = np.where(was_bare, len(known), firsts)
    return Labels(given.column, known, ids, targets)


def load_label_map(path: Path | None) -> dict[str, str | None]:
    """Read `--label-map`: YAML or JSON, label of the data set -> label of the model or null.

    Raises:
        SettingError: The file cannot be read or is not such a mapping.
    """
    if path is None:
        return {}
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        text = " ".join(str(error).split())
        raise SettingError(f"--label-map {path} cannot be read: {text}. Check the file.") from error
    if not isinstance(content, dict) or not content:
        raise SettingError(
            f"--label-map {path} must hold 'label of the data set: label of the model' lines;"
            " null leaves a label's clips out."
        )
    return {str(key): None if value is None else str(value) for key, value in content.items()}


def _check_map(mapping: Mapping[str, Any], given: Sequence[str], known: Sequence[str]) -> None:
    """Refuse a map that names labels which are not there."""
    faults = [
        f"the {whose} has no label '{name}'; it has {list_names(names)}.{suggest_name(name, names)}"
        for whose, names, said in (
            ("data set", given, mapping.keys()),
            ("model", known, filter(None, mapping.values())),
        )
        for name in said
        if name not in names
    ]
    if faults:
        raise SettingError("--label-map: " + " And ".join(faults[:3]))


def _loosen(name: str) -> str:
    """Return a label without what spellings differ in.

    >>> _loosen("Hip-Hop") == _loosen("hip_hop")
    True
    """
    return re.sub(r"[\s_-]+", "", normalize_name(name)).casefold()


def _tell(unmatched: Mapping[str, int], unused: Sequence[str]) -> None:
    """Say which labels have no counterpart."""
    if unmatched:
        shown = list_names(f"{name} ({count} clips)" for name, count in unmatched.items())
        logger.warning("The model does not know these labels; their clips are left out: %s.", shown)
    if unused:
        logger.warning("The data set lacks these labels of the model: %s.", list_names(unused))
