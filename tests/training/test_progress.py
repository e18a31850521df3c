"""Progress of a run: bar, trackers, times."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from tiny_runs import make_config, set_up, write_quiet_checkpoint

from audio_cls.distributed.accelerator import check_trackers
from audio_cls.errors import SettingError
from audio_cls.training.loop import train
from audio_cls.training.progress import describe_timing


def test_tensorboard_logs_metrics_and_settings(tone_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    checkpoint = write_quiet_checkpoint(tmp_path / "checkpoint")
    cfg = make_config(
        tone_folder, checkpoint, tmp_path / "run", epochs=2, report_to=("tensorboard",)
    )
    run = set_up(cfg)
    train(run)
    run.progress.close()
    events = EventAccumulator(str(tmp_path / "run" / "logs" / "run"))
    events.Reload()
    assert [event.step for event in events.Scalars("accuracy")] == [12, 24]
    assert {"train_loss", "validation_loss", "learning_rate"} <= set(events.Tags()["scalars"])
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
