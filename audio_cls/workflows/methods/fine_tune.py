"""Fine-tuning: `--method fine-tune`."""

from __future__ import annotations

import functools
import logging

from audio_cls.evaluation.reports.training_examples import save_training_examples
from audio_cls.evaluation.scorer import make_scorer
from audio_cls.evaluation.validate import make_summarizer, make_validator
from audio_cls.models.feature_cache.precompute import precompute_frozen_features
from audio_cls.publishing.hub.background import upload_during_training
from audio_cls.runs.trainer_state import report_best
from audio_cls.text_table import wrap_text
from audio_cls.training.loop import train
from audio_cls.training.open_run import close_run
from audio_cls.training.setup import set_up_training
from audio_cls.training.sharding import restore_best
from audio_cls.training.start.inputs import MethodInputs
from audio_cls.training.start.report import StartReport
from audio_cls.training.timing import describe_timing
from audio_cls.workflows.methods.fitted_model import FittedModel
from audio_cls.workflows.methods.refit import refit_fine_tuned

ONE_WINDOW = (
    "evaluation: epochs are compared by one window of each validation clip (--eval-windows all: by"
    " all of them)"
)

logger = logging.getLogger(__name__)


def fine_tune(given: MethodInputs, report: StartReport) -> FittedModel:
    """Train the model by gradient steps; validation selects the epoch. Call on every process.

    Args:
        given: Settings, clips and model.
        report: Shows what starts.
    """
    cfg, accelerator, folder, clips = given.cfg, given.accelerator, given.folder, given.clips
    inputs = precompute_frozen_features(cfg, accelerator, given.audio_model, clips)
    scorer = make_scorer(inputs.audio_model, cfg, accelerator)
    validate = make_validator(scorer, inputs.validation, cfg.eval, given.epoch_labels)
    summarize = None
    if cfg.eval.eval_windows == "one" and scorer.has_long_clips(inputs.validation):
        summarize = make_summarizer(cfg.eval, scorer.labels, inputs.validation, given.epoch_labels)
        logger.info("%s", "\n".join(wrap_text(ONE_WINDOW)))
    with upload_during_training(folder.path, cfg.hub, given.repo_id) as callbacks:
        run = set_up_training(cfg, accelerator, folder, inputs, validate, callbacks)
        if accelerator.is_main_process and not cfg.train.dry_run:
            save_training_examples(
                *(folder.path, run.loader, run.sampler, clips.train, given.audio_model),
                is_resumed=run.checkpoint is not None,
            )
        report.announce(given, run)
        run.progress.prepare_seconds = given.clock.lap()
        train(run)
    return FittedModel(
        model=restore_best(accelerator, inputs.audio_model, run.model, folder.path),
        scorer=scorer,
        validation=inputs.validation,
        test=inputs.test,
        validation_metrics=report_best(run.state, len(clips.validation)),
        summarize=summarize,
        describe_timing=functools.partial(describe_timing, run),
        close=functools.partial(close_run, run),
        refit=functools.partial(refit_fine_tuned, given, run) if cfg.train.refit else None,
    )
