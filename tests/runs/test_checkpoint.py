"""Run folder: what it may replace, and checkpoints that are whole or absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from tiny_runs import make_config, set_up, write_quiet_checkpoint

from audio_cls.config import RunConfig
from audio_cls.errors import RunFolderError
from audio_cls.runs import folder as checkpoint
from audio_cls.runs.config_file import load_resolved, save_run_config
from audio_cls.runs.folder import RunFolder
from audio_cls.runs.open_folder import clear_run_folder, open_run_folder
from audio_cls.runs.resolved import NOT_RESOLVED, ResolvedRun
from audio_cls.runs.resume import find_resume_point
from audio_cls.runs.trainer_state import Evaluation
from audio_cls.training.loop import train


def _config(**changes: object) -> RunConfig:
    return RunConfig.from_flat({"dataset": "owner/name", **changes})


def _make_run(path: Path, cfg: RunConfig, resolved: ResolvedRun = NOT_RESOLVED) -> RunFolder:
    """Write the settings of a run and an empty checkpoint."""
    folder = open_run_folder(path, cfg)
    save_run_config(folder.path, cfg, resolved, {"versions": {}})
    (folder.checkpoints / "step-1").mkdir(parents=True)
    return folder


def test_a_folder_with_another_run_is_refused_without_overwrite(tmp_path: Path) -> None:
    cfg = _config()
    _make_run(tmp_path / "run", cfg)
    (tmp_path / "run" / "results.json").write_text("{}")
    (tmp_path / "run" / "my-notes.txt").write_text("keep")
    with pytest.raises(RunFolderError, match=r"--output-dir.*--resume auto.*--overwrite"):
        open_run_folder(tmp_path / "run", cfg)
    open_run_folder(tmp_path / "run", _config(overwrite=True))
    assert (tmp_path / "run" / "results.json").is_file()  # as long as the new start may fail
    clear_run_folder(tmp_path / "run")
    assert {entry.name for entry in (tmp_path / "run").iterdir()} == {"my-notes.txt", ".lock"}


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(RunFolderError, match=r"thesis\.tex"):
        open_run_folder(tmp_path, _config(overwrite=True))


def test_a_path_that_is_not_writable_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="cannot be written"):
        open_run_folder(tmp_path / "file" / "run", _config())


def test_a_run_is_not_resumed_with_other_settings(tmp_path: Path) -> None:
    _make_run(tmp_path, _config(learning_rate=1e-4))
    with pytest.raises(RunFolderError, match=r"--learning-rate 0\.0001 is now 0\.0002"):
        open_run_folder(tmp_path, _config(learning_rate=2e-4, resume="auto"))
    open_run_folder(tmp_path, _config(learning_rate=1e-4, resume="auto", num_workers=3))


def test_a_resumed_run_keeps_its_commits(tmp_path: Path) -> None:
    _make_run(tmp_path, _config(), ResolvedRun(dataset_revision="a" * 40))
    resumed = _config(resume="auto")
    open_run_folder(tmp_path, resumed)
    assert load_resolved(tmp_path, resumed).apply(resumed).data.dataset_revision == "a" * 40
    assert load_resolved(tmp_path, _config()) == ResolvedRun()


def test_a_resumed_run_keeps_the_groups_of_its_segments(tmp_path: Path) -> None:
    """The column was chosen when the data set was read, not by the command."""
    _make_run(tmp_path, _config(), ResolvedRun(group_column="recording"))
    resumed = _config(resume="auto")
    open_run_folder(tmp_path, resumed)
    assert load_resolved(tmp_path, resumed).apply(resumed).data.group_column == "recording"


def test_a_resumed_run_keeps_its_crop_length(tmp_path: Path) -> None:
    _make_run(tmp_path, _config(), ResolvedRun(max_seconds=10.24))
    resumed = _config(resume="auto")
    open_run_folder(tmp_path, resumed)
    assert load_resolved(tmp_path, resumed).apply(resumed).audio.max_seconds == 10.24
    with pytest.raises(RunFolderError, match=r"--max-seconds 10\.24 is now 30"):
        open_run_folder(tmp_path, _config(resume="auto", max_seconds=30.0))


def test_run_config_is_a_preset_that_repeats_the_run(tmp_path: Path) -> None:
    from audio_cls.presets import load_preset

    cfg = _config(learning_rate=3e-4, report_to=("tensorboard",), epochs=3)
    _make_run(tmp_path, cfg)
    preset = load_preset(str(tmp_path / "run_config.yaml"))
    assert RunConfig.from_flat(preset.values).optim == cfg.optim
    assert RunConfig.from_flat(preset.values).train.epochs == 3
    assert "record" in yaml.safe_load((tmp_path / "run_config.yaml").read_text())


def test_run_config_as_preset_repeats_the_run_elsewhere_or_resumes_it(
    tmp_path: Path,
) -> None:
    from audio_cls.cli.options.config_options import settings_command

    found: list[RunConfig] = []
    command = settings_command()(lambda cfg: found.append(cfg))
    run = tmp_path / "run"
    _make_run(run, _config(output_dir=str(run), overwrite=True, epochs=3))
    preset = ["--preset", str(run / "run_config.yaml")]
    (tmp_path / "run-2").mkdir()
    for more in ([], ["--resume", "auto"], ["--output-dir", "mine"]):
        result = CliRunner().invoke(command, [*preset, *more])
        assert result.exit_code == 0, result.output
    folders = [cfg.train.output_dir for cfg in found]
    assert folders == [f"{run}-3", str(run), "mine"]
    assert [cfg.train.epochs for cfg in found] == [3, 3, 3]
    assert [cfg.train.overwrite for cfg in found] == [False, False, False]


def test_resume_names_a_checkpoint_or_the_last_one(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert find_resume_point(folder, "auto") is None
    for step in (9, 10, 100):
        (folder.checkpoints / f"step-{step}").mkdir(parents=True)
        (folder.checkpoints / f"step-{step}" / "trainer_state.json").touch()
    (folder.checkpoints / ".partial-200").mkdir()
    assert find_resume_point(folder, "auto") == folder.checkpoints / "step-100"
    assert find_resume_point(folder, str(folder.checkpoints / "step-9")) is not None
    assert find_resume_point(folder, "never") is None
    with pytest.raises(RunFolderError, match="no checkpoint"):
        find_resume_point(folder, str(tmp_path))


def test_the_best_evaluation_has_the_highest_metric_then_lowest_loss_then_is_the_earliest() -> None:
    first = Evaluation(0.8, 0.5, 1.0, 10, {})
    assert Evaluation(0.9, 0.9, 2.0, 20, {}).beats(first)
    assert Evaluation(0.8, 0.4, 2.0, 20, {}).beats(first)
    assert not Evaluation(0.8, 0.5, 2.0, 20, {}).beats(first)


def test_every_file_has_the_mode_of_a_new_file(tone_folder: Path, tmp_path: Path) -> None:
    model = write_quiet_checkpoint(tmp_path / "m")
    before = os.umask(0o027)
    try:
        run = set_up(make_config(tone_folder, model, tmp_path / "run", max_steps=1))
        train(run)
    finally:
        os.umask(before)
    files = [path for path in run.folder.path.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert names >= {"model.safetensors", "config.json", "trainer_state.json"}
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o640"}


def test_only_the_newest_checkpoints_are_kept(tone_folder: Path, tmp_path: Path) -> None:
    cfg = make_config(tone_folder, write_quiet_checkpoint(tmp_path / "m"), tmp_path / "run")
    run = set_up(cfg)
    for step in (1, 2, 3):
        run.state.step = step
        run.folder.save_checkpoint(run.accelerator, run.state, keep=2)
    assert [path.name for path in run.folder.find_checkpoints()] == ["step-2", "step-3"]
    assert not list(run.folder.checkpoints.glob(".partial*"))


def test_without_kept_checkpoints_there_is_one_until_the_run_is_finished(
    tone_folder: Path, tmp_path: Path
) -> None:
    cfg = make_config(tone_folder, write_quiet_checkpoint(tmp_path / "m"), tmp_path / "run")
    run = set_up(cfg)
    for step in (1, 2):
        run.state.step = step
        run.folder.save_checkpoint(run.accelerator, run.state, keep=0)
    assert [path.name for path in run.folder.find_checkpoints()] == ["step-2"]
    run.folder.remove_checkpoints()
    assert not run.folder.checkpoints.exists()


def test_the_checkpoint_of_the_best_evaluation_is_kept_with_the_newest_ones(
    tone_folder: Path, tmp_path: Path
) -> None:
    cfg = make_config(tone_folder, write_quiet_checkpoint(tmp_path / "m"), tmp_path / "run")
    run = set_up(cfg)
    (run.folder.checkpoints / ".partial-7").mkdir(parents=True)  # what a kill left
    for step in (1, 2, 3, 4):
        run.state.step = step
        if step == 2:
            run.save_model(run.model)
            run.state.best = Evaluation(0.5, 0.5, 1.0, 2, {})
        run.folder.save_checkpoint(run.accelerator, run.state, keep=1)
    left = [path.name for path in sorted(run.folder.checkpoints.iterdir())]
    assert left == [".best", "step-2", "step-4"]
    run.state.step = 3  # gone back, and on from there
    run.folder.save_checkpoint(run.accelerator, run.state, keep=2)
    assert [path.name for path in run.folder.find_checkpoints()] == ["step-2", "step-3"]


def test_a_save_that_fails_keeps_the_old_checkpoint(
    tone_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = make_config(tone_folder, write_quiet_checkpoint(tmp_path / "m"), tmp_path / "run")
    run = set_up(cfg)
    run.state.step = 1
    run.folder.save_checkpoint(run.accelerator, run.state, keep=1)

    def fail(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "flush_to_disk", fail)
    run.state.step = 2
    with pytest.raises(OSError, match="No space"):
        run.folder.save_checkpoint(run.accelerator, run.state, keep=1)
    assert find_resume_point(run.folder, "auto") == run.folder.checkpoints / "step-1"
