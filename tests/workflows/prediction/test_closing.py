"""Closing lines: counts where they are true, and how an interrupted output is continued."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import soundfile

from audio_cls.inference.files.find_files import FoundFiles
from audio_cls.inference.files.formats import make_format
from audio_cls.inference.files.output import Target
from audio_cls.inference.files.report import Report
from audio_cls.inference.files.resumable_output import ResumableOutput
from audio_cls.inference.files.rows import RowLayout
from audio_cls.workflows.prediction.closing import closing_line, continue_hint
from audio_cls.workflows.prediction.predict import add_durations, run_files
from audio_cls.workflows.prediction.request import PredictRequest


class _Classifier:
    is_multilabel = False
    temperature = 1.0


@pytest.fixture(autouse=True)
def _level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "audio_cls")


def test_after_ctrl_c_a_line_says_what_is_done_and_that_the_same_command_continues(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = make_format("csv", RowLayout("file", ("a",)))
    path = tmp_path / "big file.csv"
    with ResumableOutput([Target(path, rows)], {}) as output:
        output.commit(128, {})
        with pytest.raises(KeyboardInterrupt), continue_hint(output, 1440):
            raise KeyboardInterrupt
        with continue_hint(output, 1440):
            pass
    (text,) = caplog.messages
    assert f"{path}.partial" in text
    assert " ".join(text.split()) == (
        f"128 of 1,440 files are in {path}.partial; the same command continues."
    )


@pytest.mark.parametrize("error", [KeyboardInterrupt, BrokenPipeError])
def test_counts_are_shown_after_ctrl_c_but_not_for_a_pipe_without_a_reader(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    classifier: Any = _Classifier()
    with pytest.raises(error), closing_line(Report(), FoundFiles(), classifier, has_scores=True):
        raise error
    assert bool(caplog.messages) is (error is KeyboardInterrupt)


def test_errors_of_files_need_not_wait_for_torch() -> None:
    code = "import sys, audio_cls.workflows.prediction.predict; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=100, check=False).returncode == 0


def test_a_continued_file_of_embeddings_is_named_and_its_progress_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown: list[str] = []
    show = mock.Mock(side_effect=lambda work, *_: shown.extend(work) or [])
    request = PredictRequest("m", ("a", "b"), embeddings=tmp_path / "e.parquet", has_rows=False)
    job, output = mock.Mock(), mock.Mock(num_done=1)
    job.run.side_effect = lambda files, *_: iter(files)
    with mock.patch("audio_cls.workflows.prediction.predict.show_progress", show):
        run_files(request, job, ["a", "b"], output, Report(), mock.Mock())
    assert caplog.messages == [f"Continuing {request.embeddings}: 1 of 2 files are done."]
    assert shown == ["b"]


def test_the_progress_of_few_files_is_in_seconds_of_audio(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{name}.wav") for name in "ab"]
    for path, seconds in zip(paths, (0.5, 2.0), strict=True):
        soundfile.write(path, np.zeros(round(8000 * seconds)), 8000)
    job, classifier, shown = mock.Mock(), mock.Mock(audio_seconds=7.0), []

    def work(files: list[str], *_: object) -> Iterator[str]:
        for file in files:
            classifier.audio_seconds += 1.25
            shown.append(report.call_args.args[3]())
            yield file

    job.run.side_effect = work
    request = PredictRequest("m", tuple(paths))
    with mock.patch("audio_cls.workflows.prediction.predict.ProgressReport") as report:
        report.return_value = contextlib.nullcontext()
        run_files(request, job, paths, mock.Mock(num_done=0), Report(), classifier)
    assert report.call_args.args[:2] == ("Classifying (seconds of audio)", 3)
    assert shown == [1, 2]
    assert add_durations([*paths, str(tmp_path / "missing.wav")]) is None
