"""Command lines to paste: a command of this package in the form that works for this user."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# Scripts whose name is not that of their command.
SCRIPTS = {"evaluate": "evaluate_model.py", "inspect": "inspect_dataset.py"}


def format_command(name: str, *words: object, is_launched: bool = False) -> str:
    """Return the line that runs a command, quoted for the shell of this system.

    Args:
        name: The command: train, evaluate, predict ...
        words: Its arguments.
        is_launched: Whether `accelerate launch` starts it, if it is a script.
    """
    program = _name_program(name, sys.argv[0])
    if is_launched and program[0] == "python" and program[1] != "-m":
        program = ["accelerate", "launch", *program[1:]]
    return quote_words([*program, *words])


def quote_words(words: Sequence[object]) -> str:
    """Return words as one text that the shell of this system splits into the same words."""
    texts = [str(word) for word in words]
    return subprocess.list2cmdline(texts) if os.name == "nt" else shlex.join(texts)


def _name_program(name: str, program: str) -> list[str]:
    """Return the words before the arguments, in the form in which `program` was started.

    That is a script of this repository, the module `audio_cls`, or `audio-cls`. A program that uses
    the Python API is none of them: the installed command is named, else the module.
    """
    path = Path(program)
    if path.stem == "audio-cls":
        return ["audio-cls", name]
    script = path.with_name(SCRIPTS.get(name, f"{name}.py"))
    if path.absolute().parent.name == "scripts" and script.is_file():
        return ["python", str(script)]
    is_module = "audio_cls" in path.absolute().parts[-3:-1]
    if is_module or not _is_installed():
        return ["python", "-m", "audio_cls", name]
    return ["audio-cls", name]


def _is_installed() -> bool:
    """Return whether the shell finds the command `audio-cls`."""
    return shutil.which("audio-cls") is not None
