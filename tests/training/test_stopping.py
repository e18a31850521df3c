"""Stops before the last step: signals, time limit, early stopping, skipped steps, memory."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from tiny_runs import make_config, set_up, write_quiet_checkpoint
from torch import nn
from transformers import BatchFeature

from audio_cls.config import OptimConfig, TrainConfig
from audio_cls.errors import Paused, TrainingError
from audio_cls.runs.trainer_state import TrainerState
from audio_cls.training import loop
from audio_cls.training import stopping as brakes_module
from audio_cls.training.loop import TrainingRun, is_over, train
from audio_cls.training.nan_guard import NonFiniteGuard, explain_memory
from audio_cls.training.optim.optimizer import make_optimizer, step_if_finite, supports_found_inf
from audio_cls.training.stopping import StopController, StopRequest


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny HuBERT without dropout."""
    return write_quiet_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def whole(
    tone_folder: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> TrainingRun:
    """Return a run of two epochs that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run = set_up(make_config(tone_folder, checkpoint, folder, epochs=2))
    train(run)
    return run


def _assert_equal_end(run: TrainingRun, whole: TrainingRun) -> None:
    """Compare weights, state and summary.csv but for what is measured with a clock."""
    for one, other in zip(whole.model.parameters(), run.model.parameters(), strict=True):
        assert torch.equal(one, other)
    assert run.state == whole.state
    assert _read_rows(run.folder.path) == _read_rows(whole.folder.path)


def _signal_after(run: TrainingRun, step: int, number: int, patch: pytest.MonkeyPatch) -> None:
    """Send this process a real signal after a step."""
    after_step = run.progress.after_step

    def send(done: int, loss: torch.Tensor) -> None:
        after_step(done, loss)
        if done == step:
            os.kill(os.getpid(), number)

    patch.setattr(run.progress, "after_step", send)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_the_state_logs_how_to_resume_and_restores_the_handlers(
    tone_folder: Path,
    checkpoint: Path,
    whole: TrainingRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    before = signal.getsignal(number)
    cfg = make_config(tone_folder, checkpoint, tmp_path / "run", epochs=2, overwrite=True)
    run = set_up(cfg)
    _signal_after(run, 7, number, monkeypatch)
    expected = r"(?s)step 7 of 24.*without --overwrite, with --resume auto --output-dir"
    with pytest.raises(Paused, match=expected):
        train(run)
    assert signal.getsignal(number) == before
    assert [path.name for path in run.folder.find_checkpoints()] == ["step-7"]
    again = set_up(make_config(tone_folder, checkpoint, tmp_path / "run", epochs=2, resume="auto"))
    train(again)
    _assert_equal_end(again, whole)


@pytest.mark.slow
def test_sigterm_ends_the_real_script_with_exit_code_3(
    tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    command = [
        sys.executable, "scripts/train.py", "--dataset", str(tone_folder), "--model",
        str(checkpoint), "--max-seconds", "0.5", "--epochs", "500", "--output-dir",
        str(tmp_path / "run"),
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 240
    while not list((tmp_path / "run").glob("checkpoints/step-*")) and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 3, errors[-2000:]
    assert "--resume auto" in errors
    assert "Traceback" not in errors


BUSY = """
import hashlib
from types import SimpleNamespace
from audio_cls.training.stopping import StopController
with StopController(SimpleNamespace(num_processes=1, is_main_process=True), None):
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # minutes within one instruction of Python
"""


@pytest.mark.slow
def test_the_first_ctrl_c_prints_a_line_and_the_second_ends_the_process_during_a_step() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == "ready\n"
    try:
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        assert process.stderr.readline() == "\n"
        assert "stopping after this step" in process.stderr.readline()
        assert time.monotonic() - started < 5
        process.send_signal(signal.SIGINT)  # as a launcher passes on what the terminal sent to all
        time.sleep(1.2)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 128 + signal.SIGINT
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("number", "handler"),
    [(signal.SIGHUP, signal.SIG_IGN), (signal.SIGCHLD, lambda *_: None)],  # nohup, torch's loader
)
def test_ignored_and_other_signals_do_not_stop_the_training(
    number: int,
    handler: Any,  # noqa: ANN401
) -> None:
    before = signal.signal(number, handler)
    try:
        with StopController(Accelerator(cpu=True), None) as controller:
            os.kill(os.getpid(), number)
            time.sleep(0.05)
            assert controller.poll(1) == StopRequest.CONTINUE
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize(
    ("step_seconds", "steps"), [(0.001, [1, 11, 21, 31]), (0.5, [1, 5, 9, 13]), (9.0, [1, 2, 3, 4])]
)
def test_processes_agree_more_often_if_steps_are_long(
    monkeypatch: pytest.MonkeyPatch, step_seconds: float, steps: list[int]
) -> None:
    asked = []

    def gather(own: torch.Tensor) -> torch.Tensor:
        asked.append(step)
        return torch.cat([own, torch.tensor([[float(StopRequest.PAUSE), 0.0]])])

    accelerator: Any = SimpleNamespace(num_processes=2, device="cpu", gather=gather)
    with StopController(accelerator, None) as running:
        clock = iter(running.started + step_seconds * n for n in range(1, 99))
        times: dict[int, float] = dict(enumerate(clock, start=1))
        monkeypatch.setattr(brakes_module.time, "monotonic", lambda: times[step])
        found = {}
        for step in range(1, 32):
            found[step] = running.poll(step)
        monkeypatch.undo()
    assert asked[:4] == steps
    assert found[1] == StopRequest.PAUSE


@pytest.mark.parametrize("number", [1, 2])  # of the evaluation; the second is the last
def test_a_stop_during_an_evaluation_ends_the_run_after_it(
    tone_folder: Path,
    checkpoint: Path,
    whole: TrainingRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    run = set_up(make_config(tone_folder, checkpoint, tmp_path / "run", epochs=2))
    validate, done = run.validate, []

    def interrupted(model: nn.Module) -> dict[str, float]:
        done.append(run.state.step)
        if len(done) == number:
            os.kill(os.getpid(), signal.SIGINT)
        return validate(model)

    monkeypatch.setattr(run, "validate", interrupted)
    with pytest.raises(Paused, match=f"after step {12 * number} of 24"):
        train(run)
    assert run.state.last_eval_step == run.state.step == 12 * number
    again = set_up(make_config(tone_folder, checkpoint, tmp_path / "run", epochs=2, resume="auto"))
    train(again)
    _assert_equal_end(again, whole)


@pytest.mark.parametrize("step", [12, 24])  # the ends of both epochs
def test_a_stop_between_an_epoch_and_its_evaluation_loses_nothing(
    tone_folder: Path,
    checkpoint: Path,
    whole: TrainingRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:
    run = set_up(make_config(tone_folder, checkpoint, tmp_path / "run", epochs=2))
    _signal_after(run, step, signal.SIGTERM, monkeypatch)
    with pytest.raises(Paused):
        train(run)
    again = set_up(make_config(tone_folder, checkpoint, tmp_path / "run", epochs=2, resume="auto"))
    train(again)
    _assert_equal_end(again, whole)


def test_a_signal_after_the_last_step_is_not_lost(
    tone_folder: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = set_up(make_config(tone_folder, checkpoint, tmp_path / "run"))
    poll = run.stop_controller.poll

    def signal_after(step: int, *args: float, is_due: bool = False) -> StopRequest:
        found = poll(step, *args, is_due=is_due)
        if is_due and args:  # the last poll of the loop
            os.kill(os.getpid(), signal.SIGTERM)
        return found

    monkeypatch.setattr(run.stop_controller, "poll", signal_after)
    with pytest.raises(Paused, match="after step 12 of 12"):
        train(run)


def test_a_pause_counts_more_than_the_time_limit_whichever_is_first() -> None:
    with StopController(Accelerator(cpu=True), 0.0) as controller:
        assert controller.poll(1) == StopRequest.FINISH
        os.kill(os.getpid(), signal.SIGTERM)
        assert controller.poll(2) == controller.poll(3) == StopRequest.PAUSE


TIMED = ("seconds", "data_share", "clips_per_second")


def _read_rows(run: Path) -> list[dict[str, str]]:
    """Read summary.csv without the columns that are measured with a clock."""
    rows = list(csv.DictReader((run / "summary.csv").open()))
    return [{key: value for key, value in row.items() if key not in TIMED} for row in rows]


def test_the_time_limit_ends_training_but_not_the_evaluation(
    tone_folder: Path, checkpoint: Path, tmp_path: Path
) -> None:
    cfg = make_config(
        tone_folder, checkpoint, tmp_path / "run", epochs=1000, max_train_minutes=0.005
    )
    run = set_up(cfg)
    train(run)
    assert 1 <= run.state.step < run.num_steps
    assert run.state.best is not None
    assert run.folder.find_checkpoints()


def test_early_stopping_counts_evaluations_over_a_resume() -> None:
    cfg = TrainConfig(early_stopping_patience=2)
    assert is_over(TrainerState(step=100, last_eval_step=100), 100, TrainConfig())
    assert not is_over(TrainerState(step=100, last_eval_step=96), 100, TrainConfig())
    assert not is_over(TrainerState(step=5, evals_without_improvement=1), 100, cfg)
    assert is_over(TrainerState(step=5, evals_without_improvement=2), 100, cfg)
    assert not is_over(TrainerState(step=5, evals_without_improvement=9), 100, TrainConfig())


def test_a_run_without_improvement_stops_early(
    tone_folder: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = make_config(
        tone_folder, checkpoint, tmp_path / "run", epochs=20, early_stopping_patience=3,
        max_train_samples=8,
    )  # fmt: skip
    run = set_up(cfg)
    run.validate = lambda _: {"accuracy": 0.5, "loss": 1.0}
    train(run)
    assert len(list(csv.DictReader((tmp_path / "run" / "summary.csv").open()))) == 4
    assert run.state.evals_without_improvement == 3


def _poison(run: TrainingRun, steps: set[int], patch: pytest.MonkeyPatch) -> None:
    """Make the loss of some steps NaN, in the loss function."""
    original = run.loss_fn

    def poisoned(logits: torch.Tensor, targets: torch.Tensor, **options: Any) -> torch.Tensor:  # noqa: ANN401
        losses = original(logits, targets, **options)
        return losses * float("nan") if run.state.step in steps else losses

    patch.setattr(run, "loss_fn", poisoned)


def test_a_step_that_is_not_finite_is_skipped_and_counted(
    tone_folder: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = set_up(make_config(tone_folder, checkpoint, tmp_path / "run"))
    _poison(run, {3, 4, 7}, monkeypatch)
    train(run)
    assert run.state.skipped_steps == 3
    assert all(torch.isfinite(weight).all() for weight in run.model.parameters())


def test_three_skipped_steps_in_a_row_end_the_run_and_name_the_clips(
    tone_folder: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = set_up(make_config(tone_folder, checkpoint, tmp_path / "run"))
    _poison(run, {3, 4, 5}, monkeypatch)
    with pytest.raises(TrainingError, match=r"3 consecutive steps.*\w+-\d\d\.wav.*--output-dir\.$"):
        train(run)


def test_a_finite_step_resets_the_count() -> None:
    guard = NonFiniteGuard(Accelerator(cpu=True), ["a", "b"], TrainerState())
    good, bad = torch.tensor(1.0), torch.tensor(float("inf"))
    skipped = [
        float(guard.check_step(norm, good, [0])) for norm in (bad, bad, good, bad, bad, good)
    ]
    assert skipped == [1, 1, 0, 1, 1, 0]
    assert guard.state.skipped_steps == 0  # nobody has looked yet
    assert guard.resolve()
    assert guard.state.skipped_steps == 4
    assert guard.state.skipped_in_a_row == 0
    guard.check_step(good, bad, [1])
    assert not guard.resolve()


def test_a_step_skipped_on_the_device_changes_neither_weights_nor_moments() -> None:
    layer = nn.Linear(3, 2)
    optimizer = AcceleratedOptimizer(make_optimizer(layer, OptimConfig(weight_decay=0.1)))
    assert supports_found_inf(optimizer)
    snapshots = []
    for veto in (0.0, 1.0, 0.0):
        layer(torch.full((1, 3), float("nan") if veto else 1.0)).sum().backward()
        step_if_finite(optimizer, torch.tensor(veto))
        optimizer.zero_grad()
        state = [value.clone() for kept in optimizer.state.values() for value in kept.values()]
        snapshots.append([layer.weight.detach().clone(), layer.bias.detach().clone(), *state])
    first, second, third = snapshots
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert not any(torch.equal(one, other) for one, other in zip(second, third, strict=True))


def test_skipping_on_the_device_and_on_the_host_give_the_same_run(
    tone_folder: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = []
    for name, heeds in (("device", True), ("host", False)):
        run = set_up(
            make_config(tone_folder, checkpoint, tmp_path / name, ema_decay=0.9, learning_rate=3e-3)
        )
        looks: list[int] = []
        resolve = run.nan_guard.resolve
        monkeypatch.setattr(run.nan_guard, "resolve", lambda r=resolve, n=looks: n.append(1) or r())
        if not heeds:
            monkeypatch.setattr(loop, "supports_found_inf", lambda _: False)
        _poison(run, {3, 4, 7}, monkeypatch)
        train(run)
        assert run.state.skipped_steps == 3
        assert (len(looks) < run.state.step) == heeds
        ends.append([*run.model.state_dict().values(), *run.ema.module.state_dict().values()])
    assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))


def test_the_fp16_scaler_skips_a_step_that_is_not_finite(
    tone_folder: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = set_up(make_config(tone_folder, checkpoint, tmp_path / "run"))
    scaler = torch.amp.GradScaler("cpu")  # type: ignore[attr-defined]
    run.optimizer = AcceleratedOptimizer(run.optimizer.optimizer, scaler=scaler)  # type: ignore[attr-defined]
    monkeypatch.setattr(run.accelerator, "scaler", scaler)
    monkeypatch.setattr(run.accelerator, "_optimizers", [run.optimizer])
    _poison(run, {3}, monkeypatch)
    train(run)
    assert run.state.skipped_steps == 1
    assert scaler.get_scale() == 2.0**15  # halved once, by the step that was not finite
    assert all(torch.isfinite(weight).all() for weight in run.model.parameters())


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(),
              RuntimeError("DefaultCPUAllocator: not enough memory: you tried"),
              RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
              RuntimeError("Caught _ArrayMemoryError in a worker: Unable to allocate 3. GiB")]
)  # fmt: skip
def test_out_of_memory_gives_advice_on_three_settings(error: Exception) -> None:
    with (
        pytest.raises(TrainingError, match=r"--batch-size 4.*--max-seconds.*--mixed-precision"),
        explain_memory(8, 30.0),
    ):
        raise error


def test_out_of_memory_in_a_feature_extractor_is_recognised_by_its_cause() -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    features = BatchFeature({"input_values": [[0.0]]})  # type: ignore[no-untyped-call]
    features._get_is_as_tensor_fns = lambda _: (lambda _: False, fail)  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match="Out of memory with 8 clips"), explain_memory(8, 30.0):
        features.convert_to_tensors("pt")  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("kind", [RuntimeError, ValueError])
def test_other_errors_pass_through(kind: type[Exception]) -> None:
    with pytest.raises(kind, match="shapes"), explain_memory(8, 30.0):
        raise kind("shapes do not match")


# --- the moving average ---


def test_a_checkpoint_restores_the_average(
    tone_folder: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"epochs": 2, "ema_decay": 0.9, "learning_rate": 3e-3}
    whole = set_up(make_config(tone_folder, checkpoint, tmp_path / "whole", **changes))
    train(whole)
    cut = set_up(make_config(tone_folder, checkpoint, tmp_path / "cut", **changes))
    _signal_after(cut, 9, signal.SIGTERM, monkeypatch)
    with pytest.raises(Paused):
        train(cut)
    resumed = set_up(
        make_config(tone_folder, checkpoint, tmp_path / "cut", resume="auto", **changes)
    )
    train(resumed)
    own, other = whole.ema.module.state_dict(), resumed.ema.module.state_dict()
    assert all(torch.equal(own[name], other[name]) for name in own)
    live = whole.model.state_dict()
    assert any(not torch.equal(own[name], live[name]) for name in own)
