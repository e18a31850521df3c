"""README keeps its word: its commands exist, its table is the settings'."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from accelerate.commands.launch import launch_command_parser

from audio_cls.cli.options.settings_table import BLOCKS, rewrite
from audio_cls.config import flag_name, iterate_settings
from audio_cls.presets import list_presets

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "examples").glob("*/README.md"))]


def _list_flags() -> set[str]:
    """Return every setting's flag, and `--no-...` of those that are on or off."""
    settings = list(iterate_settings())
    negated = {f"--no-{flag_name(one.name)[2:]}" for one in settings if one.type is bool}
    return {flag_name(one.name) for one in settings} | negated


def _list_commands(text: str) -> list[str]:
    """Return the lines of all bash blocks, those that go on after a backslash as one."""
    blocks = re.findall(r"```bash\n(.*?)```", text.replace("\\\n", " "), flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def test_the_first_two_blocks_are_one_line_each_and_set_everything_up() -> None:
    train, test = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)[:2]
    assert train.count("\n") == test.count("\n") == 1
    assert train.startswith("pip install -c constraints.txt -e . && accelerate launch ")
    assert "pytest" in test


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.parent.name))
def test_every_command_names_files_and_flags_that_exist(path: Path) -> None:
    flags = _list_flags() | {"--preset"}
    commands = _list_commands(path.read_text("utf-8"))
    assert commands
    for line in commands:
        words = shlex.split(line, comments=True)
        for word in words:
            if word.startswith(("scripts/", "examples/")):
                assert (ROOT / word).is_file(), line
        if "scripts/train.py" in words:
            given = words[words.index("scripts/train.py") + 1 :]
            assert {word for word in given if word.startswith("--")} <= flags, line


@pytest.mark.parametrize("path", DOCUMENTS[1:], ids=lambda path: str(path.parent.name))
def test_every_flag_that_an_example_speaks_of_exists(path: Path) -> None:
    known = _list_flags() | {"--preset", "--show-preset", "--list-presets"}
    known |= {name for action in launch_command_parser()._actions for name in action.option_strings}
    spans = re.findall(r"`([^`]+)`", path.read_text("utf-8"))
    named = {flag for span in spans for flag in re.findall(r"(?<![\w-])--[a-z][\w-]*", span)}
    assert named
    assert named <= known


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.parent.name))
def test_presets_are_named_as_they_are(path: Path) -> None:
    named = re.findall(r"--(?:show-)?preset ([a-z][\w-]*)(?![\w./])", path.read_text("utf-8"))
    assert set(named) <= set(list_presets())


def test_the_tables_of_settings_and_run_files_are_up_to_date() -> None:
    assert rewrite(README) == README, "run: make docs"
    for name in BLOCKS:
        assert README.count(f"<!-- {name}: begin -->") == README.count(f"<!-- {name}: end -->") == 1


def test_links_lead_to_files() -> None:
    for path in [*DOCUMENTS, ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text("utf-8")):
            if not target.startswith("http"):
                assert (path.parent / target).exists(), f"{path}: {target}"
