"""Errors under `accelerate launch`: the launcher's traceback does not hide them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from audio_cls.cli.console import LAUNCHER_NOTE, show_error

ROOT = Path(__file__).parents[2]
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1"]
LAUNCH += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]


@pytest.mark.slow
@pytest.mark.parametrize("quiet", [True, False])
def test_an_error_of_one_process_is_above_the_traceback_and_announces_it(quiet: bool) -> None:  # noqa: FBT001
    command = [*LAUNCH, *["--quiet"][: int(quiet)], str(ROOT / "scripts" / "train.py"), "--epoch"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, "the launcher turns every other exit code into 1"
    before = done.stderr.partition("Traceback")[0].splitlines()
    assert before[1].startswith("Error: There is no option --epoch."), done.stderr
    assert (LAUNCHER_NOTE in before) is not quiet
    assert quiet is ("Traceback" not in done.stderr)


def test_torchrun_gets_the_text_that_it_prints_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from torch.distributed.elastic.multiprocessing.api import ProcessFailure
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    file = tmp_path / "error.json"
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(file))
    show_error("there is no folder 'x'.\nGive one.")
    failure = ProcessFailure(local_rank=0, pid=os.getpid(), exitcode=2, error_file=str(file))
    report = str(ChildFailedError("train.py", {0: failure}))
    assert "traceback : Error: there is no folder 'x'. Give one." in report
    assert json.loads(file.read_text("utf-8")), report
    assert capsys.readouterr().err == "Error: there is no folder 'x'. Give one.\n"


def test_without_a_launcher_there_is_no_note(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")  # left in the environment by hand
    show_error("no such file.")
    assert capsys.readouterr().err == "Error: no such file.\n"


def test_a_long_error_is_broken_between_words_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "The folder 'clips' has no " + ", ".join(f"--option-{n:02d}" for n in range(12)) + "."
    show_error(text)
    assert capsys.readouterr().err == f"Error: {text}\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    show_error(text)
    lines = capsys.readouterr().err.splitlines()
    assert (
        " ".join(map(str.strip, lines)) == f"Error: {text}"
        and max(map(len, lines)) <= 80
        and len(lines) == 3
    )
