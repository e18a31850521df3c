"""Command lines that the package prints for the user to paste."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from audio_cls.command_names import format_command

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("program", "installed", "shown"),
    [
        ("/usr/bin/audio-cls", 1, "audio-cls evaluate"),
        ("scripts/train.py", 1, "python scripts/evaluate_model.py"),
        (f"{ROOT}/scripts/train.py", True, f"python {ROOT}/scripts/evaluate_model.py"),
        (f"{ROOT}/audio_cls/__main__.py", 1, "python -m audio_cls evaluate"),
        (f"{ROOT}/audio_cls/cli/train.py", 1, "python -m audio_cls evaluate"),
        ("my_notebook.py", 1, "audio-cls evaluate"),
        ("my_notebook.py", 0, "python -m audio_cls evaluate"),
        ("/home/ann/scripts/train.py", 0, "python -m audio_cls evaluate"),  # not this one's
    ],
)
def test_a_command_is_named_as_the_user_started_the_program(
    monkeypatch: pytest.MonkeyPatch, program: str, installed: int, shown: str
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", [program])
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/audio-cls" if installed else None)
    assert format_command("evaluate") == shown
    assert format_command("evaluate", "--model", "my runs/a'b").startswith(f"{shown} --model ")


@pytest.mark.skipif(sys.platform == "win32", reason="quotes of a POSIX shell")
def test_paths_with_spaces_and_quotes_survive_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["audio-cls"])
    assert format_command("predict", "my runs/x", Path("a'b.wav")) == (
        "audio-cls predict 'my runs/x' 'a'\"'\"'b.wav'"
    )
