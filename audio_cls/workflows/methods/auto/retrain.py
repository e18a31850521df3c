"""Training of the kept candidate again, on all clips: `--refit`, or where clips were held out.

Each part of it is made again: the probe with the same layer and C, the fine-tuning from there with
the same settings, schedule and number of steps, and of both the same mean of weights.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from audio_cls.config import RunConfig
from audio_cls.distributed.processes import is_main_process, wait_for_processes
from audio_cls.errors import Paused, count_of
from audio_cls.events import emit_event
from audio_cls.models.finetuning.weight_average import average_weights, interpolate_weights
from audio_cls.runs.json_record import Table
from audio_cls.runs.results import Timing
from audio_cls.runs.resume import describe_resume
from audio_cls.storage.files import write_whole
from audio_cls.training.start.inputs import MethodInputs
from audio_cls.workflows.methods.auto.candidate import epoch_folder, train_candidate
from audio_cls.workflows.methods.auto.halving import CANDIDATES
from audio_cls.workflows.methods.auto.outcome import Outcome, load_scorer
from audio_cls.workflows.methods.auto.plan import make_candidate_config
from audio_cls.workflows.methods.fitted_model import FittedModel

REFIT = "refit"  # folder of the fine-tuning in RUN/candidates
# And of the probe and of the model that fine-tuning starts from, fitted on all clips.
REFIT_PROBE, REFIT_START = "probe-refit", "start-refit"

logger = logging.getLogger(__name__)


def refit_kept(
    shared: MethodInputs,
    chosen: Outcome,
    settings: Mapping[str, Any],
    num_steps: int,
    fitted: FittedModel,
) -> FittedModel:
    """Make the kept candidate again, and write it into the run folder. Call on every process.

    Args:
        shared: What the candidates share, with all clips in training and none in validation.
        chosen: The candidate.
        settings: Of the fine-tuning that it has weights of, see `list_cases`.
        num_steps: Length of the learning-rate schedule of the fine-tuning.
        fitted: The candidate as it was chosen.

    Raises:
        Paused: A signal requested it; the state is saved.
        TrainingError: See `audio_cls.training.loop.train`.
    """
    count, base = len(shared.clips.train), shared.folder.path / CANDIDATES
    metrics: Table = {"num_examples": count}
    first = base / (REFIT_START if chosen.steps else REFIT_PROBE)
    scorer = load_scorer(shared, first)
    state: Mapping[str, Tensor] = scorer.audio_model.read_state(first)
    seconds = 0.0
    if chosen.steps:
        metrics["step"] = max(chosen.steps)
        cfg = make_candidate_config(
            *(shared.cfg, settings, str(first), str(base / REFIT)),
            num_steps=num_steps,
        )
        seconds = _fine_tune(cfg, shared, chosen.steps)
        folders = [epoch_folder(base / REFIT, step) for step in chosen.steps]
        tuned = average_weights(scorer.audio_model.read_state(one) for one in folders)
        state = interpolate_weights(state, tuned, chosen.share)
    scorer.audio_model.model.load_state_dict(state)
    if is_main_process():
        write_whole(shared.folder.path, scorer.audio_model.save)
    wait_for_processes()
    shared.audio_model.model = scorer.audio_model.model

    def describe_timing(test_seconds: float) -> Timing:
        timing = fitted.describe_timing(test_seconds)
        total = round((timing.train_seconds or 0.0) + seconds, 2)
        return dataclasses.replace(timing, train_seconds=total)

    return dataclasses.replace(
        fitted,
        model=scorer.prepared,
        scorer=scorer.scorer,
        describe_timing=describe_timing,
        refit=None,
        refit_metrics=metrics,
    )


def _fine_tune(cfg: RunConfig, shared: MethodInputs, steps: list[int]) -> float:
    """Train up to the last of some steps, keep the models after each; return the seconds."""
    train = dataclasses.replace(cfg.train, early_stopping_patience=None, report_to=())
    cfg = dataclasses.replace(cfg, train=train)
    count, seconds = len(shared.clips.train), 0.0
    if is_main_process():
        emit_event(shared.cfg.train.log, "refit", num_clips=count, steps=max(steps))
    title = f"--- refit on {count_of(count, 'clip')}, for {count_of(max(steps), 'step')} ---"
    try:
        for step in sorted(steps):
            progress = train_candidate(cfg, shared, step, title=title, keep_steps=steps)
            seconds = progress.seconds
    except Paused as error:
        raise Paused(
            "Stopped by a signal; the state is saved."
            f"\n{describe_resume(shared.cfg, Path(shared.folder.path))}"
        ) from error
    return seconds
