"""Tests of audio_cls.data.clips.decode_key."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
import soxr
from datasets import Audio, Dataset
from sounds import encode_sound, make_table, make_tone

from audio_cls.data.clips import decode_key
from audio_cls.data.clips.decode_cache import decode_clips
from audio_cls.data.clips.decode_key import make_decode_key, read_encoded_clips
from audio_cls.data.sources.dataset_tables import content_key
from audio_cls.data.sources.tables.clip_paths import ClipIndex
from audio_cls.storage.files import describe_file


def key_of(table: Dataset, source: str = "source", rate: int = 16_000) -> str:
    """Return the key of all clips of a table."""
    return make_decode_key(read_encoded_clips(table, "audio"), source, rate, None)


def list_files(*paths: Path | None, **others: list[object]) -> Dataset:
    """Make a table of files."""
    rows = {"audio": [None if path is None else str(path) for path in paths], **others}
    return Dataset.from_dict(rows).cast_column("audio", Audio(decode=False))


def write_tone(path: Path, hz: float, seconds: float = 0.1) -> Path:
    """Write a clip that was last changed in the year 2020."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_sound(make_tone(hz, seconds), 16_000))
    os.utime(path, (1_577_836_800, 1_577_836_800))
    return path


def test_a_file_of_equal_name_size_and_time_in_another_folder_is_another_clip(
    tmp_path: Path,
) -> None:
    one, two = (
        write_tone(tmp_path / name / "set" / "a.wav", hz) for name, hz in (("x", 300), ("y", 900))
    )
    assert (one.stat().st_size, one.stat().st_mtime) == (two.stat().st_size, two.stat().st_mtime)
    assert key_of(list_files(one)) != key_of(list_files(two))
    first, second = (decode_clips(list_files(path), "audio", 16_000, "") for path in (one, two))
    assert first["hash"][:] != second["hash"][:]


def test_a_relative_path_counts_with_the_folder_that_it_is_relative_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = []
    for name, hz in (("x", 300), ("y", 900)):
        write_tone(tmp_path / name / "a.wav", hz)
        monkeypatch.chdir(tmp_path / name)
        keys.append(key_of(list_files(Path("a.wav"))))
    assert keys[0] != keys[1]


CHANGES: dict[str, Callable[[Path], Dataset]] = {
    "its time": lambda path: (os.utime(path, (1, 1)), list_files(path))[1],
    "its size": lambda path: list_files(write_tone(path, 300, 0.2)),
    "its name": lambda path: list_files(path.rename(path.with_name("b.wav"))),
    "that it is gone": lambda path: (path.unlink(), list_files(path))[1],
    "another clip beside it": lambda path: list_files(path, path),
    "no clip beside it": lambda path: list_files(path, None),
    "where its segment begins": lambda path: list_files(path, start=[0.0]),
    "where another segment begins": lambda path: list_files(path, start=[0.05]),
    "where its segment ends": lambda path: list_files(path, end=[0.05]),
}


def test_each_change_of_a_file_changes_the_key(tmp_path: Path) -> None:
    keys = set()
    for number, change in enumerate(CHANGES.values()):
        path = write_tone(tmp_path / "a.wav", 300)
        before = key_of(list_files(path))
        assert before == key_of(list_files(path))
        keys |= {before, key_of(change(path))}
        assert len(keys) == 2 * number + 2  # a file that is written anew is another one
        shutil.rmtree(tmp_path)


def test_two_files_of_equal_size_and_time_that_change_places_have_another_key(
    tmp_path: Path,
) -> None:
    """Their decoded clips were those of before, under the other file's label."""
    one, two = (write_tone(tmp_path / name, hz) for name, hz in (("a.wav", 300), ("b.wav", 900)))
    index = ClipIndex(tmp_path)
    index.note([one, two])
    keys = [(key_of(list_files(one, two)), content_key([one, two]), index.key)]
    hashes = [decode_clips(list_files(one, two), "audio", 16_000, "")["hash"][:]]
    one.rename(tmp_path / "c.wav")
    two.rename(one)
    (tmp_path / "c.wav").rename(two)
    index = ClipIndex(tmp_path)
    index.note([one, two])
    keys.append((key_of(list_files(one, two)), content_key([one, two]), index.key))
    hashes.append(decode_clips(list_files(one, two), "audio", 16_000, "")["hash"][:])
    assert all(before != after for before, after in zip(*keys, strict=True))
    assert list(hashes[1]) == list(hashes[0])[::-1] and hashes[0][0] != hashes[0][1]


def test_an_inode_of_64_bits_fits_into_a_key() -> None:
    state = os.stat_result((0o644, 2**64 - 1, 0, 1, 0, 0, 5, 0, 0, 0))
    assert describe_file(state)[::3] == (5, 2**63 - 1)


def test_bytes_count_by_size_name_and_content_and_by_what_holds_them() -> None:
    one, two = (encode_sound(make_tone(hz, 0.1), 16_000) for hz in (300, 900))
    longer = encode_sound(make_tone(300, 0.2), 16_000)
    tables = [make_table(own) for own in ([one, two], [two, one], [one, one], [one, longer], [one])]
    keys = [key_of(table) for table in tables]
    keys += [key_of(tables[0], source="other"), key_of(tables[0], rate=8_000)]
    keys += [key_of(tables[0].select([0, 1, 0]))]
    assert len(set(keys)) == len(keys)
    assert key_of(tables[0].select([1, 0])) == keys[1]


def test_a_file_is_not_read_for_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tone(tmp_path / "a.wav", 300)
    monkeypatch.setattr("builtins.open", lambda *_, **__: pytest.fail("it was read"))
    assert key_of(list_files(path))


def test_other_versions_of_what_decodes_have_other_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = list_files(write_tone(tmp_path / "a.wav", 300))
    keys = {key_of(table)}
    for module, name in (
        (soundfile, "__version__"),
        (soundfile, "__libsndfile_version__"),
        (soxr, "__version__"),
        (soxr, "__libsoxr_version__"),
        (decode_key, "DECODER_VERSION"),
    ):
        monkeypatch.setattr(module, name, "0.0.1")
        keys.add(key_of(table))
    assert len(keys) == 6


def test_pyav_counts_only_where_it_may_be_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, foreign = (write_tone(tmp_path / name, 300) for name in ("a.WAV", "a.m4a"))
    tables = [list_files(plain), list_files(foreign), list_files(plain, foreign)]
    keys = {}
    for version in (None, "12.0", "13.0"):
        monkeypatch.setattr(decode_key, "find_version", lambda _, version=version: version)
        keys[version] = [key_of(table) for table in tables]
    assert len({own[0] for own in keys.values()}) == 1
    assert all(len({own[place] for own in keys.values()}) == 3 for place in (1, 2))


def test_a_segment_counts_by_its_recording_and_its_times(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "a.wav", 300)
    times = ("0.000-0.050", "0.010-0.050", "0.000-0.060")
    keys = [key_of(list_files(Path(f"{path}#{own}"))) for own in times]
    os.utime(path, (1, 1))
    keys += [key_of(list_files(Path(f"{path}#{own}"))) for own in times]
    assert len(set(keys)) == 6
