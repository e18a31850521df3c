"""Tests of audio_cls.data.keyword_spotting.relabel."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset
from hub_datasets import make_dataset
from word_sounds import WORDS, make_noise_wav, make_word_tables, spotting, write_words

from audio_cls.audio.waveform import decode_wave
from audio_cls.config import DataConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.data.keyword_spotting.relabel import SILENCE, UNKNOWN, relabel_keywords
from audio_cls.data.keyword_spotting.silence import make_silence
from audio_cls.data.labels.find_column import find_label_column
from audio_cls.data.labels.labels import parse_labels
from audio_cls.data.labels.parse import parse_label_column
from audio_cls.data.load import load_dataset
from audio_cls.data.loaded_dataset import SILENCE_RECORDING
from audio_cls.data.prepare import prepare_clips
from audio_cls.data.sources.columns.clip_ids import read_clip_ids
from audio_cls.data.splits.clip_index import build_clip_index
from audio_cls.data.splits.splits import make_splits
from audio_cls.data.unused_columns import find_unused
from audio_cls.errors import DatasetError


def count_labels(table) -> dict[str, int]:  # noqa: ANN001
    """Count the clips of each class of a table."""
    kind = table.features["label"]
    assert isinstance(kind, ClassLabel)
    names = [kind.names[label] for label in table["label"]]
    return {name: names.count(name) for name in kind.names}


def relabel(splits: dict[str, Dataset], cfg: DataConfig) -> dict[str, Dataset]:
    """Return the relabelled tables."""
    return relabel_keywords(make_dataset(splits), cfg).splits


def test_every_label_that_is_no_keyword_becomes_unknown() -> None:
    tables = relabel(make_word_tables(), DataConfig(keywords=("no", "yes")))
    assert tables["train"].features["label"].names == ["no", "yes", SILENCE, UNKNOWN]
    assert count_labels(tables["validation"]) == {"no": 10, "yes": 10, SILENCE: 0, UNKNOWN: 30}


def test_unknown_from_names_the_labels_that_become_unknown() -> None:
    tables = relabel(make_word_tables(), DataConfig(unknown_from=("cat", "bed")))
    assert tables["train"].features["label"].names == ["no", "up", "yes", SILENCE, UNKNOWN]
    assert count_labels(tables["train"])[UNKNOWN] == 40


def test_without_such_settings_the_tables_are_the_same_objects() -> None:
    dataset = make_dataset(make_word_tables())
    assert relabel_keywords(dataset, DataConfig(silence_share=0.5)) is dataset


def test_recordings_of_the_label_are_cut_where_the_data_set_put_them() -> None:
    made = make_word_tables(long_in=("train", "validation"))
    tables = relabel(made, spotting(silence_from=SILENCE, silence_share=0.25))
    train = tables["train"]
    rows = [row for row, label in enumerate(train["label"]) if label == 2]
    assert len(rows) >= 10 and len(tables["train"]) == 100 + len(rows)
    assert all("#" in train["file"][row] for row in rows)
    assert {train[SILENCE_RECORDING][row] for row in rows} == {"train-hum0.wav", "train-hum1.wav"}
    assert set(tables["validation"][SILENCE_RECORDING]) == {""}, "they stay in validation"
    assert sum("#" in name for name in tables["validation"]["file"]) >= 5
    assert count_labels(tables["test"])[SILENCE] == 2, "short clips stay as they are"


def test_more_silence_is_cut_when_a_larger_share_is_asked_for() -> None:
    few, many = (
        count_labels(
            relabel(make_word_tables(), spotting(silence_from=SILENCE, silence_share=share))[
                "train"
            ]
        )[SILENCE]
        for share in (0.1, 0.6)
    )
    assert few == 20 and many >= 30  # 2 recordings of 2 s in pieces of 0.2 s, then overlapping


def test_silence_is_made_where_there_is_none() -> None:
    tables = make_word_tables()
    tables = {"train": tables["train"].select(range(100))}
    cfg = spotting(silence_from="synthesise", silence_share=0.5)
    made = relabel(tables, cfg)["train"]
    assert count_labels(made)[SILENCE] == 20
    assert made["file"][100].startswith("synthesised/white#0")
    assert made["speaker"][100] is None


def test_silence_from_an_unknown_place_lists_the_labels() -> None:
    tables = {"train": make_word_tables()["train"].select(range(100))}
    with pytest.raises(
        DatasetError, match=r"neither a folder nor a label: the labels are .*synthesise"
    ):
        relabel(tables, spotting(silence_from="hums"))


def test_a_keyword_that_does_not_exist_is_suggested_another() -> None:
    with pytest.raises(DatasetError, match=r"no label 'yess'.*Did you mean yes"):
        relabel(make_word_tables(), DataConfig(keywords=("yess",)))


def test_unknown_from_beats_the_keywords_of_a_preset() -> None:
    cfg = DataConfig(keywords=("left", "right"), unknown_from=("cat", "bed", "up"))
    tables = relabel(make_word_tables(), cfg)
    assert tables["train"].features["label"].names == ["no", "yes", SILENCE, UNKNOWN]


@pytest.mark.parametrize(("rows", "marks"), [(100, "synthesised/"), (102, "train-hum")])
def test_auto_takes_the_label_of_silence_or_else_makes_some(rows: int, marks: str) -> None:
    tables = {"train": make_word_tables()["train"].select(range(rows))}
    made = relabel(tables, spotting(silence_from="auto"))["train"]
    pieces = [name for name in made["file"] if "#" in name]
    assert pieces and all(name.startswith(marks) for name in pieces)


@pytest.mark.parametrize("silence_from", [None, SILENCE, "synthesise"])
def test_the_result_has_what_reading_its_tables_would_give(silence_from: str | None) -> None:
    tables = make_word_tables(long_in=("train", "validation"))
    labels = tables["train"]["label"][:]
    unlabelled = tables["train"].remove_columns("label").add_column("label", [None, *labels[1:]])
    cfg = spotting(silence_from=silence_from)
    made = relabel_keywords(make_dataset({**tables, "train": unlabelled}), cfg)
    found, read = made.label_column, parse_label_column(made.splits, "label", None)
    assert found is not None and found.unusable == read.unusable == {"null": 1}
    assert (found.name, found.classes, found.clips) == (read.name, read.classes, read.clips)
    for split, is_empty in read.is_empty.items():
        np.testing.assert_array_equal(found.is_empty[split], is_empty)
    assert made.ids.tolist() == read_clip_ids(made.splits, "audio").tolist()


@pytest.mark.parametrize("keywords", [(), ("no", "yes")])
def test_label_column_and_clip_ids_are_read_once(
    keywords: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Counter()
    for function in (find_label_column, parse_label_column, read_clip_ids):

        def count(*args: Any, function: Any = function, **named: Any) -> Any:  # noqa: ANN401
            calls[function.__name__] += 1
            return function(*args, **named)

        for name, module in list(sys.modules.items()):  # wherever it is imported
            if name.startswith("audio_cls") and vars(module).get(function.__name__) is function:
                monkeypatch.setattr(module, function.__name__, count)
    cfg = DataConfig(
        dataset=str(write_words(tmp_path / "words")), keywords=keywords, label_pattern=r"(\w+)/"
    )
    dataset = relabel_keywords(load_dataset(cfg), cfg)
    labels = parse_labels(dataset, cfg)
    assert find_unused(dataset, labels, cfg)[0].kind == "group"
    index = build_clip_index(dataset, labels, cfg)
    assert len(index.ids) == 100
    assert calls == {"find_label_column": 1, "parse_label_column": 1, "read_clip_ids": 1}


def prepare_words(root: Path, **settings: object):  # noqa: ANN201
    """Load, split and decode a folder of words, as a run does."""
    cfg = spotting(dataset=str(root), **settings)
    source = relabel_keywords(load_dataset(cfg), cfg)
    labels = parse_labels(source, cfg)
    pool = build_clip_index(source, labels, cfg)
    splits = make_splits(pool, cfg)
    return labels, pool, splits, prepare_clips(source, labels, pool, splits, 16_000, cfg)


def test_a_folder_of_words_becomes_a_twelve_class_like_task(tmp_path: Path) -> None:
    """Every split has keywords, unknown words and silence, and no recording is on two sides."""
    root = write_words(tmp_path / "words", background=4)
    labels, pool, splits, clips = prepare_words(
        root, silence_from="_background_noise_", unknown_share=0.5, silence_share=0.25
    )
    assert labels.names == ("yes", "no", SILENCE, UNKNOWN)
    sides = {}
    for role, part in clips.items():
        names = [labels.names[label] for label in part.labels]
        assert all(name in names for name in labels.names), role
        for clip in part.ids:
            if "#" in clip:
                sides.setdefault(clip.split("#")[0], set()).add(role)
                assert clip.startswith("_background_noise_/hum")
    assert len(sides) == 4 and all(len(roles) == 1 for roles in sides.values())
    test = [labels.names[label] for label in clips.test.labels]
    assert test.count(UNKNOWN) == 2 and test.count("yes") + test.count("no") == 4
    assert test.count(SILENCE) == 1
    assert not clips.bad and splits.origins["test"].startswith("keywords with unknown words")
    assert len(set(pool.ids.tolist())) == len(pool.ids)


def test_a_cap_on_training_clips_counts_what_an_epoch_uses(tmp_path: Path) -> None:
    """16 + 16 keyword clips, 0.5 unknown words for each: 48 clips an epoch, capped to 24."""
    root = write_words(tmp_path / "words", clips=20)
    _, _, _, clips = prepare_words(root, unknown_share=0.5, max_train_samples=24)
    assert np.bincount(clips.train.labels).tolist() == [8, 8, 8]
    whole = prepare_words(root, unknown_share=0.5)[3]
    assert np.bincount(whole.train.labels).tolist()[:2] == [16, 16]


def test_a_folder_of_recordings_is_the_silence(tmp_path: Path) -> None:
    root = write_words(tmp_path / "words")
    hums = write_words(tmp_path / "other", clips=0, background=3) / "_background_noise_"
    labels, _, _, clips = prepare_words(root, silence_from=str(hums))
    index = labels.names.index(SILENCE)
    assert all((part.labels == index).any() for _, part in clips.items())
    assert {clip.split("#")[0] for clip in clips.train.ids if "#" in clip} < {
        f"hum{n}.wav" for n in range(3)
    }
    first = {clip: read_clip(clips.train, n) for n, clip in enumerate(clips.train.ids)}
    (hums / "hum0.wav").write_bytes((hums / "hum1.wav").read_bytes())
    _, _, _, clips = prepare_words(root, silence_from=str(hums))
    for number, clip in enumerate(clips.train.ids):
        if clip in first and clip.startswith("hum0"):
            assert not np.array_equal(read_clip(clips.train, number), first[clip])


def read_clip(clips: Clips, number: int) -> np.ndarray:
    """Return a whole clip."""
    return clips.read_wave(number, 0, int(clips.lengths[number]))


def write_word_splits(root: Path) -> dict[str, bytes]:
    """Write parquet files of equally long words; two label columns, of which each lacks some."""
    sounds: dict[str, bytes] = {}
    root.mkdir()
    for place, (split, count) in enumerate({"train": 12, "validation": 8, "test": 10}.items()):
        names = [f"{split}-{word}-{n}.wav" for word in WORDS for n in range(count)]
        sounds |= {name: make_noise_wav(0.2, 1_000 * place + n) for n, name in enumerate(names)}
        words = [name.split("-")[1] for name in names]
        table = {
            "audio": [{"bytes": sounds[name], "path": name} for name in names],
            "word": [None if n % 4 == 0 else word for n, word in enumerate(words)],
            "again": [None if n % 5 == 0 else word for n, word in enumerate(words)],
        }
        pq.write_table(pa.table(table), root / f"{split}-0.parquet")
    return sounds


def test_whatever_the_settings_each_clip_has_its_own_sound(tmp_path: Path) -> None:
    sounds = write_word_splits(tmp_path / "words")
    given = {"train_split": "train", "test_split": "test", "label_column": "word"}
    for changes in (
        {},
        {"train_split": "test", "test_split": "train"},
        {"label_column": "again"},
        {"keywords": ("up", "no")},
        {"split_seed": 1},
        {"silence_share": 0.3},
        {"max_train_samples": 20},
    ):
        settings = {**given, "silence_from": "synthesise", **changes}
        _, _, _, clips = prepare_words(tmp_path / "words", **settings)
        seed = spotting(**settings).split_seed
        made = {piece.id: piece.bytes_ for piece in make_silence(50, 0.2, seed)}
        heard = 0
        for _, part in clips.items():
            for number, clip in enumerate(part.ids):
                expected = decode_wave({**sounds, **made}[clip], None, 16_000)
                np.testing.assert_array_equal(read_clip(part, number), expected)
                heard += 1
        assert heard > 20


def test_named_speakers_are_tested_with_silence_beside_them(tmp_path: Path) -> None:
    lines = ["file_name,label,speaker"]
    root = write_words(tmp_path / "words", clips=8)
    for word in WORDS:
        lines += [
            f"{word}/{path.name},{word},{'ann' if number < 3 else 'ben' if number < 5 else 'cy'}"
            for number, path in enumerate(sorted((root / word).iterdir()))
        ]
    (root / "metadata.csv").write_text("\n".join(lines))
    labels, pool, _, clips = prepare_words(
        root, silence_from="synthesise", silence_share=0.5,
        group_column="speaker", test_groups=("ann",), validation_groups=("ben",),
    )  # fmt: skip
    place = {str(name): row for row, name in enumerate(pool.ids)}
    for role, speaker in (("train", "cy"), ("validation", "ben"), ("test", "ann")):
        part = getattr(clips, role)
        assert {str(pool.groups[place[str(clip)]]) for clip in part.ids} == {speaker, ""}
        assert (part.labels == labels.names.index(SILENCE)).sum() >= 1


@pytest.mark.parametrize("silence", ["synthesise", "_background_noise_"])
def test_a_pattern_of_groups_is_not_looked_for_in_pieces_of_silence(
    silence: str, tmp_path: Path
) -> None:
    root = write_words(tmp_path / "words", background=4)
    for word in WORDS:
        for number, path in enumerate(sorted((root / word).iterdir())):
            path.rename(path.with_name(f"s{number % 4}_{number}.wav"))
    labels, pool, _, _ = prepare_words(
        root, silence_from=silence, silence_share=0.5, group_pattern=r"s(\d)_"
    )
    pieces = pool.labels == labels.names.index(SILENCE)
    assert pieces.sum() >= 2
    assert set(pool.groups[pieces]) == {""}
    assert set(pool.groups[~pieces]) == {"0", "1", "2", "3"}


def test_a_run_is_repeated_by_its_lists(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_words(tmp_path / "words", background=4)
    silence = {"silence_from": "_background_noise_", "unknown_share": 0.5}
    _, _, _, clips = prepare_words(root, **silence)
    clips.save(tmp_path)
    with caplog.at_level(logging.INFO):
        _, _, _, again = prepare_words(root, **silence, split_files=str(tmp_path / "splits"))
    for (_, one), (_, other) in zip(clips.items(), again.items(), strict=True):
        np.testing.assert_array_equal(np.sort(one.ids), np.sort(other.ids))
