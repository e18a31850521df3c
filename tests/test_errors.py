"""Messages for users: the cause of an error of the operating system has no number and no path."""

from __future__ import annotations

import ast
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import audio_cls
from audio_cls.errors import describe_error

ROOT = Path(audio_cls.__file__).parent
OF_SYSTEM = {"OSError", "PermissionError", "FileNotFoundError", "IsADirectoryError"}

NOT_YET = ("demo", "export", "inference")  # folders with such messages


def test_the_cause_is_without_number_and_path(tmp_path: Path) -> None:
    found = []
    for path in (tmp_path, tmp_path / "none"):
        try:
            path.read_text()
        except OSError as error:
            found += [describe_error(error), describe_error(urllib.error.URLError(error))]
    assert found == ["Is a directory"] * 2 + ["No such file or directory"] * 2


def _find_shown(tree: ast.Module) -> Iterator[int]:
    """Yield the lines where the text of a caught OSError is put in a message as it is."""
    for handler in ast.walk(tree):
        if not isinstance(handler, ast.ExceptHandler) or handler.type is None:
            continue
        names = {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}
        if not names & OF_SYSTEM:
            continue
        for node in ast.walk(handler):
            value = node.value if isinstance(node, ast.FormattedValue) else None
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                value = node.args[0] if node.func.id == "str" and node.args else None
            if isinstance(value, ast.Name) and value.id == handler.name:
                yield node.lineno


def test_no_message_shows_the_text_of_an_oserror() -> None:
    found = {
        f"{file.relative_to(ROOT)}:{line}"
        for file in ROOT.rglob("*.py")
        if file.relative_to(ROOT).parts[0] not in NOT_YET
        for line in _find_shown(ast.parse(file.read_text("utf-8")))
    }
    assert not found
