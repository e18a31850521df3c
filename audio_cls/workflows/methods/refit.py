"""Refit: after validation has chosen the epoch, one training on training and validation clips.

The first training is an ordinary one, in RUN. The second begins again from the checkpoint, with the
same seed, settings and learning rates, and ends after the step that validation chose. It has no
validation clips; temperature and thresholds are those of the first model. Both trainings can be
interrupted and resumed::

    RUN/refit/
      plan.json             what is trained, so that a checkpoint of another plan is not resumed
      checkpoints/step-N/   state to resume from; removed when the run is finished
      model/                the model so far; moved to RUN when the training is finished
      summary.csv           one row per epoch: loss of training
"""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import shutil
from pathlib import Path

import numpy as np

from audio_cls.config import RunConfig
from audio_cls.data.clips.clips import Clips, merge_clips, select_clips
from audio_cls.data.prepare import PreparedClips
from audio_cls.data.splits.splits import Splits
from audio_cls.distributed.accelerator import restart_accelerator
from audio_cls.errors import SettingError, count_of
from audio_cls.evaluation.scorer import make_scorer
from audio_cls.evaluation.validate import make_validator
from audio_cls.events import emit_event
from audio_cls.models.feature_cache.precompute import precompute_frozen_features
from audio_cls.runs.folder import BEST_FOLDER, REFIT_FOLDER, REFIT_MODEL, RunFolder
from audio_cls.storage.files import link_files, write_json
from audio_cls.training.loop import TrainingRun, train
from audio_cls.training.setup import set_up_training
from audio_cls.training.sharding import restore_best
from audio_cls.training.start.inputs import MethodInputs
from audio_cls.training.timing import describe_timing
from audio_cls.workflows.methods.fitted_model import FittedModel

PLAN_FILE = "plan.json"

logger = logging.getLogger(__name__)


def check_refit(cfg: RunConfig, splits: Splits) -> None:
    """Check that a refit trains on no test clip.

    Raises:
        SettingError: Test and validation are the same clips.
    """
    if cfg.train.refit and splits.test_is_validation:
        raise SettingError(
            "--refit trains on the validation clips, which --test-split validation also tests on:"
            " leave one of them out."
        )


def refit_fine_tuned(
    given: MethodInputs, selection: TrainingRun, fitted: FittedModel
) -> FittedModel:
    """Train again on training and validation clips, for the steps that validation chose.

    The first model is moved to the CPU. Call on every process.

    Args:
        given: Settings, clips and model of the first training.
        selection: The first training, at its end.
        fitted: Its result.

    Raises:
        Paused: A signal requested it; the state is saved.
        TrainingError: See `audio_cls.training.loop.train`.
    """
    accelerator, cfg = selection.accelerator, _set_refit(selection)
    assert selection.state.best is not None
    stop_step = selection.state.best.step
    merged = merge_validation(given.clips)
    count = len(merged.train)
    folder = _open_folder(selection, stop_step, count)
    selection.progress.close()
    selection.optimizer.state.clear()
    selection.model.to("cpu")
    restart_accelerator(accelerator, cfg.train.seed)
    inputs = precompute_frozen_features(cfg, accelerator, given.load_model(), merged)
    scorer = make_scorer(inputs.audio_model, cfg, accelerator)
    validate = make_validator(scorer, inputs.validation, cfg.eval)
    run = set_up_training(cfg, accelerator, folder, inputs, validate)
    run.stop_after(stop_step)
    if accelerator.is_main_process:
        emit_event(cfg.train.log, "refit", num_clips=count, steps=stop_step)
        logger.info(
            "Refit on %s of training and validation together, for %s",
            *(count_of(count, "clip"), count_of(stop_step, "step")),
        )
    train(run)
    if accelerator.is_main_process:
        link_files(folder.checkpoints / f".{BEST_FOLDER}", folder.run_path)
    accelerator.wait_for_everyone()
    epochs = round(stop_step / run.sampler.steps_per_epoch, 4)
    return dataclasses.replace(
        fitted,
        model=restore_best(accelerator, inputs.audio_model, run.model, folder.run_path),
        scorer=scorer,
        validation=inputs.validation,
        test=inputs.test,
        describe_timing=functools.partial(describe_timing, selection, refit=run),
        refit=None,
        refit_metrics={"num_examples": count, "epoch": epochs, "step": stop_step},
    )


def remove_refit_state(run: Path) -> None:
    """Remove what only an interrupted refit needs. Main process only."""
    for name in ("checkpoints", REFIT_MODEL):
        shutil.rmtree(run / REFIT_FOLDER / name, ignore_errors=True)


def _set_refit(selection: TrainingRun) -> RunConfig:
    """Return the settings of the second training.

    The learning rate is planned for the same number of steps; nothing stops it early. It is in no
    tracker, where its steps would be taken for those of the first.
    """
    cfg = selection.cfg
    return dataclasses.replace(
        cfg,
        train=dataclasses.replace(
            cfg.train,
            max_steps=selection.num_steps,
            early_stopping_patience=None,
            report_to=(),
            keep_checkpoints=1,
        ),
    )


def merge_validation(clips: PreparedClips) -> PreparedClips:
    """Return the clips with those of validation in training, and none in validation."""
    assert isinstance(clips.train, Clips)
    return dataclasses.replace(
        clips,
        train=merge_clips(clips.train, clips.validation),
        validation=select_clips(clips.validation, np.zeros(0, np.int64)),
    )


def _open_folder(selection: TrainingRun, stop_step: int, num_clips: int) -> RunFolder:
    """Return RUN/refit, emptied unless it holds an interrupted refit of the same plan."""
    path = selection.folder.path / REFIT_FOLDER
    plan = {"num_steps": selection.num_steps, "stop_step": stop_step, "num_clips": num_clips}
    if selection.accelerator.is_main_process:
        file = path / PLAN_FILE
        known = json.loads(file.read_text("utf-8")) if file.is_file() else None
        if selection.cfg.train.resume == "never" or known != plan:
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
            write_json(file, plan)
    selection.accelerator.wait_for_everyone()
    return RunFolder(path, is_refit=True)
