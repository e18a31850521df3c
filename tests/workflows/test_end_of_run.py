"""The end of real runs: events, one line with --log quiet, checkpoints that are removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_runs import make_config, write_quiet_checkpoint

from audio_cls.errors import RunFolderError
from audio_cls.runs.results import read_results
from audio_cls.workflows.train import run_all


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_quiet_checkpoint(tmp_path_factory.mktemp("model"))


def test_a_run_without_kept_checkpoints_ends_and_is_finished(
    tone_folder: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run"
    changes = {"keep_checkpoints": 0, "log": "json"}
    assert run_all(make_config(tone_folder, checkpoint, path, **changes)) == [path]
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    test, end = events[-2:]
    results = read_results(path / "results.json")
    assert (test["event"], end["event"]) == ("test", "end")
    assert test["metrics"]["accuracy"] == results.test["accuracy"]
    assert test["best_epoch"] == results.validation["epoch"]
    assert test["output_dir"] == end["output_dir"] == str(path)
    assert end["published"] is None
    assert test["baseline"] == results.baseline.to_json() and test["baseline"]["test"] > 0.5

    without = tmp_path / "without"  # the baseline changes nothing in the model
    run_all(make_config(tone_folder, checkpoint, without, **changes, baseline="no"))
    assert "baseline" not in json.loads(capsys.readouterr().out.splitlines()[-2])
    for name in ("predictions.csv", "model.safetensors"):
        assert (without / name).read_bytes() == (path / name).read_bytes()
    assert (path / "model.safetensors").is_file() and not (path / "checkpoints").exists()

    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    again = make_config(tone_folder, checkpoint, path, **changes, resume="auto")
    assert run_all(again) == [path]
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [test, end]
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before
    longer = make_config(tone_folder, checkpoint, path, **changes, resume="auto", epochs=2)
    with pytest.raises(RunFolderError, match="cannot be trained longer"):
        run_all(longer)


def test_seeds_print_a_line_each_and_their_mean(
    tone_folder: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tmp_path / "runs"
    cfg = make_config(tone_folder, checkpoint, base, log="quiet", seeds=(0, 1))
    folders = run_all(cfg)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [*map(str, folders), str(base)]
    values = [read_results(folder / "results.json").test["accuracy"] for folder in folders]
    assert f"test accuracy {sum(values) / 2:.4f} (sd " in lines[-1]
    # A finished run drops its checkpoints later, too.
    assert (folders[0] / "checkpoints").is_dir()
    run_all(make_config(tone_folder, checkpoint, folders[0], log="quiet", seed=0, resume="auto",
                        keep_checkpoints=0))  # fmt: skip
    assert capsys.readouterr().out.splitlines() == lines[:1]
    assert not (folders[0] / "checkpoints").exists()


def test_the_estimate_of_a_dry_run_is_one_event_with_json(
    tone_folder: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[object] = []
    changes = {"dry_run": True, "log": "json", "keep_checkpoints": 0}
    cfg = make_config(tone_folder, checkpoint, tmp_path / "run", **changes)
    assert run_all(cfg, after_dry_run=shown.append) == []
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[-1]["event"] == "estimate" and events[-1]["steps"] > 0 and shown == []
    assert "test" not in [event["event"] for event in events]
