"""Clips that candidates are compared on: validation, or a part of training that is held out.

A part is held out where there are no validation clips (`--fold-validation none`), and where those
share groups with training and test does not: they would prefer a model that knows the groups.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from audio_cls.data.clips.clips import Clips, select_clips
from audio_cls.data.keyword_spotting.sampling import take_epoch
from audio_cls.data.prepare import PreparedClips
from audio_cls.data.splits.split_check import SHARED_GROUPS
from audio_cls.data.splits.train_test_split import Groups, Rows, separate_ungrouped, split_rows
from audio_cls.errors import count_of
from audio_cls.linear_probe.folds import can_be_grouped
from audio_cls.training.start.inputs import MethodInputs
from audio_cls.workflows.methods.refit import merge_validation

HELD_OUT = 0.2  # share of the training clips


@dataclass(frozen=True)
class Choice:
    """What candidates are trained and compared on, and what the kept one is trained on again."""

    inputs: MethodInputs
    again: PreparedClips | None = None  # no validation; None: the kept model is not trained again
    held_out: str | None = None  # "48 held-out training clips"; None: validation clips


def plan_choice(given: MethodInputs) -> Choice:
    """Return the clips to choose on, and those to train on again.

    Args:
        given: Settings and clips of the run. With `--refit`, the kept candidate is trained again on
            training and validation clips; where clips are held out, on all training clips.
    """
    clips, cfg = given.clips, given.cfg
    assert isinstance(clips.train, Clips)  # a stream was refused with the settings
    merged = merge_validation(clips)
    flatters = SHARED_GROUPS in clips.check["verdict"]
    if not cfg.train.refit:
        merged = dataclasses.replace(merged, train=clips.train)
    pool = merged.train
    assert isinstance(pool, Clips)
    groups, kind = _find_groups(pool, clips)
    if len(clips.validation) and not (flatters and kind == "group"):
        return Choice(given, merged if cfg.train.refit else None)
    rest, held = _split(pool, groups, cfg.data.split_seed)
    if not len(held):  # each class has one group
        (rest, held), kind = _split(pool, None, cfg.data.split_seed), ""
    parts = dataclasses.replace(
        clips,
        train=select_clips(pool, rest),
        validation=select_clips(pool, held),
        check={**clips.check, "verdict": "disjoint"},
    )
    if (minutes := cfg.train.max_train_minutes) is not None:  # training again takes as long
        train = dataclasses.replace(cfg.train, max_train_minutes=minutes / 2)
        cfg = dataclasses.replace(cfg, train=train)
    labels = take_epoch(parts.train.labels, given.labels.names, cfg.data)
    where = " of training and validation" if len(clips.validation) and cfg.train.refit else ""
    what = "held-out clip" if where else "held-out training clip"
    text = f"{count_of(len(held), what)}{where}"
    return Choice(
        dataclasses.replace(given, cfg=cfg, clips=parts, epoch_labels=labels),
        merged,
        f"{text} (by {kind})" if kind else text,
    )


def _split(pool: Clips, groups: Groups | None, seed: int) -> tuple[Rows, Rows]:
    """Return the places of the clips to train on, and of those held out."""
    places = np.arange(len(pool))
    rest, held = split_rows(
        places, pool.labels, groups, share=HELD_OUT, method="stratified", seed=seed
    )
    if pool.labels.ndim == 1:  # a class that is scored is trained
        held = held[np.isin(pool.labels[held], pool.labels[rest])]
    return rest, held


def _find_groups(pool: Clips, clips: PreparedClips) -> tuple[Groups | None, str]:
    """Return what is held out as a whole, and its name: groups, else the folds of a fold column.

    Returns:
        (N,) and "group" or "fold"; None and "" where most clips are of a class that has one.
    """
    folds = {clip: fold for clip, _, fold in clips.groups}
    of_fold = np.array([folds.get(clip, "") for clip in pool.ids.tolist()], dtype=np.str_)
    for names, kind in ((pool.groups, "group"), (of_fold, "fold")):
        if names is None:
            continue
        apart = separate_ungrouped(names)
        if can_be_grouped(pool.labels, names, apart):
            return apart, kind
    return None, ""
