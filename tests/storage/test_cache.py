"""Tests of audio_cls.storage.cache."""

from __future__ import annotations

import errno
import multiprocessing
import pickle
import threading
from pathlib import Path

import pytest

from audio_cls.errors import SettingError
from audio_cls.storage import cache
from audio_cls.storage.cache import (
    CacheEntry,
    cache_json,
    cache_path,
    load_or_make,
    measure_path,
    read_cached_json,
)


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the caches of this test."""
    monkeypatch.setattr(cache, "cache_root", lambda: tmp_path / "caches")
    monkeypatch.setattr(cache, "POLL_SECONDS", 0.01)
    return tmp_path / "caches"


def test_values_are_read_as_written_and_damaged_ones_are_none() -> None:
    assert read_cached_json("near", "a") is None
    cache_json("near", "a", {"ä": [1, 2.5, None]})
    assert read_cached_json("near", "a") == {"ä": [1, 2.5, None]}
    cache_path("near", "a.json").write_text('{"cut', "utf-8")
    assert read_cached_json("near", "a") is None
    assert [path.name for path in cache_path("near").iterdir()] == ["a.json"]


def test_an_entry_in_use_is_not_deleted() -> None:
    one, two, other = (CacheEntry("waves", "a") for _ in range(3))
    one.hold()
    two.hold()
    assert not other.remove() and other.is_used() and one.path.is_dir()
    one.release()
    assert not other.remove()
    copy: CacheEntry = pickle.loads(pickle.dumps(two))
    copy.release()
    assert not other.remove(), "a copy holds nothing that it could release"
    two.release()
    assert not other.is_used()
    assert other.remove() and not other.path.exists()
    assert list(cache_path("waves").iterdir()) == []


def test_an_entry_is_free_when_the_object_that_holds_it_is_gone() -> None:
    entry = CacheEntry("waves", "a")
    entry.hold()
    other = CacheEntry("waves", "a")
    del entry
    assert other.remove()


def test_two_threads_that_need_one_entry_make_it_once() -> None:
    made: list[int] = []
    begun = threading.Event()

    def use(number: int) -> None:
        entry = CacheEntry("waves", "a")

        def make() -> None:
            begun.set()
            made.append(number)
            entry.write_about({"what": "something"})

        found = load_or_make(entry, entry.read_about, make)
        assert found == {"what": "something"}

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert begun.is_set() and len(made) == 1


def _hold_for_ever(root: Path, ready: multiprocessing.synchronize.Event) -> None:
    cache.cache_root = lambda: root  # type: ignore[assignment]
    entry = CacheEntry("features", "a")
    entry.hold()
    ready.set()
    threading.Event().wait()


def test_another_processes_entry_is_kept_until_it_is_killed(caches: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=_hold_for_ever, args=(caches, ready))
    process.start()
    assert ready.wait(10)
    assert not CacheEntry("features", "a").remove()
    process.kill()
    process.join()
    assert CacheEntry("features", "a").remove()


def test_sizes_are_of_all_files_below(tmp_path: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "x" / "y" / "one").write_bytes(bytes(10))
    (tmp_path / "x" / "two").write_bytes(bytes(7))
    (tmp_path / "x" / "gone").symlink_to(tmp_path / "absent")
    assert measure_path(tmp_path / "x") == 17
    assert measure_path(tmp_path / "x" / "two") == 7
    assert measure_path(tmp_path / "absent") == 0


def test_a_folder_that_cannot_be_written_is_one_line_and_values_are_not_cached(
    caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)
        cache_json("near", "a", 1)
        with pytest.raises(SettingError, match=r"cannot be written \(Permission denied\)"):
            load_or_make(CacheEntry("waves", "a"), lambda: None, lambda: None)
    assert read_cached_json("near", "a") is None

    def fail() -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/clips/a.wav")

    with pytest.raises(PermissionError, match=r"a\.wav"):  # not a folder of the caches
        load_or_make(CacheEntry("waves", "a"), lambda: None, fail)
