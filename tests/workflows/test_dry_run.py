"""Dry run: every step is done, no file remains, and the estimate."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tiny_runs import make_config, write_quiet_checkpoint

from audio_cls.errors import RunFolderError
from audio_cls.workflows import dry_run
from audio_cls.workflows.dry_run import estimate_run, start_dry_run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny HuBERT without dropout."""
    return write_quiet_checkpoint(tmp_path_factory.mktemp("checkpoint"))


def _train(*arguments: object) -> Any:  # noqa: ANN401 (click's result)
    main = runpy.run_path(str(ROOT / "scripts" / "train.py"))["main"]
    return CliRunner().invoke(main, [str(word) for word in arguments])


def test_a_dry_run_leaves_nothing_and_decodes_a_few_clips_only(
    tone_folder: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from audio_cls.data import prepare

    counts: list[int] = []
    real = prepare.decode_clips

    def decode(table: Any, *others: Any) -> Any:  # noqa: ANN401
        counts.append(len(table))
        return real(table, *others)

    monkeypatch.setattr(prepare, "decode_clips", decode)
    result = _train(
        "--dataset", tone_folder, "--model", checkpoint, "--max-seconds", 0.5, "--epochs", 7,
        "--batch-size", 4, "--output-dir", tmp_path / "run", "--dry-run", "--log", "quiet",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert list(tmp_path.iterdir()) == []
    assert counts == [32 + 6 + 6]
    assert "Dry run: everything works." in result.stdout
    assert "steps        84 of" in result.stdout  # 7 epochs of 48 clips, 4 a step
    assert "evaluations  7 of" in result.stdout


def test_settings_that_would_fail_end_with_code_2_and_leave_nothing(
    tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    common = ("--dataset", tone_folder, "--model", checkpoint, "--max-seconds", 0.5, "--dry-run")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").touch()
    for arguments, message in (
        (("--output-dir", tmp_path / "taken"), "is not empty (thesis.tex)"),
        (("--output-dir", tmp_path / "run", "--metric", "no/such"), "cannot be loaded"),
    ):
        result = _train(*common, *arguments)
        assert result.exit_code == 2, result.output
        assert message in result.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]


def test_the_estimate_scales_to_all_clips_and_refuses_a_disk_that_is_too_small(
    tone_folder: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = make_config(tone_folder, checkpoint, tmp_path / "run", epochs=10, keep_checkpoints=3)
    part = {"num_available": 1000, "num_examples": 10, "seconds": 20.0}
    results = {
        "dataset": {"split": dict.fromkeys(("train", "validation", "test"), part),
                    "sampling_rate": 16_000, "decode_seconds": 0.3},
        "timing": {"train_seconds": 6.0, "steps": 3, "clips_per_step": 8, "prepare_seconds": 5.3,
                   "validation_seconds": 1.0, "evaluations": 1, "peak_memory_mb": 700,
                   "evaluate_seconds": 4.0},  # 3 s at the end, for 10 + 10 clips
    }  # fmt: skip
    (tmp_path / "checkpoints" / "step-3").mkdir(parents=True)
    (tmp_path / "checkpoints" / "step-3" / "x").write_bytes(bytes(2_000_000))
    (tmp_path / "results.json").write_text(json.dumps(results))
    found = estimate_run([cfg], tmp_path)
    assert (found.steps, found.step_seconds, found.evaluations) == (1250, 2.0, 10)
    assert found.evaluation_seconds == pytest.approx(100)
    assert found.seconds == pytest.approx(5.0 + 30 + 2500 + 10 * 100 + 300)
    assert found.disk_mb == pytest.approx(10, abs=0.01)
    assert found.cache_mb == pytest.approx(6000 * 16_000 * 4 / 1e6)
    usage = dry_run.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(dry_run.shutil, "disk_usage", lambda _: usage._replace(free=5_000_000))
    with pytest.raises(RunFolderError, match=r"has 5 MB left.*needs about 10 MB"):
        estimate_run([cfg], tmp_path)


def test_the_folder_is_removed_if_the_dry_run_fails(
    tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    cfg = make_config(tone_folder, checkpoint, tmp_path / "run")
    with pytest.raises(ZeroDivisionError), start_dry_run(cfg) as trial:
        Path(str(trial.train.output_dir)).mkdir()
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
