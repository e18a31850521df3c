"""The command `audio-cls`: its subcommands, their errors, and the scripts that do the same."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import audio_cls
from audio_cls.cli.main import COMMANDS, main
from audio_cls.cli.options.base_command import BaseCommand

ROOT = Path(__file__).parents[2]
SCRIPTS = {"evaluate": "evaluate_model", "inspect": "inspect_dataset"}  # else as the command


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_a_line_in_the_list(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["--help"], [name, "--help"]):
        main.main(words, standalone_mode=False)
    shown = capsys.readouterr().out
    assert f"\n  {name} " in shown
    assert f"audio-cls {name}" in shown or "Usage: " in shown


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_one_line(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    @click.command(cls=BaseCommand)
    def write() -> None:
        raise OSError(number, "no space")

    with pytest.raises(SystemExit) as caught:
        write.main([])
    shown = capsys.readouterr().err
    assert caught.value.code == 1 and shown.endswith(
        "written (no space). Free space on its disk.\n"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="redirections of a POSIX shell")
@pytest.mark.parametrize(
    ("line", "status", "expected"),
    [
        ("-m audio_cls --help > /dev/full", 1, "Error: The output cannot be written (No space"),
        ("-m audio_cls nothing 2>&-", 2, ""),
        ("-m audio_cls nothing 2> /dev/full", 2, ""),
        ("-m audio_cls train 2> /dev/full", 2, ""),
        ("-m audio_cls train 2>&- >&- <&-", 2, ""),
        ("-m audio_cls --version >&-", 0, ""),
        (
            "-c 'import sys; from audio_cls.cli.console import prepare_streams; prepare_streams();"
            ' print("rock \\u65e5 \\udcff"); print(open("/dev/null").fileno() > 2)\'',
            0,
            "rock \\u65e5 \\udcff\nTrue",
        ),
    ],
)
def test_a_closed_full_or_narrow_output_is_no_traceback(
    line: str, status: int, expected: str
) -> None:
    result = subprocess.run(
        ["sh", "-c", f'PYTHONIOENCODING=latin-1 PYTHONUNBUFFERED= "{sys.executable}" {line}'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    output = (result.stdout + result.stderr).strip()
    assert result.returncode == status, output
    assert output.startswith(expected) and "Traceback" not in output
    assert expected or not output.replace("audio-cls", "").strip(), output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["tran"], "There is no command 'tran': it is one of "),
        (["train"], "No data set was given."),
        (["train", "--epochs", "x"], "Invalid value for '--epochs': 'x' is not a valid integer."),
        (["evaluate"], "Give one of --model (a run or a Hub id), "),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(words)
    assert caught.value.code == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(f"Error: {expected}") and shown.err.count("\n") == 1
    assert shown.out == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("train --epoch 3", "There is no option --epoch. Did you mean --epochs?"),
        ("train --learning_rate 1", "There is no option --learning_rate. Did you mean --learning"),
        ("train --lr 1e-3", "There is no option --lr. Did you mean --learning-rate?"),
        ("train --zzzz", "There is no option --zzzz.\n"),
        ("inspect --streaming", "There is no option --streaming."),
        ("predict", "Missing argument 'MODEL'."),
        ("publish a b", "Got unexpected extra argument (b)"),
        ("cache lst", "No such command 'lst'. Did you mean 'list'?"),
    ],
)
def test_a_wrong_or_missing_argument_is_shown_after_the_usage(
    words: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(words.split())
    assert caught.value.code == 2
    usage, error, help_line = capsys.readouterr().err.splitlines()
    assert usage.startswith("Usage: ") and words.split()[0] in usage
    assert f"{error}\n".startswith(f"Error: {expected}")
    assert help_line.startswith("For help: ") and help_line.endswith(" --help")


def test_the_version_is_shown_also_where_the_package_is_not_installed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main.main(["--version"], standalone_mode=False)
    assert capsys.readouterr().out == f"audio-cls, version {audio_cls.__version__}\n"


HELPS = [
    *(["-h"], ["cache", "list", "-h"], ["cache", "size", "-h"], ["cache", "clear", "-h"]),
    *([name, "-h"] for name in COMMANDS),
    *(["train", "--help-all"], ["train", "--list-presets"]),
]


@pytest.mark.parametrize("words", HELPS, ids=" ".join)
def test_every_help_fits_80_columns(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main.main(words, standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 5
    assert [line for line in lines if len(line) > 80] == []
    if words[-1] == "-h":
        assert lines[0].startswith("Usage: ")


WITH_SCRIPT = [
    name for name in COMMANDS if (ROOT / "scripts" / f"{SCRIPTS.get(name, name)}.py").is_file()
]


@pytest.mark.parametrize("name", WITH_SCRIPT)
def test_a_script_and_its_module_are_the_command(name: str) -> None:
    helps = [
        subprocess.run(
            [sys.executable, *words, "-h"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        .stdout.partition("\n")[2]
        .partition("\nExamples:")[0]
        for words in (
            [f"scripts/{SCRIPTS.get(name, name)}.py"],
            ["-m", f"audio_cls.cli.{COMMANDS[name][0]}"],
        )
    ]
    assert helps[0] == helps[1] and len(helps[0]) > 100
    assert len(WITH_SCRIPT) == 7


def test_former_scripts_say_their_new_name() -> None:
    for old, new in SCRIPTS.items():
        done = subprocess.run(
            [sys.executable, f"scripts/{old}.py", "--help"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert f"scripts/{old}.py is now scripts/{new}.py" in done.stderr
        assert "Options:" in done.stdout


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import audio_cls, sys; print({'torch', 'click', 'yaml', 'numpy'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


def test_every_command_is_a_click_command() -> None:
    ctx = click.Context(main)
    assert all(isinstance(main.get_command(ctx, name), click.Command) for name in COMMANDS)


@pytest.mark.parametrize("words", [[], ["cache"]])
def test_without_a_command_the_help_is_shown_with_its_lines(words: list[str]) -> None:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert any(line.strip() == "Commands:" for line in lines)
    assert max(map(len, lines)) <= 80
