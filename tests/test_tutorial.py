"""Tutorials: all blocks run in order, in one folder; the translation has the same blocks."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from audio_cls.cli.main import main

ROOT = Path(__file__).parents[1]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
NEEDS_HUB = ("hf auth login", "audio-cls publish ")


def list_blocks(text: str) -> list[tuple[str, str]]:
    """Return language and content of each fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.M | re.S)


def run_line(line: str) -> None:
    """Run `audio-cls ...`; a training has two steps. Commands that need the Hub are left out."""
    if not line.startswith(NEEDS_HUB):
        name, *words = shlex.split(line)
        assert name == "audio-cls"
        short = ["--max-steps", "2"] if words[0] == "train" else []
        done = CliRunner().invoke(main, [*words, *short])
        assert done.exit_code == 0, done.output


@pytest.mark.long
def test_the_blocks_of_the_tutorial_run_and_print_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {}
    is_trained = False  # from there on, scores and labels may differ between machines
    for language, block in list_blocks(TUTORIAL):
        if language == "bash":
            for line in block.splitlines():
                run_line(line)
                is_trained |= "audio-cls train" in line
            continue
        capsys.readouterr()
        exec(compile(block, "tutorial.md", "exec"), space)
        printed = capsys.readouterr().out.splitlines()
        promised = [line[2:] for line in block.splitlines() if line.startswith("# ")]
        pattern = r"\d\.\d\d|^(fr|it|ru)$" if is_trained else r"$^"
        shown = [re.sub(pattern, "", line) for line in printed[-len(promised) or None :]]
        assert shown == [re.sub(pattern, "", line) for line in promised]


def test_the_translation_has_the_same_blocks() -> None:
    translation = (ROOT / "docs" / "tutorial.zh-CN.md").read_text("utf-8")
    assert list_blocks(translation) == list_blocks(TUTORIAL)
    assert translation.count("\n## ") == TUTORIAL.count("\n## ")
