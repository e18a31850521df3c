"""A disk that is full after the last step: one line, nothing half written, and the run goes on."""

from __future__ import annotations

import errno
import json
import runpy
from pathlib import Path
from unittest import mock

import pytest
from accelerate.state import AcceleratorState
from click.testing import CliRunner, Result
from tiny_runs import write_quiet_checkpoint

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["predictions.csv", "bad_audio.csv", "results.json", "README.md"])
def test_a_disk_that_is_full_after_the_last_step_costs_nothing(
    name: str, tone_folder: Path, tmp_path: Path
) -> None:
    main = runpy.run_path(str(ROOT / "scripts" / "train.py"))["main"]
    words = ["--dataset", tone_folder, "--model", write_quiet_checkpoint(tmp_path / "model"),
             "--max-seconds", 0.5, "--max-steps", 2, "--output-dir", tmp_path / "run"]  # fmt: skip
    open_path, failed = Path.open, []

    def fail_on(path: Path, mode: str = "r", *args: object, **options: object) -> object:
        """Open a file, but have no space for the one that is named."""
        if "w" in mode and name in path.name:
            failed.append(path)
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return open_path(path, mode, *args, **options)  # type: ignore[call-overload]

    def run(*more: str) -> Result:
        AcceleratorState._reset_state(reset_partial_state=True)  # type: ignore[no-untyped-call]
        return CliRunner().invoke(main, [*map(str, words), *more])

    with mock.patch.object(Path, "open", fail_on):
        answer = run()
    assert failed
    assert answer.exit_code == 2, answer.output[-500:]
    assert "No space left" in answer.output and "Traceback" not in answer.output
    assert not (tmp_path / "run" / name).exists()
    answer = run("--resume", "auto")
    assert answer.exit_code == 0, answer.output[-500:]
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    assert results["timing"]["starts"] == 2
    assert (tmp_path / "run" / name).is_file() and (tmp_path / "run" / "README.md").is_file()
