"""Training loop: losses of transformers' Trainer, learning, exact resume, callbacks."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from tiny_models import write_tiny_checkpoint
from tiny_runs import THREE_CONVOLUTIONS, make_config, prepare, set_up, write_quiet_checkpoint
from torch import Tensor, nn
from torch.utils.data import Dataset, SequentialSampler
from transformers import Trainer, TrainerCallback, TrainingArguments

from audio_cls.data.loading.datasets import TrainingDataset
from audio_cls.data.loading.sampler import DistributedBatchSampler, StepShape
from audio_cls.training.loop import TrainingRun, train, training_step
from audio_cls.training.stopping import StopRequest

NUM_STEPS = 14  # the first epoch has 12


class InOurOrder(Dataset[dict[str, Tensor]]):
    """The crops of the first epochs in our order, encoded one by one."""

    def __init__(self, run: TrainingRun, num_epochs: int) -> None:
        self.pieces = run.loader.dataset
        self.keys = []
        for epoch in range(num_epochs):
            order = DistributedBatchSampler(
                run.sampler.num_clips, StepShape(1, 1, 1), rank=0, seed=run.sampler.seed
            )
            order.set_epoch(epoch)
            self.keys += [batch[0] for batch in order]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> dict[str, Any]:
        wave, label, *_ = self.pieces[self.keys[index]]
        return {"wave": wave, "label": label}


class Recorder(TrainerCallback):  # type: ignore[misc] # untyped upstream
    """Keeps every logged loss."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any, **_: Any) -> None:  # noqa: ANN401
        """Note the loss of the step."""
        if "loss" in logs:
            self.losses.append(logs["loss"])


class OrderedTrainer(Trainer):  # type: ignore[misc] # untyped upstream
    """The Trainer, without shuffling and with the unrounded loss in its log."""

    def _get_train_sampler(self, dataset: Any = None) -> SequentialSampler:  # noqa: ANN401
        return SequentialSampler(dataset)


@pytest.mark.parametrize(
    ("accumulation", "scheduler", "smoothing", "decay"),
    [(1, "linear", 0.0, 0.0), (2, "cosine", 0.1, 0.3)],
)
def test_losses_of_each_step_are_those_of_transformers_trainer(
    tone_folder: Path,
    tmp_path: Path,
    accumulation: int,
    scheduler: str,
    smoothing: float,
    decay: float,
) -> None:
    checkpoint = write_quiet_checkpoint(tmp_path / "checkpoint")
    cfg = make_config(
        tone_folder,
        checkpoint,
        tmp_path / "run",
        max_steps=NUM_STEPS,
        gradient_accumulation_steps=accumulation,
        scheduler=scheduler,
        label_smoothing=smoothing,
        max_grad_norm=0.5,
        weight_decay=decay,
    )
    run = set_up(cfg)
    start = {name: value.clone() for name, value in run.model.state_dict().items()}
    epochs = -(-NUM_STEPS // run.sampler.steps_per_epoch)
    rows = InOurOrder(run, epochs)
    ours = [float(loss) for loss in _iterate_losses(run)]

    _, audio_model = prepare(cfg)
    audio_model.model.load_state_dict(start)
    recorder = Recorder()
    trainer = OrderedTrainer(
        model=audio_model.model,
        args=TrainingArguments(
            output_dir=str(tmp_path / "trainer"),
            max_steps=NUM_STEPS,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=accumulation,
            learning_rate=1e-3,
            warmup_steps=0.1,
            lr_scheduler_type=scheduler,
            label_smoothing_factor=smoothing,
            max_grad_norm=0.5,
            weight_decay=decay,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            remove_unused_columns=False,
            disable_tqdm=True,
            dataloader_pin_memory=False,
        ),
        train_dataset=rows,
        data_collator=lambda batch: {
            **audio_model.processor([row["wave"] for row in batch]),
            "labels": torch.tensor([row["label"] for row in batch]),
        },
        callbacks=[recorder],
    )
    trainer.train()
    theirs = recorder.losses
    assert len(ours) == len(theirs) == NUM_STEPS
    assert ours[0] != ours[-1]
    for step, (own, other) in enumerate(zip(ours, theirs, strict=True)):
        assert own == pytest.approx(other, rel=1e-5), f"step {step}"


def _iterate_losses(run: TrainingRun) -> Iterator[Tensor]:
    """Do all steps of a run and yield the loss of each."""
    for epoch in itertools.count():
        run.sampler.set_epoch(epoch)
        for batches in run.sampler.group_steps(run.loader):
            yield training_step(run, batches)
            run.state.step += 1
            if run.state.step == run.num_steps:
                return


def test_a_tiny_model_learns_the_frequencies(tone_folder: Path, tmp_path: Path) -> None:
    checkpoint = write_quiet_checkpoint(tmp_path / "checkpoint")
    cfg = make_config(tone_folder, checkpoint, tmp_path / "run", epochs=8, learning_rate=3e-3)
    run = set_up(cfg)
    train(run)
    rows = list(csv.DictReader((tmp_path / "run" / "summary.csv").open()))
    assert [float(row["epoch"]) for row in rows] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert float(rows[-1]["train_loss"]) < 0.5 * float(rows[0]["train_loss"])
    assert run.state.best is not None
    assert run.state.best.value == 1.0


class Cut(Exception):
    """Simulates a kill."""


CHANGES: dict[str, Any] = {"epochs": 2, "save_every_steps": 3, "max_seconds": 0.3}


@pytest.fixture(scope="module")
def varied(tone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainingRun]:
    """Return a checkpoint with dropout and its run with random crops, which nothing stopped."""
    folder = tmp_path_factory.mktemp("varied")
    checkpoint = write_tiny_checkpoint("hubert", folder / "checkpoint", **THREE_CONVOLUTIONS)
    run = set_up(make_config(tone_folder, checkpoint, folder / "whole", **CHANGES))
    train(run)
    return checkpoint, run


@pytest.mark.parametrize("cut_at", [5, 17])  # in the first and in the second epoch of 12 steps
def test_a_resumed_run_equals_one_without_a_stop_bit_for_bit(
    tone_folder: Path,
    varied: tuple[Path, TrainingRun],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cut_at: int,
) -> None:
    # With dropout and random crops: their random states must come back as well.
    checkpoint, whole = varied
    cut = set_up(make_config(tone_folder, checkpoint, tmp_path / "cut", **CHANGES))
    after_step = cut.progress.after_step

    def stop(step: int, loss: Tensor) -> None:
        after_step(step, loss)
        if step == cut_at:
            raise Cut

    monkeypatch.setattr(cut.progress, "after_step", stop)
    with pytest.raises(Cut):
        train(cut)
    resumed = set_up(
        make_config(tone_folder, checkpoint, tmp_path / "cut", resume="auto", **CHANGES)
    )
    assert resumed.state.step == cut_at - cut_at % 3
    train(resumed)
    _assert_equal(whole.model, resumed.model)
    assert whole.state == resumed.state
    steps = [row["step"] for row in csv.DictReader((tmp_path / "cut" / "summary.csv").open())]
    assert steps == [str(whole.num_steps // 2), str(whole.num_steps)]


def _assert_equal(one: nn.Module, other: nn.Module) -> None:
    """Compare all weights exactly."""
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    for (name, left), (_, right) in pairs:
        assert torch.equal(left, right), name


def _list_epochs(folder: Path) -> list[float]:
    """Return the epochs of summary.csv."""
    with (folder / "summary.csv").open(newline="", encoding="utf-8") as rows:
        return [float(row["epoch"]) for row in csv.DictReader(rows)]


def test_every_second_epoch_and_the_last_are_evaluated_also_after_a_resume(
    tone_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = write_quiet_checkpoint(tmp_path / "checkpoint")
    values: dict[str, Any] = {
        "epochs": 5, "eval_every": 2, "max_seconds": 0.3, "max_train_samples": 16,
    }  # fmt: skip
    whole = set_up(make_config(tone_folder, checkpoint, tmp_path / "whole", **values))
    train(whole)
    assert _list_epochs(tmp_path / "whole") == [2, 4, 5]

    cut = set_up(make_config(tone_folder, checkpoint, tmp_path / "cut", **values))
    after_checkpoint = mock.Mock(side_effect=[None, None, Cut])  # after the third epoch
    monkeypatch.setattr(cut.callbacks, "after_checkpoint", after_checkpoint, raising=False)
    with pytest.raises(Cut):
        train(cut)
    assert _list_epochs(tmp_path / "cut") == [2]
    resumed = set_up(
        make_config(tone_folder, checkpoint, tmp_path / "cut", resume="auto", **values)
    )
    assert resumed.state.step == 3 * whole.sampler.steps_per_epoch
    train(resumed)
    _assert_equal(whole.model, resumed.model)
    assert _list_epochs(tmp_path / "cut") == [2, 4, 5]


def test_a_training_that_ends_by_its_time_limit_is_evaluated_where_it_ends(
    tone_folder: Path, tmp_path: Path
) -> None:
    checkpoint = write_quiet_checkpoint(tmp_path / "checkpoint")
    values: dict[str, Any] = {
        "epochs": 5, "eval_every": 4, "max_seconds": 0.3, "max_train_samples": 16,
    }  # fmt: skip
    run = set_up(make_config(tone_folder, checkpoint, tmp_path / "run", **values))
    end = run.sampler.steps_per_epoch
    poll = run.stop_controller.poll

    def finish(step: int, *args: Any, is_due: bool = False) -> StopRequest:  # noqa: ANN401
        """Ask for the end after the first epoch, which `--eval-every` does not evaluate."""
        found = poll(step, *args, is_due=is_due)
        return StopRequest.FINISH if is_due and step == end else found

    with mock.patch.object(run.stop_controller, "poll", finish):
        train(run)
    assert _list_epochs(tmp_path / "run") == [1]
    assert run.state.best is not None


def test_random_crops_do_not_depend_on_the_number_of_workers(
    tone_folder: Path, tmp_path: Path
) -> None:
    checkpoint = write_quiet_checkpoint(tmp_path / "checkpoint")
    batches = []
    for workers in (0, 2):
        cfg = make_config(
            tone_folder,
            checkpoint,
            tmp_path / f"run{workers}",
            num_workers=workers,
            max_seconds=0.2,
        )
        run = set_up(cfg)
        assert isinstance(run.loader.dataset, TrainingDataset)
        batches.append([batch.inputs["input_values"] for part in run.loader for batch in part])
    assert len(batches[0]) > 3
    for own, other in zip(*batches, strict=True):
        assert torch.equal(own, other)


def test_callbacks_are_called_after_each_best_model_and_each_checkpoint(
    tone_folder: Path, tmp_path: Path
) -> None:
    callbacks = mock.Mock()
    model = write_quiet_checkpoint(tmp_path / "m")
    cfg = make_config(tone_folder, model, tmp_path / "run", epochs=3, save_every_steps=10)
    run = set_up(cfg, callbacks)
    accuracies = iter([0.5, 0.9, 0.7])
    run.validate = lambda _: {"accuracy": next(accuracies), "loss": 1.0}
    train(run)
    # 12 steps per epoch: checkpoints after steps 10, 12, 20, 24, 30 and 36, a best at 12 and 24.
    assert [name for name, *_ in callbacks.method_calls] == [
        "after_checkpoint",
        *("after_best", "after_checkpoint"),
        "after_checkpoint",
        *("after_best", "after_checkpoint"),
        *("after_checkpoint", "after_checkpoint"),
    ]
