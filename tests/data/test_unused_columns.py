"""Likely folds, groups, splits and labels that no setting uses are named, with the exact flags."""

from __future__ import annotations

import csv
import itertools
import shlex
from pathlib import Path
from typing import Any

import pytest
from hub_datasets import load, make_rows, make_table, write_clips

from audio_cls.config import DataConfig
from audio_cls.data.labels.labels import UNUSABLE, parse_labels
from audio_cls.data.sources.split_names import SPLIT_NAMES
from audio_cls.data.splits.clip_index import build_clip_index
from audio_cls.data.unused_columns import (
    Unused,
    describe_unused,
    find_unused,
    warn_of_unused_columns,
)
from audio_cls.errors import DatasetError
from audio_cls.run_warnings import collect_warnings

EMODB = [f"wav/{s}{t}{e}a.wav" for s in ("03", "08", "16") for t in ("a01", "b02") for e in "FWN"]
RAVDESS = [
    f"Actor_{a:02d}/03-01-{e:02d}-01-{s:02d}-01-{a:02d}.wav"
    for a, e, s in itertools.product((1, 2, 12), (1, 5, 6), (1, 2))
]
CREMA_D = [
    f"AudioWAV/{a}_{s}_{e}_XX.wav"
    for a, s, e in itertools.product((1001, 1002), ("DFA", "IEO"), ("ANG", "SAD"))
]
SAVEE = [f"ALL/{s}_{e}{n:02d}.wav" for s in ("DC", "JE") for e in ("a", "sa") for n in (1, 2)]
WORDS = [
    f"{w}/{s}_nohash_{n}.wav"
    for w in ("yes", "no")
    for s in ("0a7c2a8d", "b49caed3")
    for n in (0, 1)
]


def find(dataset: Path, **settings: Any) -> dict[str, Unused]:  # noqa: ANN401
    """Return what is not used of a data set, by kind."""
    source, cfg = load(dataset, **settings), DataConfig(**settings)
    found = find_unused(source, parse_labels(source, cfg), cfg)
    return {one.kind: one for one in found}


def use(found: Unused) -> dict[str, str]:
    """Return the settings that the named flags make."""
    pairs = zip(found.flags[::2], found.flags[1::2], strict=True)
    return {flag[2:].replace("-", "_"): value for flag, value in pairs}


def write_esc50(root: Path) -> Path:
    """Write the archive's layout: audio/*.wav and meta/esc50.csv; two recordings a class a fold."""
    header = ("filename", "fold", "target", "category", "esc10", "src_file", "take")
    rows = []
    for fold, (target, name), source, take in itertools.product(
        range(1, 6), ((0, "dog"), (36, "vacuum_cleaner")), range(2), "AB"
    ):
        number = 100_000 + 100 * fold + 10 * target + source
        file = f"{fold}-{number}-{take}-{target}.wav"
        rows.append((file, fold, target, name, target == 0, number, take))
    write_clips(root / "audio", [str(row[0]) for row in rows])
    (root / "meta").mkdir()
    with (root / "meta" / "esc50.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return root


def test_the_esc50_archive_names_its_folds_and_its_recordings(tmp_path: Path) -> None:
    found = find(write_esc50(tmp_path))
    assert found["fold"].flags == ("--fold-column", "fold", "--folds", "5")
    assert found["group"].flags == ("--group-column", "src_file")
    assert (found["fold"].num_values, found["group"].num_values) == (5, 20)
    assert "label" not in found  # the number in the file's name is the class that is read
    assert find(tmp_path, fold_column="fold", fold="1") == {}
    assert find(tmp_path, group_column="src_file") == {}
    assert set(find(tmp_path, folds=5)) == {"fold", "group"}  # folds made anew ignore both


def test_training_warns_once_and_publishes_no_name_of_a_group(tmp_path: Path) -> None:
    source = load(write_esc50(tmp_path))
    labels, texts = parse_labels(source, DataConfig()), collect_warnings()
    warn_of_unused_columns(source, labels, DataConfig())
    warn_of_unused_columns(source, labels, DataConfig())
    assert len(texts) == 1
    assert "column 'fold' (5 folds: --fold-column fold --folds 5)" in texts[0]
    assert "column 'src_file' (20 groups: --group-column src_file)" in texts[0]
    assert "100" not in texts[0]
    assert texts[0].startswith("Not used, and likely the folds of the data set: column 'fold'")
    assert "Not used, and likely a speaker or recording: column 'src_file'" in texts[0]


def test_a_group_setting_ends_the_notice_of_groups_in_file_names(tmp_path: Path) -> None:
    """A column of splits is still named, and not as a speaker."""
    names = [f"{s}_{d}_{t}.wav" for s in ("ann", "bob", "cyd") for d in "01" for t in "0123"]
    write_clips(tmp_path, names)
    parts = ["train", "train", "test"]
    rows = [
        (name, name.split("_")[1], name[:3], parts[number // 8])
        for number, name in enumerate(names)
    ]
    with (tmp_path / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file_name", "label", "voice", "part_of_voice"), *rows])
    assert find(tmp_path)["group"].where == "file names"
    for settings in ({"group_column": "voice"}, {"group_pattern": "([a-z]+)_"}):
        source, cfg = load(tmp_path, **settings), DataConfig(**settings)
        found = find_unused(source, parse_labels(source, cfg), cfg)
        assert [one.where for one in found] == ["column 'part_of_voice'"]
        assert describe_unused(found).startswith("Not used, and likely the splits of the data set:")
        assert "speaker" not in describe_unused(found)


@pytest.mark.parametrize(
    ("files", "num_labels", "num_groups"),
    [(EMODB, 3, 3), (RAVDESS, 3, 3), (CREMA_D, 2, 2), (SAVEE, 2, 2)],
    ids=["EmoDB", "RAVDESS", "CREMA-D", "SAVEE"],
)
def test_official_file_names_are_known_and_the_named_flags_work(
    files: list[str], num_labels: int, num_groups: int, tmp_path: Path
) -> None:
    write_clips(tmp_path, files)
    found = {one.kind: one for one in find_unused(load(tmp_path), None, DataConfig())}
    label, group = use(found["label"]), use(found["group"])
    settings = {**label, **group}
    source, cfg = load(tmp_path, **settings), DataConfig(**settings)
    labels = parse_labels(source, cfg)
    pool = build_clip_index(source, labels, cfg)
    assert pool.groups is not None
    assert (len(labels.names), len(set(pool.groups))) == (num_labels, num_groups)
    assert (labels.ids["train"] != UNUSABLE).all()
    assert find_unused(source, labels, cfg) == []


@pytest.mark.parametrize("folder", ["", "wav/"])
def test_the_error_of_files_without_class_folders_has_the_flags(
    folder: str, tmp_path: Path
) -> None:
    write_clips(tmp_path, [folder + name.removeprefix("wav/") for name in EMODB])
    with pytest.raises(DatasetError) as caught:
        parse_labels(load(tmp_path), DataConfig())
    words = shlex.split(str(caught.value).split("in their names by ")[1])
    settings = {words[0][2:].replace("-", "_"): words[1], words[2][2:].replace("-", "_"): words[3]}
    assert set(settings) == {"label_pattern", "group_pattern"}
    labels = parse_labels(load(tmp_path, **settings), DataConfig(**settings))
    assert labels.names == ("F", "N", "W")


def test_actors_folders_as_classes_are_questioned(tmp_path: Path) -> None:
    write_clips(tmp_path, RAVDESS)
    assert set(find(tmp_path)) == {"label", "group"}


def test_speech_commands_are_cut_by_the_hash_of_their_speakers(tmp_path: Path) -> None:
    write_clips(tmp_path, WORDS)
    assert find(tmp_path)["group"].flags == ("--split-method", "hash")
    assert find(tmp_path)["group"].num_values == 2
    assert find(tmp_path, split_method="hash") == {}


def test_a_numbered_word_in_the_paths_is_a_group(tmp_path: Path) -> None:
    write_clips(tmp_path, [f"{c}/Speaker-{n}_{k}.wav" for c in "ab" for n in (3, 14) for k in "xy"])
    found = find(tmp_path)["group"]
    assert (found.where, found.num_values) == ("file names", 2)
    cfg = DataConfig(**use(found))
    source = load(tmp_path)
    groups = build_clip_index(source, parse_labels(source, cfg), cfg).groups
    assert groups is not None and set(groups) == {"3", "14"}


def write_table(root: Path, splits: dict[str, dict[str, list[Any]]]) -> Path:
    """Write parquet of eight clips of two classes a split, with these columns."""
    start = 0
    for split, columns in splits.items():
        rows = make_rows(8, start=start, label=["a", "b"], **columns)
        make_table(rows).to_parquet(str(root / f"{split}-00000-of-00001.parquet"))
        start += 8
    return root


@pytest.mark.parametrize("name", ["speaker", "Speaker_ID", "actor", "client_id", "patient"])
def test_columns_of_groups_are_known_by_name(name: str, tmp_path: Path) -> None:
    write_table(tmp_path, {"train": {name: ["x", "x", "y", "y"]}})
    assert find(tmp_path, label_column="label")["group"].flags == ("--group-column", name)


def test_groups_that_can_change_nothing_are_not_named(tmp_path: Path) -> None:
    one_each = {"train": {"speaker": ["x", "y"]}}  # x speaks all of a, y all of b
    assert find(write_table(tmp_path, one_each), label_column="label") == {}


@pytest.mark.parametrize(("last", "kinds"), [("z", set()), ("x", {"group"})])
def test_given_splits_that_keep_groups_apart_are_fine(
    last: str, kinds: set[str], tmp_path: Path
) -> None:
    speakers = {"train": ["x", "x", "u", "u"], "validation": ["y"], "test": [last]}
    splits = {split: {"speaker": own} for split, own in speakers.items()}
    found = find(write_table(tmp_path, splits), label_column="label")
    assert set(found) == kinds


def test_a_column_of_splits_is_named_with_flags_that_use_it(tmp_path: Path) -> None:
    columns = {"split": ["train", "train", "train", "train", "val", "val", "test", "test"]}
    found = find(write_table(tmp_path, {"train": columns}), label_column="label")["split"]
    assert use(found) == {
        "group_column": "split",
        "test_groups": "test",
        "validation_groups": "val",
    }


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("split", ["train", "Train", "test", "holdout"]),
        ("purpose", ["train", "train", "test", "holdout"]),
        ("is_test", [0, 0, 1, 1]),
        ("is_train", [True, True, True, False]),
    ],
)
def test_a_column_of_splits_is_named_whatever_its_name_and_further_values(
    name: str, values: list[object], tmp_path: Path
) -> None:
    write_table(tmp_path, {"train": {name: values, "place": ["in", "out", "in", "train"]}})
    found = find(tmp_path, label_column="label")["split"]
    assert (found.where, found.flags) == (f"column '{name}'", ())
    assert f"column '{name}' ({len(set(values))} splits" in describe_unused([found])


def test_a_stream_is_not_searched(tmp_path: Path) -> None:
    splits = {name: {"speaker": ["x", "x", "y", "y"]} for name in ("train", "validation", "test")}
    source = load(write_table(tmp_path, splits))
    cfg = DataConfig(streaming=True)
    assert find_unused(source, None, cfg) == []


def test_groups_that_given_splits_keep_apart_are_named_if_splits_are_made_anew(
    tmp_path: Path,
) -> None:
    parts = {name: {"speaker": [f"{name}-{n}" for n in (0, 0, 1, 1)]} for name in SPLIT_NAMES}
    table = write_table(tmp_path, parts)
    assert find(table, label_column="label") == {}
    assert find(table, label_column="label", folds=3)["group"].flags == (
        "--group-column",
        "speaker",
    )
    (tmp_path / "other").mkdir()
    other = write_table(tmp_path / "other", {**parts, "extra": parts["train"]})
    (other / "validation-00000-of-00001.parquet").unlink()  # it is cut from train then
    assert find(other, label_column="label")["group"].flags == ("--group-column", "speaker")
