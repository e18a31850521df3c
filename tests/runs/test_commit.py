"""Provenance of a run: the commit of the code."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from audio_cls.runs.provenance import describe_commit


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_of_a_clone_is_recorded_with_a_mark_for_changed_files(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
        command = ["git", "-C", str(tmp_path), *who, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    file = tmp_path / "code.py"
    file.write_text("one = 1\n")
    git("init", "--quiet")
    assert describe_commit(file) is None  # not tracked
    git("add", "code.py")
    git("commit", "--quiet", "--message", "First")
    git("tag", "v1")
    sha = git("rev-parse", "HEAD")
    (tmp_path / "notes.txt").write_text("not tracked")
    assert describe_commit(file) == sha and len(sha) == 40
    assert describe_commit(tmp_path / "notes.txt") is None
    file.write_text("one = 2\n")
    assert describe_commit(file) == f"{sha}-dirty"


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert describe_commit() is None
