"""Dry run: a few training steps, and from their times the estimate of the full run.

It is an ordinary run with capped settings, in a folder next to the run folder (so on the same disk)
that is removed afterwards. Its clips are chosen before anything is decoded.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audio_cls.config import RunConfig
from audio_cls.config.training import DEFAULT_BATCH_SIZE
from audio_cls.distributed.processes import is_main_process, wait_for_processes
from audio_cls.errors import RunFolderError
from audio_cls.progress import describe_seconds
from audio_cls.runs.config_file import SETTINGS_FILE
from audio_cls.runs.folder import choose_run_path
from audio_cls.runs.open_folder import check_run_folder
from audio_cls.runs.results import RESULTS_FILE, RunResults, read_results
from audio_cls.storage.cache import measure_path

logger = logging.getLogger(__name__)

STEPS = 3  # the first, slower one counts: the estimate is rather too long than too short
MIN_CLIPS = 32  # training clips
AUTO_FACTOR = 1.5  # longest time of --method auto, in times of one fine-tuning
# As much disk as that many take the candidates of --method auto: two each, and models of epochs.
AUTO_CHECKPOINTS = 10
EVAL_CLIPS = 16  # clips of validation and of test, or a batch if that is more


@contextmanager
def start_dry_run(cfg: RunConfig) -> Iterator[RunConfig]:
    """Yield the settings of the dry run; its folder is removed at the end. Call on every process.

    A folder that holds a run is no obstacle, since the dry run does not write there: it is logged,
    because the full run will be refused.

    Args:
        cfg: The settings of the full run.

    Raises:
        RunFolderError: The run folder of the full run cannot be used for any run.
    """
    path = choose_run_path(cfg)
    if is_main_process():
        try:
            check_run_folder(path, cfg)
        except RunFolderError as error:
            if not (path / SETTINGS_FILE).is_file():
                raise
            logger.warning("Without --dry-run this command will be refused: %s", error)
    folder = path.absolute().with_name(f".{path.name}.dry-run")
    most_eval = max(EVAL_CLIPS, cfg.eval.eval_batch_size)
    most_train = max(MIN_CLIPS, STEPS * _count_step(cfg))
    data = dataclasses.replace(
        cfg.data,
        max_train_samples=None  # of a stream only the clips of the steps are read
        if cfg.data.streaming
        else min(cfg.data.max_train_samples or most_train, most_train),
        max_eval_samples=min(cfg.data.max_eval_samples or most_eval, most_eval),
        max_bad_audio_ratio=1.0,  # one clip may be a tenth of them
    )
    train = dataclasses.replace(
        cfg.train,
        output_dir=str(folder),
        resume="never",
        overwrite=True,
        report_to=(),
        refit=False,  # which trains as often again, see `_estimate_steps`
    )
    if cfg.train.method == "auto":  # the trial is one fine-tuning
        train = dataclasses.replace(train, method="fine-tune")
    if train.method == "fine-tune":
        train = dataclasses.replace(
            train,
            max_steps=min(cfg.train.max_steps or STEPS, STEPS),
            keep_checkpoints=max(1, cfg.train.keep_checkpoints),  # one is measured
        )
    hub = dataclasses.replace(cfg.hub, hub_strategy="end")
    try:
        yield dataclasses.replace(cfg, data=data, train=train, hub=hub)
    finally:
        if is_main_process():
            shutil.rmtree(folder, ignore_errors=True)
            _remove_empty(path)


def _count_step(cfg: RunConfig) -> int:
    """Return the clips of a step; of one process, if it depends on the number of processes."""
    train = cfg.train
    if train.effective_batch_size is not None:
        return train.effective_batch_size
    batch = DEFAULT_BATCH_SIZE if train.batch_size == "auto" else train.batch_size
    return batch * train.gradient_accumulation_steps


def _remove_empty(path: Path) -> None:
    """Remove the default `runs` folder if only the dry run was in it."""
    parent = path.absolute().parent
    if parent.name == "runs" and parent.is_dir() and not any(parent.iterdir()):
        parent.rmdir()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """Estimated time, memory and disk of the full run."""

    steps: int = 0
    step_seconds: float = 0.0
    evaluations: int = 0
    evaluation_seconds: float  # of validation, once
    windows: int = 0  # of a linear probe, whose layer outputs are computed and compared
    window_seconds: float = 0.0
    seconds: float  # total of one run
    runs: int  # number of runs
    memory_mb: int  # peak of the dry run, on the main process
    disk_mb: float  # in the run folder
    cache_mb: float  # decoded waveforms in the cache of `datasets`

    def __str__(self) -> str:
        """Return one line per number."""
        times = f" x {self.runs} runs" if self.runs > 1 else ""
        work = [
            f"  steps        {self.steps} of {self.step_seconds:.3g} s",
            f"  evaluations  {self.evaluations} of {self.evaluation_seconds:.3g} s",
        ]
        if self.windows:
            work = [f"  layers       of {self.windows} windows, {self.window_seconds:.3g} s each"]
        return "\n".join(
            [
                "Dry run: everything works.",
                *work,
                f"  total        about {describe_seconds(self.seconds)}{times}",
                f"  memory       {self.memory_mb} MB at most in the dry run",
                f"  disk         {self.disk_mb:.0f} MB in the run folder{times},"
                f" {self.cache_mb:.0f} MB of decoded sound in the cache",
            ]
        )


def estimate_run(runs: Sequence[RunConfig], folder: Path) -> Estimate:
    """Estimate the full runs from the results of a dry run. Call on every process.

    Args:
        runs: The settings of the full runs, the first of which is that of the dry run.
        folder: Run folder of the dry run.

    Raises:
        RunFolderError: The disk is too small.
    """
    wait_for_processes()
    found = read_results(folder / RESULTS_FILE)
    cfg, split = runs[0], found.dataset.split
    limits = {"train": cfg.data.max_train_samples}
    num_used = {role: part.require("num_examples")[0] for role, part in split.items()}
    clips = {
        role: min(
            *part.require("num_available"), limits.get(role, cfg.data.max_eval_samples) or math.inf
        )
        for role, part in split.items()
    }
    prepare_seconds, memory_mb = found.timing.require("prepare_seconds", "peak_memory_mb")
    decoding, sampling_rate = found.dataset.require("decode_seconds", "sampling_rate")
    decoded = {role: part.seconds for role, part in split.items() if part.seconds is not None}
    share = sum(clips[role] for role in decoded) / sum(num_used[role] for role in decoded)
    audio_seconds = sum(decoded.values()) * share
    count = _estimate_steps if found.probe is None else _estimate_windows
    work = count(cfg, found, clips, num_used)
    estimate = Estimate(
        **{**work, "seconds": prepare_seconds + decoding * (share - 1) + work["seconds"]},
        runs=len(runs),
        memory_mb=memory_mb,
        disk_mb=_measure_disk(folder, _count_checkpoints(cfg) + 2 * cfg.train.refit),
        cache_mb=audio_seconds * sampling_rate * 4 / 1e6,
    )
    free = shutil.disk_usage(folder).free / 1e6
    if free < estimate.disk_mb * len(runs):
        raise RunFolderError(
            f"The disk of '{choose_run_path(cfg)}' has {free:.0f} MB left, and the run needs about"
            f" {estimate.disk_mb * len(runs):.0f} MB. Free some space, choose another --output-dir"
            " or lower --keep-checkpoints."
        )
    return estimate


def _count_checkpoints(cfg: RunConfig) -> int:
    """Return how many checkpoints the run folder holds at most, besides two that come and go."""
    return AUTO_CHECKPOINTS if cfg.train.method == "auto" else max(1, cfg.train.keep_checkpoints)


def _estimate_steps(
    cfg: RunConfig, found: RunResults, clips: Mapping[str, float], num_used: Mapping[str, int]
) -> dict[str, Any]:
    """Return the fields of `Estimate` on steps and evaluations; `seconds` of all of them."""
    train_seconds, validation_seconds = found.timing.require("train_seconds", "validation_seconds")
    clips_per_step, steps_done, evaluations_done = found.timing.require(
        "clips_per_step", "steps", "evaluations"
    )
    per_epoch = math.ceil(clips["train"] / clips_per_step)
    steps = cfg.train.max_steps or cfg.train.epochs * per_epoch
    step_seconds = train_seconds / steps_done
    (evaluate_seconds,) = found.timing.require("evaluate_seconds")
    validated, evaluations, evaluation_seconds = clips.get("validation", 0), 0, 0.0
    if validated:
        clip_seconds = validation_seconds / evaluations_done / num_used["validation"]
        evaluation_seconds = clip_seconds * validated
        evaluations = math.ceil(steps / per_epoch / cfg.eval.eval_every)
    tested = [role for role in ("validation", "test") if clips.get(role)]
    if found.is_chosen_on_test:
        tested = ["test"]
    clip_seconds = (evaluate_seconds - validation_seconds) / sum(num_used[one] for one in tested)
    final_seconds = clip_seconds * sum(clips[one] for one in tested)
    is_auto = cfg.train.method == "auto"
    steps *= 2 if cfg.train.refit or (is_auto and not validated) else 1  # as long again at most
    factor = AUTO_FACTOR if is_auto else 1
    return {
        "steps": steps,
        "step_seconds": step_seconds,
        "evaluations": evaluations,
        "evaluation_seconds": evaluation_seconds,
        "seconds": factor
        * (steps * step_seconds + evaluations * evaluation_seconds + final_seconds),
    }


def _estimate_windows(
    _cfg: RunConfig, found: RunResults, clips: Mapping[str, float], num_used: Mapping[str, int]
) -> dict[str, Any]:
    """Return the fields of `Estimate` on the windows of a linear probe, and on its evaluations.

    The regressions count as if their time were proportional to the number of windows.
    """
    assert found.probe is not None
    (num_windows,) = found.probe.require("num_windows")
    train_seconds, evaluate_seconds = found.timing.require("train_seconds", "evaluate_seconds")
    fitted = [role for role in ("train", "validation") if role in clips]
    tested = [role for role in ("validation", "test") if role in clips]
    share = sum(clips[role] for role in fitted) / sum(num_used[role] for role in fitted)
    clip_seconds = evaluate_seconds / sum(num_used[role] for role in tested)
    return {
        "windows": round(num_windows * share),
        "window_seconds": train_seconds / num_windows,
        "evaluation_seconds": clip_seconds * clips.get("validation", 0),
        "seconds": train_seconds * share + clip_seconds * sum(clips[role] for role in tested),
    }


def _measure_disk(folder: Path, keep: int) -> float:
    """Return the MB of a run folder with its kept checkpoints, the best one and a partial one."""
    checkpoints = folder / "checkpoints"
    one = max(
        map(measure_path, checkpoints.glob("step-*")), default=0
    )  # each may have another best model
    return (measure_path(folder) - measure_path(checkpoints) + (keep + 2) * one) / 1e6
