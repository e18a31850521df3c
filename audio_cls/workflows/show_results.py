"""Show the result of a command: closing lines, one line with `--log quiet`, events with json.

Closing lines go to standard error with the other messages; the line of `--log quiet` and the events
go to standard output. Call on the main process only, if not stated otherwise.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from audio_cls.config import TrainConfig
from audio_cls.distributed.processes import is_main_process
from audio_cls.events import emit_event
from audio_cls.runs.results import RESULTS_FILE, RunResults, read_results
from audio_cls.workflows.dry_run import Estimate
from audio_cls.workflows.summary import (
    describe_result,
    make_test_event,
    summarize_scores,
    summarize_training,
)
from audio_cls.workflows.summary_evaluation import summarize_evaluation
from audio_cls.workflows.summary_runs import describe_mean, summarize_runs, summarize_sweep

logger = logging.getLogger(__name__)


def show_training(folder: Path, cfg: TrainConfig, *, is_single: bool = True) -> None:
    """Show the result of a finished run, from its folder; nothing of a dry run.

    Args:
        folder: The run folder.
        cfg: Its settings of training, with `log` and `dry_run`.
        is_single: False for one of several runs, whose folders and commands are shown at the end.
    """
    if cfg.dry_run:
        return
    results = read_results(folder / RESULTS_FILE)
    block = summarize_training(results, folder) if is_single else summarize_scores(results)
    show_lines(cfg.log, describe_result(results, folder), block)
    emit_event(cfg.log, "test", **make_test_event(results, folder))


def show_finished(folder: Path, cfg: TrainConfig) -> None:
    """Show the result of a run that was finished before, as at its end; not with `text`.

    There, the message that the run is finished has its result.
    """
    if cfg.log != "text":
        show_training(folder, cfg)
        emit_end(folder, cfg, None)


def emit_end(folder: Path, cfg: TrainConfig, address: str | None) -> None:
    """Emit the event `end` of a run that is finished and, if asked for, published.

    Args:
        folder: The run folder.
        cfg: Its settings of training.
        address: Of the repository or pull request; None if nothing was published.
    """
    if not cfg.dry_run:
        emit_event(cfg.log, "end", output_dir=str(folder), published=address)


def show_evaluation(results: RunResults, folder: Path, log: str) -> None:
    """Show the result of an evaluation; with json, the events `test` and `end`."""
    show_lines(log, describe_result(results, folder), summarize_evaluation(results, folder))
    emit_event(log, "test", **make_test_event(results, folder))
    emit_event(log, "end", output_dir=str(folder))


def show_runs(found: Mapping[str, Any], folders: Sequence[Path], log: str) -> None:
    """Show the results of several runs of one command, and emit the last event, `end`.

    Args:
        found: What `report_runs` returned.
        folders: The run folders, all in the folder that has `found` as its results.json.
        log: Value of `--log`.
    """
    base = folders[0].parent
    if "cases" in found:
        block = summarize_sweep(found, base)
    else:
        block = summarize_runs(found, _read_all(folders), base)
    show_lines(log, describe_mean(found, base), block)
    emit_event(log, "end", output_dir=str(base), **found)


def show_aggregate(
    found: Mapping[str, Any], folders: Sequence[Path], output: Path, log: str
) -> None:
    """Show the mean of finished runs that were named, and emit the event `end`.

    Args:
        found: What `write_aggregate` returned.
        folders: The run folders.
        output: The folder of the result.
        log: Value of `--log`.
    """
    block = summarize_runs(found, _read_all(folders), output, is_trained=False)
    show_lines(log, describe_mean(found, output), block)
    emit_event(log, "end", output_dir=str(output), **found)


def _read_all(folders: Sequence[Path]) -> dict[Path, RunResults]:
    """Return the results of each run."""
    return {folder: read_results(folder / RESULTS_FILE) for folder in folders}


def show_estimate(
    estimate: Estimate, log: str, show: Callable[[object], None] | None = None
) -> None:
    """Show the estimate of a dry run: by a function, or with json as the event `estimate`.

    Call on every process.

    Args:
        estimate: The estimate.
        log: Value of `--log`.
        show: Writes it as text; None: nothing is written.
    """
    if log == "json" and is_main_process():
        emit_event(log, "estimate", **dataclasses.asdict(estimate))
    elif log != "json" and show is not None:
        show(estimate)


def show_lines(log: str, line: str, block: Sequence[str]) -> None:
    """Show one line with `quiet`, the block with `text`, nothing with `json`."""
    if log == "quiet":
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    elif log == "text":
        for text in ("", *block):
            logger.info("%s", text)
