"""Wording: words that are not standard technical English are in no text that a reader sees.

Checked are the strings, docstrings and comments of the package and its scripts, the card template,
the presets, the help of each command, and the Markdown files. Names of identifiers are not checked.
`PYTHONPATH=. python tests/test_wording.py [PATH ...]` prints all findings, or those below PATH.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from audio_cls.cli.main import COMMANDS as NAMES
from audio_cls.cli.main import main

ROOT = Path(__file__).parents[1]
COMMANDS = {name: main.get_command(click.Context(main), name) for name in NAMES}
BANNED = {  # pattern -> what to write instead
    r"hear|hears|heard|hearing": "process, decode, input, train on",
    r"judg(e|es|ed|ing|ement|ment)": "evaluate, score, validate",
    r"deals?(?! with)|dealt(?! with)|dealing(?! with)": "assign, split, distribute",
    r"heaps?": "fold, group, part",
    r"beside": "next to, in the same folder, compared with",
    r"anew|afresh": "again",
    r"mend(s|ed|ing)?": "fix",
    r"told|tell|tells|telling": "print, log, state, show",
    r"says?|said|saying": "state, return, specify",
    r"wakes?|woken|sleeps?|asleep": "frozen, unfrozen, wait",
    r"so many|so much": "that number of, N times",
    r"(?<!times )(?<!twice )as many(?! (\S+ ){0,3}as\b)": "that number of, N times",
    r"(set|sets|put) aside": "left out, skipped",
    r"learnt": "trained, learned",
    r"from elsewhere": "not trained with audio_cls",
    r"(comes in|goes out|in|out):(?= \w+.* out:)|(comes in|goes out):": "Args and Returns",
    r"goes on|go on|went on": "continues, resumes",
    r"surest|(as|how|less|more) sure": "confident, probability",
    r"ours": "of this package, built-in",
    r"(labels?|rows?|lines?|(sub-)?folders?|files?|keys?|runs?|values?|columns?|s|seconds?|minutes?|"
    r"hours?|kB|MB) an? (clip|class|label|seed|epoch|line|split|fold|process|step|run|file)": "per",
    r"the (house|walls?|stations?)|room \d|(make|no|the|other) rooms?(?! impulse)": (
        "package, layer, step, free space"
    ),
    r"honest(ly|y)?": "the protocol or the number",
    r"strange(r|rs|ly)?": "unknown, untrusted, other",
    r"lies|lie": "is, is stored",
    r"stands?(?! for)|stood": "is, appears",
    r"faults?": "error, unusable clip",
    r"shall": "must, should",
    r"rehears\w*": "dry run",
    r"nobody|anybody|everybody": "no user, nothing, each",
}
ALLOWED = (  # standard terms and names that hold one of these words
    r"fault- ?filtered",  # the name of a split of GTZAN
    r"tests/faults/|make faults|AUDIO_CLS_FAULTS|marker `faults`",  # names of folder and commands
    r"stand-?alone",
    r"^judged$",  # key of a checkpoint of an earlier version
    r"## Judged later on",  # a heading in cards of version 0.1.0, which is read
)
# Files, folders (without their sub-folders) and helps of commands with findings today. An entry is
# removed with its last finding; `test_the_list_of_what_is_left_is_short` fails otherwise.
NOT_YET: tuple[str, ...] = ()
MARKDOWN = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "examples/**/*.md")
NOTEBOOKS = "examples/*.ipynb"
PATTERN = re.compile("|".join(rf"\b(?P<w{i}>{p})\b" for i, p in enumerate(BANNED)), re.IGNORECASE)


def find_words(text: str) -> Iterator[str]:
    """Yield a line for each banned word of a text: the word, its context, what to write instead."""
    text = re.sub("|".join(ALLOWED), "", " ".join(text.split()))
    for match in PATTERN.finditer(text):
        instead = list(BANNED.values())[int(str(match.lastgroup)[1:])]
        around = text[max(0, match.start() - 30) : match.end() + 30]
        yield f"'{match[0]}' in '{around}': {instead}"


def read_python(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of each string and docstring of a file, and of each block of comments."""
    source = path.read_text("utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    block: list[str] = []
    last = 0
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    for line, text in [(t.start[0], t.string) for t in tokens if t.type == tokenize.COMMENT]:
        if block and line != last + 1:
            yield last - len(block) + 1, " ".join(block)
            block = []
        last = line
        block.append(text.lstrip("#"))
    yield last - len(block) + 1, " ".join(block)


def read_paragraphs(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of each paragraph of a text file, and of a changelog's new entries."""
    line = 1
    text = path.read_text("utf-8")
    if path.name == "CHANGELOG.md":
        text = "\n## ".join(text.split("\n## ")[:2])
    for part in re.split(r"\n(?=\n|- |\|)", text):
        yield line, part.replace("\n# ", "\n")  # comments of a preset
        line += part.count("\n") + 1


def read_help(command: str) -> str:
    """Return the text of `audio-cls COMMAND --help-all`, or of --help where it has no other."""
    options = {name for one in COMMANDS[command].params for name in one.opts}
    flag = "--help-all" if "--help-all" in options else "--help"
    shown = CliRunner().invoke(COMMANDS[command], [flag])
    assert shown.exit_code == 0 and "--" in shown.output, shown.output
    return shown.output


@cache
def find_all() -> dict[str, list[str]]:
    """Return the findings: of each file that has one, and of the help of each command."""
    python = [*ROOT.glob("audio_cls/**/*.py"), *ROOT.glob("scripts/*.py")]
    plain = [*ROOT.glob("audio_cls/**/*.jinja"), *ROOT.glob("audio_cls/presets/*.yaml")]
    plain += [path for pattern in (*MARKDOWN, NOTEBOOKS) for path in ROOT.glob(pattern)]
    assert len(python) > 200 and len(plain) > 15
    found = {}
    for path in [*python, *plain]:
        texts = read_python(path) if path.suffix == ".py" else read_paragraphs(path)
        lines = [f"line {line}: {word}" for line, text in texts for word in find_words(text)]
        found[path.relative_to(ROOT).as_posix()] = lines
    for command in COMMANDS:
        found[f"--help of {command}"] = list(find_words(read_help(command)))
    return {name: lines for name, lines in found.items() if lines}


def _is_listed(name: str) -> bool:
    """Return True for a file that is, or whose folder is, in NOT_YET."""
    return name in NOT_YET or name.rpartition("/")[0] in NOT_YET


def test_no_text_has_a_banned_word() -> None:
    found = {name: lines for name, lines in find_all().items() if not _is_listed(name)}
    text = "\n".join(f"{name} {line}" for name, lines in found.items() for line in lines)
    assert not found, text


def test_the_list_of_what_is_left_is_short() -> None:
    found = find_all()
    places = {*found, *(name.rpartition("/")[0] for name in found)}
    assert not set(NOT_YET) - places, "remove these from NOT_YET: they have no finding"


@pytest.mark.parametrize("text", ["The model hears it.", "a row a clip", "twice,\nbut set\naside"])
def test_banned_words_are_found_across_line_ends(text: str) -> None:
    assert list(find_words(text))


@pytest.mark.parametrize("text", ["as many runs as seeds", "fault-filtered", "shear", "make sure"])
def test_similar_words_are_allowed(text: str) -> None:
    assert not list(find_words(text))


def test_comments_and_strings_of_python_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text('"""One."""\nx = f"two {1}"  # three\n# four\n# five\n\n# six\n')
    assert [text.strip() for _, text in read_python(path)] == [
        "One.",
        "two",
        "three  four  five",
        "six",
    ]


if __name__ == "__main__":  # findings of everything, or of the paths that are given
    for place, findings in sorted(find_all().items()):
        if place.startswith(tuple(sys.argv[1:]) or ("",)):
            sys.stdout.write("".join(f"{place} {one}\n" for one in findings))
