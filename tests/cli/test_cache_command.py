"""`audio-cls cache`: what is cached is listed, measured and deleted, but not what is in use."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from audio_cls.cli.main import main
from audio_cls.storage import cache, inventory
from audio_cls.storage.cache import CacheEntry, cache_json


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of caches: decoded clips of 2 and 3 days ago, and two JSON files."""
    for module in (cache, inventory):
        monkeypatch.setattr(module, "cache_root", lambda: tmp_path / "audio_cls")
    for name, days in (("aa", 2), ("bb", 3)):
        entry = CacheEntry("waves", name)
        with entry.filling():
            (entry.path / "clips.arrow").write_bytes(bytes(500_000))
            entry.write_about({"what": "7 clips at 16000 Hz", "files": ["clips.arrow"]})
        stamp = time.time() - days * 86_400
        os.utime(entry.path, (stamp, stamp))
    cache_json("near", "cc", [[0, 1, 0.99]])
    cache_json("near", "dd", [])
    return tmp_path / "audio_cls"


def run(*words: str, answer: str | None = None) -> str:
    """Run the command; return all that it wrote."""
    result = CliRunner().invoke(main, ["cache", *words], input=answer)
    assert result.exit_code in (0, 1), result.output
    return result.output


def test_the_list_has_what_folder_size_and_last_use(caches: Path) -> None:
    used = CacheEntry("waves", "bb")
    stamp = used.path.stat().st_mtime
    used.hold()
    os.utime(used.path, (stamp, stamp))
    lines = run("list").splitlines()
    assert len(lines) == 7 and max(map(len, lines[:-1])) <= 80
    date = time.strftime("%Y-%m-%d", time.localtime(time.time() - 2 * 86_400))
    assert f"500 kB  {date}" in lines[0]
    assert lines[0].endswith("decoded clips, 7 clips at 16000 Hz")
    assert Path(lines[1].strip()) == Path("waves/aa")
    assert lines[2].endswith("  in use") and Path(lines[3].strip()) == Path("waves/bb")
    assert "near duplicates that were found, 2 files" in lines[4]
    assert lines[6].split("  in ")[1] == str(caches)
    used.release()


def test_sizes_are_by_kind_and_in_all(caches: Path) -> None:
    lines = [line.split() for line in run("size").splitlines()]
    assert lines[0][:4] == ["1", "MB", "decoded", "clips"]
    assert lines[-1][:3] == ["1", "MB", "in"]


def test_only_what_is_old_is_deleted_if_that_is_asked_for(caches: Path) -> None:
    assert "Deleted 500 kB" in run("clear", "--older-than", "2.5", "--yes")
    assert sorted(path.name for path in (caches / "waves").iterdir()) == ["aa"]
    assert (caches / "near" / "cc.json").exists()


def test_nothing_is_deleted_without_a_yes(caches: Path) -> None:
    assert "Delete 1 MB in 3 folders?" in run("clear", answer="n\n")
    assert (caches / "waves" / "aa").exists()
    assert "Deleted 1 MB" in run("clear", answer="y\n")
    assert [path for path in (caches / "waves").iterdir()] == []
    assert not (caches / "near").exists()
    assert "Deleted 0 B" in run("clear", "--yes")


def test_what_is_in_use_is_not_deleted(caches: Path) -> None:
    used = CacheEntry("waves", "aa")
    used.hold()
    run("clear", "--yes")
    assert [path.name for path in (caches / "waves").iterdir()] == ["aa"]
    used.release()
    run("clear", "--yes")
    assert list((caches / "waves").iterdir()) == []


def test_caches_of_an_older_version_are_counted_and_deleted(caches: Path) -> None:
    (caches / "prefix" / "old").mkdir(parents=True)
    (caches / "prefix" / "old" / "x.rows").write_bytes(bytes(2_000_000))
    assert "2 MB  caches of an older version" in run("size")
    assert "Deleted 3 MB" in run("clear", "--yes")
    assert not (caches / "prefix").exists()


def test_what_a_killed_deletion_left_is_deleted(caches: Path) -> None:
    (caches / "waves" / f"{cache.REMOVED}x").mkdir()
    assert "removed" not in run("list")
    run("clear", "--yes")
    assert list((caches / "waves").iterdir()) == []
