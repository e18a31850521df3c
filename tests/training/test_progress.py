"""Progress of a run: bar, trackers, times."""

from __future__ import annotations

import csv
import json
import logging
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from tiny_runs import make_config, set_up, write_quiet_checkpoint

from audio_cls.distributed.accelerator import check_trackers
from audio_cls.errors import Paused, SettingError
from audio_cls.runs.run_files import SPEED_COLUMNS
from audio_cls.runs.trainer_state import TrainerState
from audio_cls.training import loop
from audio_cls.training import progress as progress_module
from audio_cls.training.loop import TrainingRun, train
from audio_cls.training.nan_guard import NonFiniteGuard
from audio_cls.training.stopping import StopRequest
from audio_cls.training.timing import describe_timing

SMALL: dict[str, Any] = {"epochs": 2, "max_train_samples": 16}  # two epochs of four steps


def test_tensorboard_logs_metrics_and_settings(tone_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    checkpoint = write_quiet_checkpoint(tmp_path / "checkpoint")
    cfg = make_config(
        tone_folder, checkpoint, tmp_path / "run", **SMALL, report_to=("tensorboard",)
    )
    run = set_up(cfg)
    train(run)
    run.progress.close()
    events = EventAccumulator(str(tmp_path / "run" / "logs" / "run"))
    events.Reload()
    assert [event.step for event in events.Scalars("accuracy")] == [4, 8]
    names = {"train_loss", "validation_loss", "learning_rate", "grad_norm", "data_share"}
    assert names <= set(events.Tags()["scalars"])
    (settings,) = (tmp_path / "run" / "logs" / "run").glob("*/hparams.yml")
    assert "optim.learning_rate: 0.001" in settings.read_text()


@pytest.mark.parametrize(
    ("name", "message"),
    [("tensorbord", r"is not a tracker.*Did you mean tensorboard"), ("aim", r"pip install aim")],
)
def test_a_missing_tracker_is_refused_with_a_list_of_installed_ones(
    name: str, message: str
) -> None:
    with pytest.raises(SettingError, match=message) as caught:
        check_trackers([name])
    assert "installed here:" in str(caught.value)


def test_the_bar_shows_loss_learning_rate_and_clips_per_second(
    tone_folder: Path, tmp_path: Path
) -> None:
    checkpoint = write_quiet_checkpoint(tmp_path / "checkpoint")
    run = set_up(make_config(tone_folder, checkpoint, tmp_path / "run"))
    for group in run.optimizer.param_groups:
        group["lr"] = 2.5e-4
    run.progress.after_step(1, torch.tensor(1.0))
    run.progress.after_step(2, torch.tensor(2.0))
    text = run.progress.describe()
    assert text.startswith("loss 1.500, lr 2.50e-04, ")
    assert text.endswith(" clips/s")


def test_the_time_between_steps_is_the_overhead(
    tone_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = write_quiet_checkpoint(tmp_path / "checkpoint")
    run = set_up(make_config(tone_folder, checkpoint, tmp_path / "run", max_steps=4))
    after_step = run.progress.after_step

    def dawdle(step: int, loss: torch.Tensor) -> None:
        after_step(step, loss)
        time.sleep(0.2)

    monkeypatch.setattr(run.progress, "after_step", dawdle)
    train(run)
    times = run.progress.sum_times()
    lost = times.overhead_share * times.train_seconds
    assert lost >= 0.8
    assert times.compute_seconds + lost == pytest.approx(times.train_seconds, rel=1e-3)
    assert describe_timing(run, 0.0).overhead_share == times.overhead_share


def test_the_start_of_the_energy_meter_is_preparation(tone_folder: Path, tmp_path: Path) -> None:
    checkpoint = write_quiet_checkpoint(tmp_path / "checkpoint")
    run = set_up(make_config(tone_folder, checkpoint, tmp_path / "run", max_steps=1))
    run.progress.prepare_seconds = 2.0
    run.energy_meter.tracker = SimpleNamespace(start=lambda: time.sleep(0.5), stop=lambda: None)
    train(run)
    prepare_seconds = describe_timing(run, 0.0).prepare_seconds
    assert prepare_seconds is not None and 2.5 <= prepare_seconds < 3.5


def test_time_between_set_up_and_training_is_not_training_time(
    tone_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, wait = write_quiet_checkpoint(tmp_path / "checkpoint"), 10_000.0

    def start_late(**changes: Any) -> TrainingRun:  # noqa: ANN401
        run = set_up(make_config(tone_folder, checkpoint, tmp_path / "run", **SMALL, **changes))
        run.progress.started -= wait
        run.progress.resumed_at -= wait
        run.progress.shown_at -= wait
        return run

    first = start_late()
    with monkeypatch.context() as patch:
        patch.setattr(loop.StopController, "poll", lambda *_, **__: StopRequest.PAUSE)
        with pytest.raises(Paused):
            train(first)
    assert first.state.times.train_seconds < wait
    second = start_late(resume="auto")
    assert second.state.step == 1
    train(second)
    timing = describe_timing(second, 0.0)
    assert timing.starts == 2
    assert timing.train_seconds is not None
    assert timing.train_seconds < wait
    assert max(float(row["seconds"]) for row in _read_rows(tmp_path / "run")) < wait
    assert min(float(row["clips_per_second"]) for row in _read_rows(tmp_path / "run")) > 1


def _read_rows(run: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((run / "summary.csv").open()))


def test_summary_has_the_mean_gradient_norm_and_the_share_of_waiting(
    tone_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    norms = []
    original = loop.clip_gradient

    def clip(*args: Any) -> torch.Tensor:  # noqa: ANN401
        norms.append(original(*args))
        return norms[-1]

    monkeypatch.setattr(loop, "clip_gradient", clip)
    checkpoint = write_quiet_checkpoint(tmp_path / "checkpoint")
    run = set_up(make_config(tone_folder, checkpoint, tmp_path / "run", **SMALL))
    batches = run.sampler.group_steps

    def slow(loader: Any) -> Any:  # noqa: ANN401
        for one in batches(loader):
            time.sleep(0.2)
            yield one

    monkeypatch.setattr(run.sampler, "group_steps", slow)
    train(run)
    rows = _read_rows(tmp_path / "run")
    for number, row in enumerate(rows):
        mean = float(torch.stack(norms[4 * number : 4 * (number + 1)]).mean())
        assert float(row["grad_norm"]) == pytest.approx(mean, rel=1e-4)
        assert 0.3 < float(row["data_share"]) < 1
        assert 0 < float(row["clips_per_second"]) < 4 / 0.2
    assert run.state.grad_norm_steps == 0


def test_norms_that_are_not_finite_are_left_out_of_the_mean() -> None:
    guard = NonFiniteGuard(Accelerator(cpu=True), ["a"], TrainerState())
    for norm in (2.0, float("inf"), 4.0):
        guard.check_step(torch.tensor(norm), torch.tensor(1.0), [0])
    guard.resolve()
    assert (guard.state.grad_norm_sum, guard.state.grad_norm_steps) == (6.0, 2)


def test_a_run_of_a_version_with_fewer_columns_is_resumed(
    tone_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = write_quiet_checkpoint(tmp_path / "checkpoint")
    cfg = make_config(tone_folder, checkpoint, tmp_path / "run", **SMALL)
    run = set_up(cfg)
    after_step = run.progress.after_step

    def stop(step: int, loss: torch.Tensor) -> None:
        after_step(step, loss)
        if step == 5:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(run.progress, "after_step", stop)
    with pytest.raises(Paused):
        train(run)
    old = _read_rows(tmp_path / "run")
    names = [name for name in old[0] if name not in SPEED_COLUMNS]
    with (tmp_path / "run" / "summary.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(old)
    (state,) = (tmp_path / "run").glob("checkpoints/step-5/trainer_state.json")
    tree = json.loads(state.read_text())
    new = ("grad_norm_sum", "grad_norm_steps", "eval_train_seconds", "eval_data_seconds")
    for name in new:
        del tree[name]
    del tree["times"]["data_seconds"]
    state.write_text(json.dumps(tree))
    train(set_up(make_config(tone_folder, checkpoint, tmp_path / "run", **SMALL, resume="auto")))
    first, second = _read_rows(tmp_path / "run")
    assert {name: first[name] for name in names} == {name: old[0][name] for name in names}
    assert [first[name] for name in SPEED_COLUMNS] == ["", "", ""]
    assert float(second["grad_norm"]) > 0
    assert 0 <= float(second["data_share"]) <= 1


def test_json_events_are_one_line_per_evaluation_on_standard_output(
    tone_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = write_quiet_checkpoint(tmp_path / "checkpoint")
    train(set_up(make_config(tone_folder, checkpoint, tmp_path / "run", **SMALL, log="json")))
    captured = capsys.readouterr()
    events = [json.loads(line) for line in captured.out.splitlines()]
    assert [event["event"] for event in events] == ["epoch", "epoch"]
    assert [event["step"] for event in events] == [4, 8]
    assert events[0]["is_best"] is True
    rows = _read_rows(tmp_path / "run")
    assert str(events[1]["grad_norm"]) == rows[1]["grad_norm"]
    assert captured.err == ""


@pytest.mark.parametrize("rule", [(3, 0.0, 2), (3, 1e9, 0), (1000, 0.0, 0)])
def test_without_a_terminal_a_line_comes_after_some_steps_but_not_too_often(
    tone_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    rule: tuple[int, float, int],
) -> None:
    steps, seconds, lines = rule
    monkeypatch.setattr(progress_module, "LINE_STEPS", steps)
    monkeypatch.setattr(progress_module, "MIN_LINE_SECONDS", seconds)
    checkpoint = write_quiet_checkpoint(tmp_path / "checkpoint")
    with caplog.at_level(logging.INFO, "audio_cls.training.progress"):
        train(set_up(make_config(tone_folder, checkpoint, tmp_path / "run", **SMALL)))
    shown = [text for text in caplog.messages if "clips/s, " in text]
    assert len(shown) == lines
    if lines:
        assert shown[0].startswith("  step 3/8, loss ")
        assert shown[0].endswith(" left")
    headers = [text for text in caplog.messages if "train loss" in text]
    assert len(headers) == 1
    own = [one.getMessage() for one in caplog.records if one.name == progress_module.__name__]
    assert max(len(line) for text in own for line in text.split("\n")) <= 80


def test_long_steps_have_a_line_each(
    tone_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(progress_module, "LINE_SECONDS", 0.0)
    checkpoint = write_quiet_checkpoint(tmp_path / "checkpoint")
    with caplog.at_level(logging.INFO, "audio_cls.training.progress"):
        train(set_up(make_config(tone_folder, checkpoint, tmp_path / "run", max_steps=3)))
    assert sum("clips/s, " in text for text in caplog.messages) == 3
