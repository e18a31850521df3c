"""README, docs and examples: commands, options and links exist, tables are up to date.

README's Python examples run, and print what it shows.
"""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from accelerate.commands.launch import launch_command_parser
from click.testing import CliRunner

from audio_cls.cli.main import COMMANDS, main
from audio_cls.cli.options.settings_table import BLOCKS, rewrite
from audio_cls.config import flag_name, iterate_settings
from audio_cls.presets import list_presets

ROOT = Path(__file__).parents[1]
PAGES = [
    *sorted(ROOT.glob("README*.md")),
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
PAGES += sorted((ROOT / "examples").glob("**/README.md"))
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]
SCRIPTS = {"evaluate_model.py": "evaluate", "inspect_dataset.py": "inspect"}
NO_COMMANDS = {
    "architecture.md",
    "file_formats.md",
    "python_api.md",
    "reliability.md",
    "results_json.md",
    "CONTRIBUTING.md",
    "benchmarks.md",
    "models.md",
    "run_folder.md",
    "settings.md",
}


def list_options(name: str) -> set[str]:
    """Return the options of a command and of its subcommands."""
    command = main.get_command(click.Context(main), name)
    assert command is not None
    commands = [command, *getattr(command, "commands", {}).values()]
    texts = [text for one in commands for p in one.params for text in p.opts + p.secondary_opts]
    return {text for text in texts if text.startswith("--")} | {"--help"}


OPTIONS = {name: list_options(name) for name in COMMANDS}
SCRIPTED = {
    option
    for path in [*ROOT.glob("examples/*/*.py"), *ROOT.glob("tests/faults/*.py")]
    for option in re.findall(r'add_argument\("(--[\w-]+)"', path.read_text("utf-8"))
}
LAUNCH = {text for action in launch_command_parser()._actions for text in action.option_strings}


def list_commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each command of this package in the bash blocks: its name, and its words."""
    blocks = re.findall(r"```bash\n(.*?)```", text.replace("\\\n", " "), flags=re.DOTALL)
    for line in "\n".join(blocks).splitlines():
        for part in line.split("&&"):
            words = shlex.split(part, comments=True)
            for at, word in enumerate(words):
                if word == "audio-cls":
                    yield words[at + 1], words[at + 2 :]
                elif word.startswith("scripts/"):
                    name = Path(word).name
                    yield SCRIPTS.get(name, name.removesuffix(".py")), words[at + 1 :]


def list_anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_first_two_blocks_are_one_line_each_and_set_everything_up() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    train, test = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)[:2]
    assert train.count("\n") == test.count("\n") == 1
    assert train.startswith("pip install -c constraints.txt -e . && accelerate launch ")
    assert "pytest" in test


@pytest.mark.parametrize("name", BLOCKS)
def test_the_tables_of_settings_and_run_files_are_up_to_date(name: str) -> None:
    text = (ROOT / "docs" / f"{name.replace(' ', '_')}.md").read_text("utf-8")
    assert text.count(f"<!-- {name}: begin -->") == text.count(f"<!-- {name}: end -->") == 1
    assert rewrite(text) == text, "run: make docs"


def test_each_setting_is_in_one_table() -> None:
    lines = (ROOT / "docs" / "settings.md").read_text("utf-8").splitlines()
    flags = [line.split("`")[1] for line in lines if line.startswith("| `--")]
    assert flags == [flag_name(one.name) for one in iterate_settings()]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_each_file_that_a_command_names_exists(page: Path) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL)
    named = {word for block in blocks for word in shlex.split(block, comments=True)}
    for word in named:
        if word.startswith(("scripts/", "examples/")):
            assert (ROOT / word).is_file(), word


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_each_command_has_the_options_that_are_given(page: Path) -> None:
    commands = list(list_commands(page.read_text("utf-8")))
    assert commands or page.name in NO_COMMANDS or page.parent.name in ("examples", "cpu_kernels")
    for name, words in commands:
        given = {word.split("=")[0] for word in words if word.startswith("--")}
        assert given <= OPTIONS[name], f"{name}: {given - OPTIONS[name]}"


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda page: page.name)
def test_each_option_in_the_text_exists(page: Path) -> None:
    known = set.union(*OPTIONS.values()) | LAUNCH | SCRIPTED
    spans = re.findall(r"`([^`\n]+)`", page.read_text("utf-8"))
    named = {option for span in spans for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", span)}
    assert named <= known


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda page: page.name)
def test_each_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if not target.startswith("http"):
            path, _, anchor = target.partition("#")
            found = (page.parent / path).resolve() if path else page
            assert found.exists(), target
            assert not anchor or anchor in list_anchors(found), target


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_each_preset_that_is_named_exists(page: Path) -> None:
    named = re.findall(r"--(?:show-)?preset ([a-z][\w-]*)(?![\w./])", page.read_text("utf-8"))
    assert set(named) <= set(list_presets())


def test_each_preset_is_in_the_recipes_of_the_readme() -> None:
    recipes = (ROOT / "README.md").read_text("utf-8").split("## Recipes")[1].split("\n## ")[0]
    assert {name for name in list_presets() if f"`{name}`" not in recipes} == set()


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_lines_of_text_have_at_most_120_characters(page: Path) -> None:
    text = re.sub(r"^```.*?^```|^ {4,}\S.*?$", "", page.read_text("utf-8"), flags=re.M | re.S)
    long = [line for line in text.splitlines() if len(line) > 120 and line[0] not in "|#"]
    assert not long


def _run_examples(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> None:
    """Train the demo in a folder, then run README's first two blocks of Python there."""
    train = ["train", "--preset", "demo", "--output-dir", "runs/tiny_speech-tiny_model"]
    done = CliRunner().invoke(main, [*train, *options])
    assert done.exit_code == 0, done.output
    space = runpy.run_path(str(ROOT / "examples" / "your_own_folder" / "make_folder.py"))
    space["main"](folder / "clips")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    capsys.readouterr()
    for block in blocks[:2]:
        exec(compile(block, "README.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    promised = [line[2:] for line in "".join(blocks[:2]).splitlines() if line.startswith("# ")]
    assert len(printed) == len(promised) == 3
    if not options:
        assert [line.split()[:2] for line in printed] == [line.split()[:2] for line in promised]


def test_the_python_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _run_examples(tmp_path, capsys, "--max-steps", "2")


@pytest.mark.long
def test_the_python_examples_print_what_the_readme_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _run_examples(tmp_path, capsys)


def read_structure(text: str) -> tuple[list[str], list[tuple[int, str]], list[int]]:
    """Return the fenced blocks, cells and code of each table row, and the levels of headings."""
    blocks = re.findall(r"^```.*?^```", text, flags=re.M | re.S)
    plain = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    rows = re.findall(r"^\|.*$", plain, flags=re.M)
    cells = [
        (len(re.findall(r"(?<!\\)\|", row)), "".join(re.findall("`.*?`", row))) for row in rows
    ]
    return blocks, cells, [len(level) for level in re.findall(r"^(#+) ", plain, flags=re.M)]


def test_the_translation_has_the_commands_and_tables_of_the_readme() -> None:
    texts = [(ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh-CN.md")]
    blocks, rows, levels = read_structure(texts[0])
    assert read_structure(texts[1]) == (blocks, rows, levels)
