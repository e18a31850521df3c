"""What `train` shows before its first step: errors alone, else a summary; several runs, resume."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tiny_runs import write_quiet_checkpoint

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny HuBERT without dropout."""
    return write_quiet_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def train(tone_folder: Path, checkpoint: Path, tmp_path: Path) -> Any:  # noqa: ANN401
    """Return a function that trains on the tones; later arguments win."""
    common = (
        "--dataset", tone_folder, "--model", checkpoint, "--max-seconds", 0.5, "--max-steps", 2,
        "--batch-size", 4, "--output-dir", tmp_path / "run",
    )  # fmt: skip

    def call(*arguments: object) -> Any:  # noqa: ANN401 (click's result)
        main = runpy.run_path(str(ROOT / "scripts" / "train.py"))["main"]
        return CliRunner().invoke(main, [str(word) for word in (*common, *arguments)])

    return call


def test_a_start_shows_data_model_and_steps_and_a_resume_its_step(
    train: Any,  # noqa: ANN401
    tmp_path: Path,
) -> None:
    result = train()
    assert result.exit_code == 0, result.output
    rows = {line[:12].strip(): line[12:] for line in result.stderr.splitlines()}
    assert rows["classes"] == "3: high, low, middle"
    assert rows["clips"] == "48 train, 6 validation, 6 test"
    assert rows["training"] == "2 steps (0.17 epochs, 12 steps per epoch), 4 clips per step"
    assert "25,683 parameters, all trainable, new classification head" in " ".join(
        result.stderr.split()
    )
    assert rows["run folder"] == str(tmp_path / "run")
    assert rows["settings"].startswith("--max-seconds 0.5, --max-steps 2, --batch-size 4")
    assert "head: " not in result.stderr and "--dataset" not in rows["settings"]
    again = train("--resume", "auto")
    assert "is finished: test accuracy" in again.stderr and "classes  " not in again.stderr
    other = train("--resume", "auto", "--learning-rate", 1)
    assert other.exit_code == 2 and len(other.stderr.splitlines()) == 1
    dry = train("--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "Without --dry-run this command will be refused: The folder" in dry.stderr
    assert "run folder  none: a dry run keeps no files" in dry.stderr


def test_a_stopped_run_resumes_from_the_step_that_is_named(
    train: Any,  # noqa: ANN401
    tmp_path: Path,
) -> None:
    assert train("--scheduler", "constant", "--warmup-ratio", 0).exit_code == 0
    again = train(
        "--scheduler", "constant", "--warmup-ratio", 0, "--max-steps", 4, "--resume", "auto"
    )
    assert again.exit_code == 0, again.output
    path = tmp_path / "run" / "checkpoints" / "step-2"
    assert f"Resuming from step 2 of 4 ({path})" in again.stderr


def test_json_has_one_start_event_with_the_same_facts_and_quiet_nothing(
    train: Any,  # noqa: ANN401
    tmp_path: Path,
) -> None:
    result = train("--log", "json", "--seeds", "3,4")
    assert result.exit_code == 0, result.output
    events = [json.loads(line) for line in result.stdout.splitlines()]
    first, second = (event for event in events if event["event"] == "start")
    assert (first["run"], second["run"]) == ("seed 3 (1 of 2)", "seed 4 (2 of 2)")
    assert first["classes"] == ["high", "low", "middle"]
    assert first["clips"] == {"train": 48, "validation": 6, "test": 6}
    assert (first["steps"], first["clips_per_step"], first["processes"]) == (2, 4, 1)
    assert first["output_dir"] == str(tmp_path / "run" / "seed-3")
    assert first["trainable_parameters"] == first["parameters"] > 0
    assert "data set" not in result.stderr
    quiet = train("--log", "quiet", "--output-dir", tmp_path / "other")
    assert quiet.stdout.count("\n") == 1 and "classes  " not in quiet.stderr


def test_a_later_run_shows_its_title_and_only_what_differs(
    train: Any,  # noqa: ANN401
    tmp_path: Path,
) -> None:
    (tmp_path / "sweep.yaml").write_text("learning_rate: [1.0e-3, 2.0e-3]")
    result = train("--sweep", tmp_path / "sweep.yaml")
    assert result.exit_code == 0, result.output
    first, _, second = result.stderr.partition("--- case 2 of 2: learning_rate=0.002 (")
    assert first.startswith("--- case 1 of 2: learning_rate=0.001 (")
    assert "classes     3" in first and "--learning-rate 0.001" in first
    start = second.partition("  epoch  step")[0]
    assert "classes  " not in start and "clips  " not in start
    assert "run folder" not in result.stderr  # the title names it
    assert "settings    --learning-rate 0.002 (sweep)\n" in start


def test_verbose_prints_every_setting(train: Any) -> None:  # noqa: ANN401
    result = train("--verbose", "--freeze", "features")
    assert result.exit_code == 0, result.output
    assert "(--freeze features)" in result.stderr
    assert "All settings:" in result.stderr and "--focal-gamma 2" in result.stderr
    block = result.stderr.partition("All settings:")[2].partition("epoch")[0]
    assert max(map(len, block.splitlines())) <= 80 or str(Path("/")) in block


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--dataset", "./nowhere"), "There is no folder or file './nowhere'"),
        (("--model", "./no/model"), "no/model"),
        (("--model", "builtin:tiny_model"), "'builtin:tiny_model' has no weights"),
        (("--label-column", "gener"), "gener"),
        (("--test-split", "held_out"), "held_out"),
        (("--resume", "typo"), "--resume typo: there is no checkpoint in that folder"),
        (("--report-to", "wandbb"), "--report-to wandbb is no"),
        (("--attention", "flash_attention_2"), "--attention flash_attention_2"),
        (("--metric", "no/such"), "cannot be loaded"),
    ],
)
def test_an_error_is_the_only_line_and_leaves_no_folder(
    train: Any,  # noqa: ANN401
    tmp_path: Path,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    result = train(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert [line.startswith("Error: ") for line in result.stderr.splitlines()] == [True]
    assert message in result.stderr
    assert not (tmp_path / "run").exists()


def test_errors_that_need_no_data_come_before_it_is_decoded(
    train: Any,  # noqa: ANN401
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from audio_cls.data import prepare

    monkeypatch.setattr(prepare, "decode_clips", lambda *_: pytest.fail("decoded"))
    for arguments in (("--resume", "typo"), ("--model", "./no/model"), ("--lora-rank", "-1")):
        assert train(*arguments).exit_code == 2
    unknown = train("--dataset", "./nowhere", "--model", "owner/name")  # no request to the Hub
    assert "There is no folder or file './nowhere'" in unknown.stderr
