"""Epoch table: one aligned line per evaluation during training, at most 80 columns wide.

Lines are written one at a time, so that the widths of the columns are fixed before the first one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audio_cls.text_table import GAP, TERMINAL_WIDTH, shorten

BEST_MARK = "*"
FIRST_EXTRAS = ("f1_macro", "accuracy", "balanced_accuracy")  # shown after the chosen metric
Row = Mapping[str, float | None]  # of summary.csv


@dataclass(frozen=True)
class Column:
    """One column: its title, its width, and how a value is written."""

    key: str  # of the row
    title: str
    form: str
    min_width: int = 0

    @property
    def width(self) -> int:
        """Return the number of characters."""
        return max(len(self.title), self.min_width)

    def write(self, row: Row) -> str:
        """Return the aligned value."""
        value = row.get(self.key)
        return ("-" if value is None else format(value, self.form)).rjust(self.width)


class EpochTable:
    """Header and lines of the evaluations of a run."""

    def __init__(
        self,
        metric: str,
        metrics: Sequence[str],
        num_steps: int,
        steps_per_epoch: int,
        *,
        is_kept: bool = True,
        is_validated: bool = True,
    ) -> None:
        """Choose the columns.

        Args:
            metric: The metric that chooses the best epoch.
            metrics: All metrics of an evaluation.
            num_steps: Steps of the run.
            steps_per_epoch: Steps of an epoch.
            is_kept: summary.csv stays after the run, as it does except after a dry run.
            is_validated: There are validation clips; without, a line has neither loss nor metrics
                of them.
        """
        self.is_kept = is_kept
        self.is_validated = is_validated
        self.metric = metric
        self.epochs = _write_epoch(num_steps / steps_per_epoch)
        self.epoch_width = max(len("epoch"), 2 * len(self.epochs) + 1)
        first = [
            Column("step", "step", ".0f", len(str(num_steps))),
            Column("train_loss", "train loss", ".4f"),
            *([Column("validation_loss", "val loss", ".4f")] if is_validated else []),
        ]
        last = [
            Column("learning_rate", "lr", ".2e", 8),
            Column("clips_per_second", "clips/s", ".1f"),
        ]
        widths = [self.epoch_width, *(one.width for one in first + last), len(BEST_MARK)]
        space = TERMINAL_WIDTH - sum(widths) - len(GAP) * (len(widths) - 1)
        chosen = _choose_metric_columns(metric, metrics, space) if is_validated else []
        self.columns = [*first, *chosen, *last]

    def format_header(self) -> str:
        """Return the explanation of the mark, and the line of titles."""
        titles = [one.title.rjust(one.width) for one in self.columns]
        line = GAP.join(["epoch".rjust(self.epoch_width), *titles])
        note = f"{BEST_MARK} = best validation {shorten(self.metric, 20)} (tie: lower loss)."
        if not self.is_validated:
            note = "No validation clips: the last epoch is kept."
        return f"{note}{' All: summary.csv' if self.is_kept else ''}\n{line}"

    def format_row(self, row: Row, *, is_best: bool) -> str:
        """Return the line of an evaluation."""
        epoch = f"{_write_epoch(row['epoch'] or 0.0)}/{self.epochs}".rjust(self.epoch_width)
        line = GAP.join([epoch, *(one.write(row) for one in self.columns)])
        return f"{line}{GAP}{BEST_MARK}" if is_best else line


def _choose_metric_columns(metric: str, metrics: Sequence[str], space: int) -> list[Column]:
    """Return the columns of the chosen metric and of others, as many as there is space for.

    The metrics `loss` and `log_loss` are the validation loss, a column that the table has anyway.
    """
    is_shown = metric in ("loss", "log_loss")
    columns = [] if is_shown else [_make_metric_column(metric, space - len(GAP))]
    for name in FIRST_EXTRAS:
        space_left = space - sum(one.width + len(GAP) for one in columns)
        if name != metric and name in metrics and len(GAP) + len(name) <= space_left:
            columns.append(_make_metric_column(name, len(name)))
    return columns


def _make_metric_column(name: str, max_width: int) -> Column:
    """Return the column of a metric, with its name shortened to a width."""
    return Column(name, shorten(name, max_width), ".4f", len("0.0000"))


def _write_epoch(epoch: float) -> str:
    """Write a number of epochs: whole if it is, else with two decimals.

    >>> _write_epoch(3.0), _write_epoch(0.4286)
    ('3', '0.43')
    """
    return f"{epoch:.0f}" if epoch == int(epoch) else f"{epoch:.2f}"
