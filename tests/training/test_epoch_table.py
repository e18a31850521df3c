"""Epoch table: aligned, within 80 columns, with the best marked."""

from __future__ import annotations

import pytest

from audio_cls.config.metrics import METRIC_SPECS
from audio_cls.training.epoch_table import EpochTable

ROW: dict[str, float | None] = {
    "epoch": 3.0, "step": 120, "train_loss": 0.98765, "validation_loss": 1.25, "accuracy": 0.5,
    "balanced_accuracy": 0.25, "f1_macro": 0.125, "learning_rate": 3.95e-3, "grad_norm": None,
    "clips_per_second": 267.91, "seconds": 9.0,
}  # fmt: skip


def test_lines_are_aligned_and_the_best_is_marked() -> None:
    table = EpochTable("accuracy", list(ROW), 400, 40)
    note, header = table.format_header().split("\n")
    best, other = (table.format_row(ROW, is_best=is_best) for is_best in (True, False))
    assert "accuracy" in note and "summary.csv" in note
    dry = EpochTable("accuracy", list(ROW), 400, 40, is_kept=False).format_header()
    assert "summary.csv" not in dry
    assert header == "epoch  step  train loss  val loss  accuracy  f1_macro        lr  clips/s"
    assert other == " 3/10   120      0.9877    1.2500    0.5000    0.1250  3.95e-03    267.9"
    assert best == f"{other}  *"


@pytest.mark.parametrize("metric", ["loss", "log_loss"])
def test_the_metric_loss_is_the_column_of_the_validation_loss(metric: str) -> None:
    table = EpochTable(metric, list(ROW), 400, 40)
    note, header = table.format_header().split("\n")
    assert note.startswith(f"* = best validation {metric} (tie: lower loss).")
    assert header.split() == [
        *("epoch", "step", "train", "loss", "val", "loss"),
        *("f1_macro", "accuracy", "lr", "clips/s"),
    ]
    assert table.format_row(ROW, is_best=False).split() == [
        *("3/10", "120", "0.9877", "1.2500", "0.1250", "0.5000", "3.95e-03", "267.9")
    ]


@pytest.mark.parametrize("metric", [*METRIC_SPECS, "a_metric_of_the_user_with_a_very_long_name"])
@pytest.mark.parametrize(("steps", "steps_per_epoch"), [(400, 40), (1_234_567, 4321), (5, 40)])
def test_every_line_fits_80_columns(metric: str, steps: int, steps_per_epoch: int) -> None:
    key = "validation_loss" if metric in ("loss", "log_loss") else metric
    row = {**ROW, key: 0.75, "epoch": steps / steps_per_epoch, "step": steps}
    table = EpochTable(metric, list(row), steps, steps_per_epoch)
    lines = [*table.format_header().split("\n"), table.format_row(row, is_best=True)]
    assert len(lines) == 3
    assert max(map(len, lines)) <= 80
    assert "0.7500" in lines[2]
