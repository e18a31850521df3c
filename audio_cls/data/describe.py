"""Description of a run's data set and splits for results.json."""

from __future__ import annotations

import dataclasses
import math

from audio_cls.data.clips.clips import Clips
from audio_cls.data.labels.labels import Labels
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.data.prepare import PreparedClips
from audio_cls.data.splits.split_check import is_split_by_group
from audio_cls.runs.results import DatasetDescription, DuplicateCounts, SplitDescription

MAX_NAMED = 20  # pairs of near duplicates named in results.json


def describe_source(source: LoadedDataset, labels: Labels) -> DatasetDescription:
    """Return where clips and labels came from; of a folder only its name, never its path."""
    return DatasetDescription(
        id=source.name if source.is_local else source.id,
        name=source.name,
        config=source.config,
        revision=source.revision,
        is_local=source.is_local,
        license=source.license,
        audio_column=source.audio_column,
        label_column=labels.column,
        problem_type="multi-label" if labels.is_multilabel else "single-label",
    )


def describe_data(
    source: LoadedDataset, labels: Labels, clips: PreparedClips
) -> DatasetDescription:
    """Return the `dataset` part of results.json: what was used, pinned, and how it was split.

    `split` has for each role: `name`, the split of the data set that the clips are from; `origin`,
    how they were chosen, in words; `method`, the same as one of the terms of `Splits.methods`;
    `is_given`, whether they are exactly the clips of a split, fold or list that the data set or a
    published protocol supplies, except for unusable clips; `num_available`, its clips before caps
    and the removal of duplicates; `num_examples`, those that were used; `fingerprint`, see
    `make_dataset_fingerprint`. It has no `validation` with `--fold-validation none`.
    """
    splits = clips.splits
    roles = (("train", clips.train), ("validation", clips.validation), ("test", clips.test))
    left_out = sum(one.split != "test" for one in clips.duplicates)
    return dataclasses.replace(
        describe_source(source, labels),
        sampling_rate=clips.train.sampling_rate,
        decode_seconds=round(clips.decode_seconds, 2),
        is_test_validation=splits.test_is_validation,
        is_split_by_group=is_split_by_group(clips.check),
        duplicates=DuplicateCounts(
            found=len(clips.duplicates),
            across_splits=sum(one.is_leak for one in clips.duplicates),
            left_out=left_out if clips.are_duplicates_dropped else 0,
        ),
        near_duplicates=DuplicateCounts(
            found=len(clips.near_duplicates),
            across_splits=sum(pair.is_leak for pair in clips.near_duplicates),
            first=[[pair.id, pair.similar_to] for pair in clips.near_duplicates[:MAX_NAMED]],
        ),
        split={
            role: SplitDescription(
                name=splits.names[role],
                origin=splits.origins[role],
                method=splits.methods[role],
                is_given=role in splits.official,
                num_available=clips.num_available[role] if isinstance(part, Clips) else len(part),
                num_examples=len(part),
                fingerprint=clips.fingerprints.get(role),
                seconds=None if math.isnan(part.seconds) else round(part.seconds, 2),
            )
            for role, part in roles
            if role != "validation" or splits.has_validation
        },
    )
