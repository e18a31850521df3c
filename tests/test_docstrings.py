"""Docstrings: files that they name exist, and the first line of a module names the thing."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Names in examples, of files that are not here.
EXAMPLES = (
    "script.py",
    "app.py",
    "my_augment.py",
    "my_score.py",
    "modeling_a.py",
    "secret.py",
)  # not files here
RIDDLES = ("What", "How", "Which", "Where", "Why", "Whether", "Who")


def test_every_file_that_a_docstring_or_comment_names_exists() -> None:
    names = {path.name for path in ROOT.rglob("*.py") if ".venv" not in path.parts}
    missing = []
    for path in sorted((ROOT / "audio_cls").rglob("*.py")):
        for word in re.findall(r"[\w/]*\w+\.py\b", path.read_text("utf-8")):
            if word.rsplit("/")[-1] not in {*names, *EXAMPLES}:
                missing.append(f"{path.relative_to(ROOT)}: {word}")
    assert not missing, missing


def test_the_first_line_of_a_module_names_the_thing() -> None:
    riddles = []
    for path in sorted((ROOT / "audio_cls").rglob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        assert text, path
        if text.split()[0] in RIDDLES or "Comes in:" in text or "Goes out:" in text:
            riddles.append(f"{path.relative_to(ROOT)}: {text.splitlines()[0]}")
    assert not riddles, riddles
