"""Tests of audio_cls.data.splits.hash_split."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from word_sounds import write_words

from audio_cls.config import DataConfig
from audio_cls.data.labels.labels import parse_labels
from audio_cls.data.load import load_dataset
from audio_cls.data.splits.clip_index import build_clip_index
from audio_cls.data.splits.hash_split import hash_name, split_by_hash
from audio_cls.data.splits.splits import make_splits


def official_set(filename: str, validation_percentage: float, testing_percentage: float) -> str:
    """Decide as `which_set` in the data set's README does, line for line."""
    base_name = filename.rsplit("/", 1)[-1]
    hash_part = base_name.split("_nohash_")[0]
    hashed = hashlib.sha1(hash_part.encode()).hexdigest()
    most = 2**27 - 1
    percentage_hash = (int(hashed, 16) % (most + 1)) * (100.0 / most)
    if percentage_hash < validation_percentage:
        return "validation"
    if percentage_hash < testing_percentage + validation_percentage:
        return "test"
    return "train"


def test_files_go_where_the_official_rule_sends_them() -> None:
    ids = np.array([f"yes/{number:08x}_nohash_{number % 3}.wav" for number in range(3000)])
    rows, cfg = np.arange(len(ids)), DataConfig()
    rest, test = split_by_hash(rows, ids, "test", cfg)
    train, validation = split_by_hash(rest, ids, "validation", cfg)
    for role, own in (("train", train), ("validation", validation), ("test", test)):
        assert [official_set(str(ids[row]), 10, 10) for row in own] == [role] * len(own)
    assert 240 < len(test) < 360 and 240 < len(validation) < 360


def test_what_a_speaker_says_is_on_one_side() -> None:
    assert hash_name("yes/0a7c2a8d_nohash_0.wav") == hash_name("left/0a7c2a8d_nohash_4.wav")
    assert hash_name("0a7c2a8d.wav") != hash_name("0a7c2a8e.wav")


def test_a_folder_is_split_by_hash_when_asked_to(tmp_path: Path) -> None:
    root = write_words(tmp_path / "words", clips=80)
    cfg = DataConfig(dataset=str(root), split_method="hash", validation_size=0.2, test_size=0.2)
    source = load_dataset(cfg)
    pool = build_clip_index(source, parse_labels(source, cfg), cfg)
    splits = make_splits(pool, cfg)
    for role, rows in splits.items():
        names = {str(pool.ids[row]) for row in rows}
        assert names and {official_set(name, 20, 20) for name in names} == {role}
    speakers = [{str(pool.ids[r]).split("/")[1][:8] for r in rows} for _, rows in splits.items()]
    assert not speakers[0] & speakers[1] and not speakers[1] & speakers[2]
    assert splits.origins["test"] == "cut from 'train' (hash, 0.2)"
