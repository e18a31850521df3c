"""Resuming a run: from a checkpoint alone, for more steps, with other settings."""

from __future__ import annotations

import dataclasses
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_runs import make_config, prepare, set_up, write_quiet_checkpoint

from audio_cls.config import RunConfig, iterate_settings
from audio_cls.distributed.accelerator import start_accelerator
from audio_cls.errors import Paused, RunFolderError
from audio_cls.run_warnings import collect_warnings
from audio_cls.runs.config_file import check_same_settings, save_run_config
from audio_cls.runs.resolved import ResolvedRun
from audio_cls.runs.resume import check_steps, find_whole_checkpoint
from audio_cls.runs.trainer_state import Evaluation, TrainerState
from audio_cls.training import loop
from audio_cls.training.loop import TrainingRun
from audio_cls.training.open_run import close_run, save_settings
from audio_cls.training.stopping import StopRequest
from audio_cls.training.timing import describe_timing


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Return a tiny HuBERT without dropout."""
    return write_quiet_checkpoint(tmp_path / "checkpoint")


def _pause_after(run: TrainingRun, step: int, patch: pytest.MonkeyPatch) -> None:
    """Pause a training after a step, as a signal does."""
    ask = run.stop_controller.poll
    patch.setattr(
        run.stop_controller,
        "poll",
        lambda done, *given, **named: (
            StopRequest.PAUSE if done == step else ask(done, *given, **named)
        ),
    )


def _have_same_weights(one: TrainingRun, other: TrainingRun) -> bool:
    pairs = zip(one.model.parameters(), other.model.parameters(), strict=True)
    return all(torch.equal(left, right) for left, right in pairs)


def test_a_checkpoint_alone_is_enough_to_resume_in_another_folder(
    tone_folder: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = set_up(make_config(tone_folder, checkpoint, tmp_path / "old", epochs=2))
    old.validate = lambda _: {"accuracy": 0.5, "loss": 1.0}  # the first of equals is the best
    _pause_after(old, 17, monkeypatch)
    with pytest.raises(Paused):
        loop.train(old)
    best = load_file(tmp_path / "old" / "model.safetensors")
    shutil.move(tmp_path / "old" / "checkpoints" / "step-17", tmp_path / "step-17")
    shutil.rmtree(tmp_path / "old")
    new = set_up(
        make_config(tone_folder, checkpoint, tmp_path / "new", epochs=2,
                    resume=str(tmp_path / "step-17"))
    )  # fmt: skip
    new.validate = old.validate
    loop.train(new)
    whole = set_up(make_config(tone_folder, checkpoint, tmp_path / "whole", epochs=2))
    loop.train(whole)
    assert _have_same_weights(new, whole)
    found = load_file(tmp_path / "new" / "model.safetensors")
    assert all(torch.equal(found[name], best[name]) for name in best)
    names = {"config.json", "model.safetensors", "preprocessor_config.json"}
    for path in new.folder.find_checkpoints():
        assert {file.name for file in (path / "best").iterdir()} == names


def test_a_run_resumed_at_an_earlier_step_has_the_best_model_of_that_step(
    tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    changes = {"epochs": 2, "keep_checkpoints": 3}
    run = set_up(make_config(tone_folder, checkpoint, tmp_path / "run", **changes))
    accuracies = iter([0.5, 0.9])
    run.validate = lambda _: {"accuracy": next(accuracies), "loss": 1.0}
    loop.train(run)
    first = run.folder.checkpoints / "step-12"
    best = load_file(first / "best" / "model.safetensors")
    again = set_up(
        make_config(tone_folder, checkpoint, tmp_path / "run", **changes, resume=str(first))
    )
    assert again.state.step == 12
    found = load_file(tmp_path / "run" / "model.safetensors")
    assert all(torch.equal(found[name], best[name]) for name in best)


def test_a_damaged_checkpoint_is_found_and_the_one_before_is_used(
    tone_folder: Path, checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cfg = make_config(tone_folder, checkpoint, tmp_path / "run", keep_checkpoints=2)
    run = set_up(cfg)
    for step in (1, 2):
        run.state.step = step
        run.save_model(run.model)
        run.state.best = Evaluation(0.5, 0.5, 1.0, 1, {})
        run.folder.save_checkpoint(run.accelerator, run.state, keep=2)
    first, second = run.folder.find_checkpoints()
    caplog.clear()
    assert find_whole_checkpoint(run.folder, "auto") == second and not caplog.messages
    files = [path for path in second.rglob("*") if path.is_file()]
    assert len(files) == 9  # state, best model and checksums
    for file in files:
        whole = file.read_bytes()
        file.unlink()  # the best model is a link to that of the run folder
        for content in (whole[:-1] + bytes([whole[-1] ^ 4]), whole[: len(whole) // 2]):
            caplog.clear()
            file.write_bytes(content)
            assert find_whole_checkpoint(run.folder, "auto") == first
            assert len(caplog.messages) == 1 and "training continues from step-1" in caplog.text
            assert str(file.relative_to(second)) in caplog.text
            with pytest.raises(RunFolderError, match=r"damaged.*give another one"):
                find_whole_checkpoint(run.folder, str(second))
        file.write_bytes(whole)
    for path in (first, second):
        (path / "optimizer.bin").write_bytes(b"")
    with pytest.raises(RunFolderError, match="start the run again with --overwrite"):
        find_whole_checkpoint(run.folder, "auto")


def test_a_run_is_resumed_for_more_epochs_if_the_schedule_stays_the_same(
    tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    changes = {"scheduler": "constant", "warmup_ratio": 0.0}
    short = set_up(make_config(tone_folder, checkpoint, tmp_path / "run", **changes))
    loop.train(short)
    longer = {**changes, "epochs": 2}
    again = set_up(make_config(tone_folder, checkpoint, tmp_path / "run", **longer, resume="auto"))
    loop.train(again)
    whole = set_up(make_config(tone_folder, checkpoint, tmp_path / "whole", **longer))
    loop.train(whole)
    assert again.state.step == 24
    assert _have_same_weights(again, whole)


@pytest.mark.parametrize(
    ("settings", "step", "longer", "is_allowed"),
    [
        ({"scheduler": "linear"}, 5, 200, False),
        ({"scheduler": "cosine", "warmup_ratio": 0.0}, 5, 200, False),
        ({"scheduler": "constant", "warmup_ratio": 0.0}, 100, 200, True),
        ({"scheduler": "constant", "warmup_ratio": 0.1}, 50, 200, False),
        # 80 steps of 100 are before the decay.
        ({"scheduler": "wsd", "warmup_ratio": 0.0, "decay_ratio": 0.2}, 80, 200, True),
        ({"scheduler": "wsd", "warmup_ratio": 0.0, "decay_ratio": 0.2}, 90, 200, False),
        ({"scheduler": "constant", "warmup_ratio": 0.0}, 50, 40, False),
        ({"scheduler": "linear"}, 50, 100, True),
    ],
)
def test_another_number_of_steps_is_refused_if_past_learning_rates_would_differ(
    settings: dict[str, Any], step: int, longer: int, *, is_allowed: bool
) -> None:
    cfg = RunConfig.from_flat(settings)
    position = TrainerState(step=step, num_steps=100, clips_per_step=8)
    if is_allowed:
        check_steps(position, 8, longer, cfg)
        return
    with pytest.raises(RunFolderError, match=rf"planned for 100 steps, now for {longer}.*--model"):
        check_steps(position, 8, longer, cfg)


def test_another_number_of_clips_in_a_step_is_refused(
    tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    loop.train(set_up(make_config(tone_folder, checkpoint, tmp_path / "run")))
    with pytest.raises(RunFolderError, match=r"steps of 4 clips.*has 8.*--effective-batch-size 4"):
        set_up(make_config(tone_folder, checkpoint, tmp_path / "run", batch_size=8, resume="auto"))
    same = set_up(
        make_config(tone_folder, checkpoint, tmp_path / "run", batch_size=2,
                    gradient_accumulation_steps=2, resume="auto")
    )  # fmt: skip
    assert same.state.step == 12


def test_settings_that_do_not_affect_training_may_change(tmp_path: Path) -> None:
    cfg = RunConfig.from_flat({"dataset": "a/b", "learning_rate": 1e-4})
    save_run_config(tmp_path, cfg, ResolvedRun(), {})
    hub = dataclasses.replace(cfg.hub, limitations="Speech only.", publish_ids="none")
    check_same_settings(tmp_path, dataclasses.replace(cfg, hub=hub))
    train = dataclasses.replace(cfg.train, num_workers=3, max_train_minutes=1.0, log="json")
    check_same_settings(tmp_path, dataclasses.replace(cfg, train=train))
    with pytest.raises(RunFolderError, match=r"--learning-rate 0\.0001 is now 0\.0002"):
        optim = dataclasses.replace(cfg.optim, learning_rate=2e-4)
        check_same_settings(tmp_path, dataclasses.replace(cfg, optim=optim))
    free = {one.name for one in iterate_settings() if not one.affects_training}
    hub_names = {one.name for one in iterate_settings("hub")}
    assert hub_names <= free
    assert not free & {"seed", "learning_rate", "batch_size", "dataset", "model", "metric"}


def test_a_checkpoint_of_a_run_with_other_settings_is_used_with_a_warning_or_refused(
    tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    loop.train(set_up(make_config(tone_folder, checkpoint, tmp_path / "old")))
    start = str(tmp_path / "old" / "checkpoints" / "step-12")
    texts = collect_warnings()
    cfg = make_config(tone_folder, checkpoint, tmp_path / "new", learning_rate=5e-4, resume=start)
    assert set_up(cfg).state.step == 12
    assert any("a run with other --learning-rate" in text for text in texts)
    cfg = make_config(tone_folder, checkpoint, tmp_path / "third", max_seconds=0.4, resume=start)
    with pytest.raises(RunFolderError, match=r"--max-seconds 0\.5 is now 0\.4"):
        set_up(cfg)
    (tmp_path / "new" / "checkpoints" / "step-1").mkdir(parents=True)
    cfg = make_config(tone_folder, checkpoint, tmp_path / "new", resume=start)
    with pytest.raises(RunFolderError, match="has checkpoints, which would be lost"):
        set_up(cfg)


def test_times_and_steps_are_summed_over_all_starts(
    tone_folder: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = make_config(tone_folder, checkpoint, tmp_path / "run", epochs=2)
    first = set_up(cfg)
    first.progress.prepare_seconds = 3.0
    after_step = first.progress.after_step
    monkeypatch.setattr(
        first.progress, "after_step", lambda *given: (time.sleep(0.05), after_step(*given))
    )
    _pause_after(first, 14, monkeypatch)
    with pytest.raises(Paused):
        loop.train(first)
    second = set_up(make_config(tone_folder, checkpoint, tmp_path / "run", epochs=2, resume="auto"))
    second.progress.prepare_seconds = 2.0
    loop.train(second)
    timing = describe_timing(second, 0.0)
    own = second.progress.train_seconds
    assert timing.starts == 2
    assert timing.prepare_seconds == 5.0
    assert (timing.steps, timing.evaluations) == (24, 2)
    assert timing.train_seconds >= 14 * 0.05 + round(own, 2) - 0.01
    assert timing.train_clips_per_second == pytest.approx(24 * 4 / timing.train_seconds, rel=0.02)


def test_a_run_whose_data_set_has_changed_is_not_resumed(
    tone_folder: Path, checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tones, path = tmp_path / "tones", tmp_path / "run"
    shutil.copytree(tone_folder, tones)
    run = set_up(make_config(tones, checkpoint, path))
    listed = (path / "splits" / "test.txt").read_text().splitlines()
    assert len(listed) == 6 and len(set(listed)) == 6  # from the start of the run: a tenth of 60
    close_run(run)
    (path / "checkpoints" / "step-1").mkdir(parents=True)
    cfg = make_config(tones, checkpoint, path, resume="auto")
    clips, _ = prepare(cfg)
    accelerator = start_accelerator(cfg.train)
    save_settings(run.folder, cfg, ResolvedRun(), accelerator, clips)  # nothing has changed
    assert "other versions" not in caplog.text
    file, own = path / "run_config.yaml", f"torch: {torch.__version__}"
    file.write_text(file.read_text().replace(own, "torch: 2.6.0"))
    for _ in range(2):  # the second start finds the versions of the first
        save_settings(run.folder, cfg, ResolvedRun(), accelerator, clips)
    assert caplog.text.count(f"other versions: torch 2.6.0 is now {torch.__version__}.") == 1
    for one, other in (("low", "away"), ("high", "low"), ("away", "high")):
        (tones / one).rename(tones / other)
    settings = (path / "run_config.yaml").read_text()
    clips, _ = prepare(cfg)
    with pytest.raises(RunFolderError, match=r"data set has changed.*--split-files"):
        save_settings(run.folder, cfg, ResolvedRun(), accelerator, clips)
    assert (path / "run_config.yaml").read_text() == settings
