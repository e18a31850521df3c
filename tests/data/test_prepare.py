"""Tests of audio_cls.data.prepare."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hub_datasets import make_dataset, make_table, make_wav, write_clips
from prepared import ids_of, prepare

from audio_cls.audio import decode
from audio_cls.config import DataConfig
from audio_cls.data.describe import describe_data
from audio_cls.data.labels.labels import parse_labels
from audio_cls.data.splits.clip_index import ClipIndex, build_clip_index
from audio_cls.errors import DatasetError
from audio_cls.run_warnings import collect_warnings

RATE = 16_000
NAMES = [f"{label}/{label}-{number}.wav" for label in ("cat", "dog") for number in range(10)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty clips of two classes, all of them different."""
    write_clips(tmp_path / "set", NAMES)
    return tmp_path / "set"


def test_every_clip_is_in_one_split_with_its_label(folder: Path) -> None:
    _, _, labels, *_, clips = prepare(folder)
    ids = ids_of(clips)
    assert set().union(*ids.values()) == set(NAMES)
    assert sum(map(len, ids.values())) == len(NAMES)
    for _, part in clips.items():
        assert [labels.names[n] for n in part.labels] == [name.split("/")[0] for name in part.ids]


def test_waves_belong_to_their_ids(folder: Path) -> None:
    clips = prepare(folder, max_train_samples=5).clips
    for number, name in enumerate(clips.train.ids):
        wave = clips.train.read_wave(number, 0, int(clips.train.lengths[number]))
        np.testing.assert_array_equal(wave, soundfile.read(folder / str(name), dtype="float32")[0])


def test_a_file_is_read_once_for_all_epochs_and_later_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: Counter[str] = Counter()
    read_bytes = decode._read_bytes

    def count(path: str, *others: Any) -> bytes:  # noqa: ANN401
        reads[path] += 1
        return read_bytes(path, *others)

    monkeypatch.setattr(decode, "_read_bytes", count)
    for _ in range(2):  # runs
        for _, part in 2 * prepare(folder).clips.items():  # epochs
            for number, length in enumerate(part.lengths.tolist()):
                assert len(part.read_wave(number, 0, length)) == length
    assert reads == {str(folder / name): 1 for name in NAMES}


def test_caps_count_train_and_each_of_validation_and_test(folder: Path) -> None:
    clips = prepare(folder, max_train_samples=6, max_eval_samples=1).clips
    assert [len(part) for _, part in clips.items()] == [6, 1, 1]
    assert np.bincount(clips.train.labels).tolist() == [3, 3]


def test_the_lists_of_a_run_repeat_its_splits(folder: Path, tmp_path: Path) -> None:
    first = prepare(folder, split_seed=5).clips
    (tmp_path / "run").mkdir()
    first.save(tmp_path / "run")
    again = prepare(folder, split_files=str(tmp_path / "run")).clips
    for (_, mine), (_, theirs) in zip(first.items(), again.items(), strict=True):
        assert mine.ids.tolist() == theirs.ids.tolist()


def test_bad_clips_are_left_out_and_listed(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / NAMES[3]).write_bytes(b"no sound")
    clips = prepare(folder).clips
    assert set(clips.bad) == {NAMES[3]} and NAMES[3] not in set().union(*ids_of(clips).values())
    assert "1 of 20 clips is left out" in caplog.text
    clips.save(tmp_path)
    (row,) = csv.DictReader((tmp_path / "bad_audio.csv").open())
    assert row["id"] == NAMES[3] and row["reason"]


def test_too_many_bad_clips_stop_the_run(folder: Path) -> None:
    for name in NAMES[:3]:
        (folder / name).write_bytes(b"no sound")
    with pytest.raises(DatasetError, match=r"3 of 20 clips.*--max-bad-audio-ratio 0\.15"):
        prepare(folder)
    clips = prepare(folder, max_bad_audio_ratio=0.15).clips
    assert len(clips.bad) == 3


def copy_into_two_splits(root: Path) -> Path:
    """Make given splits in which one sound is in train twice and in test once."""
    for split in ("train", "validation", "test"):
        for number, name in enumerate(NAMES):
            path = root / split / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(make_wav(1000 * len(split) + number))
    shutil.copy(root / "test" / NAMES[0], root / "train" / NAMES[1])
    shutil.copy(root / "test" / NAMES[0], root / "train" / NAMES[12])
    return root


def test_duplicates_are_reported_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clips = prepare(copy_into_two_splits(tmp_path / "set")).clips
    assert [len(part) for _, part in clips.items()] == [20, 20, 20]
    assert (
        "2 clips have the same audio as another clip (2 in another split, 1 with another"
        in caplog.text
    )
    clips.save(tmp_path)
    rows = list(csv.DictReader((tmp_path / "duplicates.csv").open()))
    assert {row["id"] for row in rows} == {f"train/{NAMES[1]}", f"train/{NAMES[12]}"}
    assert {row["same_as"] for row in rows} == {f"test/{NAMES[0]}"}
    assert [row["same_label"] for row in rows] == ["yes", "no"]


def test_deduplicate_leaves_them_out_of_training(tmp_path: Path) -> None:
    clips = prepare(copy_into_two_splits(tmp_path / "set"), deduplicate=True).clips
    assert [len(part) for _, part in clips.items()] == [18, 20, 20]
    assert not {f"train/{NAMES[1]}", f"train/{NAMES[12]}"} & ids_of(clips)["train"]


def test_deduplicate_keeps_every_test_clip(tmp_path: Path) -> None:
    root = copy_into_two_splits(tmp_path / "set")
    shutil.copy(root / "test" / NAMES[0], root / "test" / NAMES[1])
    shutil.copy(root / "test" / NAMES[0], root / "validation" / NAMES[1])
    _, source, labels, *_, clips = prepare(root, deduplicate=True)
    assert [len(part) for _, part in clips.items()] == [18, 19, 20]
    record = describe_data(source, labels, clips).to_json()
    assert record["duplicates"] == {"found": 4, "across_splits": 3, "left_out": 3}
    again = prepare(root, deduplicate=True, test_split="validation").clips
    assert again.test.ids.tolist() == again.validation.ids.tolist() and len(again.test) == 20


def test_silent_clips_are_no_duplicates_of_each_other(tmp_path: Path) -> None:
    write_clips(tmp_path / "set", NAMES)
    for name in NAMES[:8]:
        soundfile.write(tmp_path / "set" / name, np.zeros(8000), 16_000)
    clips = prepare(tmp_path / "set", deduplicate=True).clips
    assert clips.duplicates == [] and sum(len(part) for _, part in clips.items()) == 20


def test_missing_splits_are_cut_from_the_clips_that_can_be_used(tmp_path: Path) -> None:
    """As from a data set that never had the bad clips; one cut before left no validation clip."""
    names = [f"{label}/{label}-{n}.wav" for label in ("cat", "dog") for n in range(10)]
    write_clips(tmp_path / "whole", names)
    first = prepare(tmp_path / "whole").clips
    bad = [*map(str, first.validation.ids)]
    write_clips(tmp_path / "damaged", names)
    for name in bad:
        (tmp_path / "damaged" / name).write_bytes(b"no sound")
    shutil.copytree(tmp_path / "damaged", tmp_path / "mended")
    for name in bad:
        (tmp_path / "mended" / name).unlink()
    found = prepare(tmp_path / "damaged", max_bad_audio_ratio=0.5).clips
    expected = prepare(tmp_path / "mended").clips
    assert len(bad) == 2 and set(found.bad) == set(bad)
    for (_, mine), (_, theirs) in zip(found.items(), expected.items(), strict=True):
        assert mine.ids.tolist() == theirs.ids.tolist()


def test_given_splits_are_not_cut_again_for_a_bad_clip(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for number, split in enumerate(("train", "test")):
        write_clips(root / split, [f"{name[:-4]}-{number}.wav" for name in NAMES])
    first = prepare(root).clips
    bad = str(first.test.ids[3])
    (root / bad).write_bytes(b"no sound")
    _, source, labels, *_, clips = prepare(root)
    assert ids_of(clips)["test"] == ids_of(first)["test"] - {bad}
    assert clips.train.ids.tolist() == first.train.ids.tolist()
    split = describe_data(source, labels, clips).to_json()["split"]
    assert {role: part["is_given"] for role, part in split.items()} == {
        "train": False, "validation": False, "test": True,
    }  # fmt: skip
    assert split["test"]["num_available"] == 20 and split["test"]["num_examples"] == 19
    assert split["validation"]["method"] == "stratified cut"


def test_a_capped_test_split_is_not_the_given_one(tmp_path: Path) -> None:
    root = copy_into_two_splits(tmp_path / "set")
    _, source, labels, *_, clips = prepare(root, max_eval_samples=5)
    split = describe_data(source, labels, clips).to_json()["split"]
    assert [split[role]["is_given"] for role in ("train", "validation", "test")] == [
        True, False, False,
    ]  # fmt: skip


def test_a_test_split_of_validation_clips_stays_whole(folder: Path) -> None:
    *_, splits, clips = prepare(folder, test_split="validation", deduplicate=True)
    assert splits.test_is_validation and clips.duplicates == []
    assert clips.test.ids.tolist() == clips.validation.ids.tolist()


def test_the_record_says_what_was_used(folder: Path) -> None:
    _, source, labels, *_, clips = prepare(folder)
    record = describe_data(source, labels, clips).to_json()
    assert record["id"] == "set" and record["revision"] == source.revision
    assert record["label_column"] == "label" and record["is_local"]
    assert {role: part["num_examples"] for role, part in record["split"].items()} == {
        role: len(part) for role, part in clips.items()
    }
    assert record["duplicates"] == {"found": 0, "across_splits": 0, "left_out": 0}


def pool(
    columns: dict[str, list[Any]],
    kinds: dict[str, list[str]] | None = None,
    **settings: Any,  # noqa: ANN401
) -> ClipIndex:
    """Pool the clips of such a source."""
    sounds = [{"bytes": make_wav(number), "path": None} for number in range(4)]
    splits = {"train": make_table({"audio": sounds, **columns}, **(kinds or {}))}
    dataset = make_dataset(splits)
    return build_clip_index(dataset, parse_labels(dataset, DataConfig()), DataConfig(**settings))


def test_folds_and_groups_are_read_as_text() -> None:
    columns = {"label": ["a", "b", "a", "b"], "fold": [1.0, 2.0, None, 3.0], "who": [7, 8, 7, 8]}
    made = pool(columns, fold_column="fold", fold="1", group_column="who")
    named = pool({"label": [0, 1, 0, 1]}, {"label": ["a", "b"]}, group_column="label")
    assert named.groups is not None and named.groups.tolist() == ["a", "b", "a", "b"]
    assert made.folds is not None and made.folds.tolist() == ["1", "2", "", "3"]
    assert made.groups is not None and made.groups.tolist() == ["7", "8", "7", "8"]


@pytest.mark.parametrize("setting", ["group_column", "fold_column"])
def test_a_column_that_is_not_there_is_met_with_the_nearest(setting: str) -> None:
    flag = "--" + setting.replace("_", "-")
    settings = {setting: "speakr", **({"fold": "1"} if "fold" in setting else {})}
    with pytest.raises(DatasetError, match=rf"no column 'speakr' for {flag}.*Did you mean speaker"):
        pool({"label": ["a", "b", "a", "b"], "speaker": [1, 1, 2, 2]}, **settings)


def test_a_group_can_be_a_part_of_the_clips_name(tmp_path: Path) -> None:
    names = [
        f"{label}/{s}_{n}.wav" for label in ("a", "b") for s in range(1001, 1009) for n in "xy"
    ]
    write_clips(tmp_path / "set", names)
    clips = prepare(tmp_path / "set", group_pattern=r"(\d{4})_").clips
    actors = {role: {n.split("/")[1][:4] for n in ids} for role, ids in ids_of(clips).items()}
    assert set().union(*actors.values()) == {str(s) for s in range(1001, 1009)}
    assert sum(map(len, actors.values())) == 8  # each on one side


def test_groups_of_a_pattern_can_be_named_for_test_and_validation(tmp_path: Path) -> None:
    names = [f"{label}/{s}_{n}.wav" for label in ("a", "b") for s in range(1, 6) for n in "xy"]
    write_clips(tmp_path / "set", names)
    *_, splits, clips = prepare(
        tmp_path / "set", group_pattern=r"(\d)_", test_groups=("2",), validation_groups=("5",)
    )
    actors = {role: {n.split("/")[1][:1] for n in ids} for role, ids in ids_of(clips).items()}
    assert actors == {"train": {"1", "3", "4"}, "validation": {"5"}, "test": {"2"}}
    assert splits.origins["test"] == "group 2 of the clips' names"


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("(", "is not a valid regular expression"),
        (r"\d+", "has no"),
        ("(dog)", "finds no group in 10 of 20 clips: cat/cat-0"),
        ("(dog)|cat", "finds no group in 10 of 20 clips: cat/cat-0"),  # matches without its group
    ],
)
def test_a_pattern_that_names_no_group_is_refused(pattern: str, says: str, folder: Path) -> None:
    with pytest.raises(DatasetError, match=says):
        prepare(folder, group_pattern=pattern)


def test_several_labels_per_clip_are_targets_of_the_index() -> None:
    made = pool({"label": [["a"], ["b"], ["a", "b"], []]})
    assert made.stratify_targets.tolist() == [[1, 0], [0, 1], [1, 1], [0, 0]]


def test_a_class_whose_training_clips_cannot_be_used_is_named(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for split, names in {"train": "ab", "validation": "abz", "test": "abz"}.items():
        write_clips(root / split, [f"{label}/{n}.wav" for label in names for n in range(6)])
    (root / "train" / "z").mkdir()
    (root / "train" / "z" / "0.wav").write_bytes(b"no sound")
    texts = collect_warnings()
    prepare(root)
    (text,) = [text for text in texts if "no usable training clip" in text]
    assert "1 of 3 classes has no usable training clip and cannot be recognised (z)." in text


def test_classes_that_a_cap_leaves_out_are_counted(folder: Path) -> None:
    texts = collect_warnings()
    prepare(folder, max_train_samples=1)
    assert any(text.startswith("1 of 2 classes has no usable training clip") for text in texts)
