"""Which clips are evaluated, and with which settings, on made-up pools."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_cls.config import RunConfig
from audio_cls.data.dataset_fingerprint import make_dataset_fingerprint
from audio_cls.data.labels.labels import UNUSABLE, parse_labels
from audio_cls.data.load import load_dataset
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.data.splits.clip_index import ClipIndex, build_clip_index
from audio_cls.errors import DatasetError
from audio_cls.evaluation.evaluate_model import choose_output
from audio_cls.evaluation.model_run import (
    SourceRun,
    inherit_settings,
    keep_lists,
    select_rows,
)
from audio_cls.publishing.split_description import name_part
from audio_cls.run_warnings import collect_warnings
from audio_cls.runs.config_file import find_run_folder

NOTHING = SourceRun({}, {}, {})


def make_index(**splits: int) -> ClipIndex:
    """Return splits of so many clips, named SPLIT/0 ..., all of label 0 but the last, unusable."""
    ids = [f"{name}/{n}" for name, count in splits.items() for n in range(count)]
    labels = np.zeros(len(ids), dtype=np.int64)
    labels[-1] = UNUSABLE
    starts = np.cumsum([0, *splits.values()])
    given = {
        name: np.arange(start, start + count)
        for (name, count), start in zip(splits.items(), starts, strict=False)
    }
    return ClipIndex(labels=labels, ids=np.array(ids), groups=None, folds=None, split_rows=given)


def test_a_given_split_is_taken_whole_and_a_cut_one_by_its_ids() -> None:
    index, cfg = make_index(train=6, test=4), RunConfig()
    rows, origin, *_ = select_rows(index, "test", NOTHING, cfg, is_same_dataset=False)
    assert (rows.tolist(), origin) == ([6, 7, 8], "split 'test'")
    lists = {"test": ["train/4", "train/1"]}
    cut = SourceRun({}, {"test": "cut from 'train' (stratified, 0.1, seed 42)"}, lists)
    rows, origin, *_ = select_rows(index, "test", cut, cfg, is_same_dataset=True)
    assert (rows.tolist(), origin) == ([4, 1], "cut from 'train' (stratified, 0.1, seed 42)")
    given = SourceRun({}, {"test": "split 'test'"}, lists)
    assert select_rows(index, "test", given, cfg, is_same_dataset=True)[0].tolist() == [6, 7, 8]
    assert select_rows(index, "test", cut, cfg, is_same_dataset=False)[0].tolist() == [6, 7, 8]


def test_ids_are_used_where_the_data_set_has_no_such_split() -> None:
    run = SourceRun({}, {}, {"test": ["train/0"]})
    rows, *_ = select_rows(make_index(train=3), "test", run, RunConfig(), is_same_dataset=False)
    assert rows.tolist() == [0]


def test_on_the_data_set_of_the_training_the_clips_that_are_left_are_evaluated() -> None:
    texts = collect_warnings()
    run = SourceRun({}, {"test": "cut from 'train'"}, {"test": ["train/1", "other/9", "train/0"]})
    rows, origin, *_ = select_rows(
        make_index(train=3), "test", run, RunConfig(), is_same_dataset=True
    )
    assert (rows.tolist(), origin) == ([1, 0], "cut from 'train'")
    (text,) = texts
    assert text.startswith("1 of the 3 test clips") and "other/9" not in text


def test_another_data_set_with_one_split_is_evaluated_whole_with_a_warning() -> None:
    lists = {"test": ["a/1", "a/2"], "train": ["a/3"]}
    for is_same_dataset in (True, False):  # a folder of the same name may hold other clips
        texts = collect_warnings()
        run = SourceRun({}, {"test": "cut from 'train'"}, lists)
        rows, origin, *_ = select_rows(
            make_index(train=4), "test", run, RunConfig(), is_same_dataset=is_same_dataset
        )
        assert (rows.tolist(), origin[:23]) == ([0, 1, 2], "all of split 'train' (a")
        assert len(texts) == 1 and "is not the one that the model was trained on" in texts[0]
    # Single ids that agree by chance do not make it the same data set.
    run = SourceRun({}, {"test": "cut from 'train'"}, {"test": ["train/0", "a/2"]})
    rows, *_ = select_rows(make_index(train=4), "test", run, RunConfig(), is_same_dataset=False)
    assert rows.tolist() == [0, 1, 2]
    with pytest.raises(DatasetError, match=r"has train, dev, and not the clips of that split"):
        select_rows(make_index(train=3, dev=2), "test", run, RunConfig(), is_same_dataset=False)


def _write_clips(folder: Path, names: list[str]) -> None:
    """Write clips of one length, each with another sound."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        wave = np.random.default_rng(number).uniform(-0.5, 0.5, 800)
        soundfile.write(folder / name, wave, 16_000)


def _load(folder: Path) -> LoadedDataset:
    return load_dataset(RunConfig.from_flat({"dataset": str(folder)}).data)


def test_other_clips_of_the_same_ids_are_all_evaluated_and_a_moved_folder_keeps_its_list(
    tmp_path: Path,
) -> None:
    names = [f"{label}/c{n}.wav" for label in "ab" for n in range(20)]
    _write_clips(tmp_path / "old" / "set", names)
    _write_clips(tmp_path / "other" / "set", names[::-1])  # each id has another sound
    listed = names[3:30:2]
    old = _load(tmp_path / "old" / "set")
    cfg = RunConfig.from_flat({"dataset": str(tmp_path / "other" / "set")})
    index = build_clip_index(old, parse_labels(old, cfg.data), cfg.data)
    run = SourceRun(
        {}, {"test": "cut from 'train'"}, {"test": listed, "train": names[:3]},
        fingerprints={role: make_dataset_fingerprint(old, index, ids)
                      for role, ids in {"test": listed, "train": names[:3]}.items()},
    )  # fmt: skip
    shutil.move(tmp_path / "old", tmp_path / "moved")
    for is_same_dataset in (True, False):
        texts = collect_warnings()
        own = keep_lists(run, _load(tmp_path / "other" / "set"), index)
        rows, origin, *_ = select_rows(index, "test", own, cfg, is_same_dataset=is_same_dataset)
        assert len(rows) == 40 and origin.startswith("all of split 'train' (another data set")
        assert len(texts) == 1 and "not the one that the model was trained on" in texts[0]
        texts = collect_warnings()
        own = keep_lists(run, _load(tmp_path / "moved" / "set"), index)
        rows, origin, *_ = select_rows(index, "test", own, cfg, is_same_dataset=is_same_dataset)
        assert index.ids[rows].tolist() == listed and "cut from 'train'" in origin
        assert len(texts) == (0 if is_same_dataset else 1)  # the name of the folder has changed
    texts = collect_warnings()
    older = dataclasses.replace(run, fingerprints={})
    older = keep_lists(older, _load(tmp_path / "other" / "set"), index)
    assert len(select_rows(index, "test", older, cfg, is_same_dataset=True)[0]) == len(listed)
    (text,) = texts
    assert text.startswith("The files of the model's run have no hashes of its clips")


def test_clips_that_were_trained_on_are_counted_in_a_warning() -> None:
    texts = collect_warnings()
    run = SourceRun({}, {}, {"train": ["train/0", "train/2"], "test": ["train/1"]})
    select_rows(make_index(train=4), "train", run, RunConfig(), is_same_dataset=True)
    assert len(texts) == 1 and texts[0].startswith("2 of the 2 evaluated clips have the id")
    select_rows(make_index(train=4), "test", run, RunConfig(), is_same_dataset=True)
    assert len(texts) == 1


def test_validation_clips_of_a_refit_were_trained_on() -> None:
    lists = {"train": ["train/0"], "validation": ["train/1", "train/2"]}
    for is_refit in (False, True):
        texts = collect_warnings()
        run = SourceRun({"train": {"refit": is_refit}}, {}, lists)
        select_rows(make_index(train=4), "validation", run, RunConfig(), is_same_dataset=True)
        assert any(text.startswith("2 of the 2 evaluated clips") for text in texts) == is_refit


def test_a_split_of_another_usual_name_and_the_name_in_the_run_are_found() -> None:
    index = make_index(train=3, dev=2, held_out=3)
    rows, origin, *_ = select_rows(index, "validation", NOTHING, RunConfig(), is_same_dataset=False)
    assert (rows.tolist(), origin) == ([3, 4], "split 'dev'")
    cfg = RunConfig.from_flat({"test_split": "held_out"})
    assert select_rows(index, "test", NOTHING, cfg, is_same_dataset=True)[1] == "split 'held_out'"
    with pytest.raises(DatasetError, match="has train, dev, held_out"):
        select_rows(index, "test", NOTHING, cfg, is_same_dataset=False)


def test_settings_of_the_run_are_used_on_its_data_set_only() -> None:
    own = {
        "dataset": "a/b",
        "label_column": "genre",
        "group_column": "artist",
        "max_eval_samples": 5,
    }
    train = {"mixed_precision": "bf16"}  # of the training only
    run = SourceRun({"data": own, "train": train, "eval": {"metric": "uar"}}, {}, {})
    cfg, is_same_dataset = inherit_settings({"group_column": "album"}, run)
    assert (is_same_dataset, cfg.data.dataset, cfg.data.label_column) == (True, "a/b", "genre")
    assert (cfg.data.group_column, cfg.data.max_eval_samples) == ("album", None)
    assert cfg.eval.metric == "uar"
    assert cfg.train.mixed_precision == "no"
    cfg, is_same_dataset = inherit_settings({"dataset": "c/d"}, run)
    assert (is_same_dataset, cfg.data.label_column) == (False, None)


def test_the_run_goes_before_the_preset_of_its_data_set_and_flags_before_both() -> None:
    own = {"dataset": "a/b", "label_column": "mood", "dataset_config": "small"}
    run = SourceRun({"data": own, "eval": {"metric": "f1_macro"}}, {}, {})
    preset = {"label_column": "genre", "dataset_config": "all", "group_column": "artist"}
    preset["metric"] = "accuracy"
    cfg, is_same_dataset = inherit_settings(
        {"dataset": "a/b", "dataset_config": "big"}, run, preset
    )
    assert is_same_dataset and cfg.eval.metric == "f1_macro"
    assert (cfg.data.label_column, cfg.data.dataset_config) == ("mood", "big")
    assert cfg.data.group_column is None  # as in training, where no group was set
    cfg, is_same_dataset = inherit_settings({"dataset": "c/d"}, run, preset)
    assert not is_same_dataset and cfg.eval.metric == "f1_macro"
    assert (cfg.data.label_column, cfg.data.group_column) == ("genre", "artist")
    cfg, _ = inherit_settings({"dataset": "c/d", "group_column": None}, NOTHING, preset)
    assert (cfg.data.group_column, cfg.eval.metric) == (None, "accuracy")


def test_a_checkpoint_of_a_run_has_the_lists_of_the_run(tmp_path: Path) -> None:
    best = tmp_path / "run" / "checkpoints" / "step-8" / "best"
    best.mkdir(parents=True)
    assert find_run_folder(str(best)) is None
    (tmp_path / "run" / "run_config.yaml").touch()
    for model in (best, best.parent, tmp_path / "run"):
        assert find_run_folder(str(model)) == tmp_path / "run"
    other = tmp_path / "run" / "export"
    other.mkdir()
    assert find_run_folder(str(other)) is None and find_run_folder("ann/birds") is None
    output = choose_output(str(best), "clips", "test", [])
    assert output == tmp_path / "run" / "eval-step-8-clips"  # a checkpoint is removed later


def test_clips_of_the_training_in_another_folder_are_announced() -> None:
    texts = collect_warnings()
    run = SourceRun({}, {"test": "cut from 'train'"}, {"test": ["train/0", "train/1"]})
    found = select_rows(make_index(train=5), "test", run, RunConfig(), is_same_dataset=False)
    assert found.origin == "the run's own test clips (cut from 'train')"
    assert (found.split, found.is_whole) == ("test", False)
    assert texts == [
        "This data set has another name than that of the training, but the same clips: only the"
        " run's own 2 test clips of them are evaluated, not those of its other splits."
    ]


def test_the_only_split_of_another_data_set_keeps_its_name() -> None:
    run = SourceRun({}, {"test": "cut from 'train'"}, {"test": ["a/1"]})
    found = select_rows(make_index(train=5), "test", run, RunConfig(), is_same_dataset=False)
    assert (found.split, found.is_whole) == ("train", True)
    assert name_part(found.origin, found.split) == "train"


def test_an_unknown_split_is_answered_by_those_there_are() -> None:
    run = SourceRun({}, {}, {"test": ["train/0"], "train": ["train/1"]})
    with pytest.raises(DatasetError, match="no split 'all': the data set has train, the model's"):
        select_rows(make_index(train=5), "all", run, RunConfig(), is_same_dataset=True)
