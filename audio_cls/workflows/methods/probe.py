"""Linear probe: `--method probe`."""

from __future__ import annotations

import dataclasses
import functools
import logging

import numpy as np

from audio_cls.config import TrainConfig
from audio_cls.evaluation.metrics.baseline import warn_if_above_chance
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.scorer import make_scorer
from audio_cls.evaluation.validate import make_summarizer
from audio_cls.events import emit_event
from audio_cls.inference.aggregation import DECIMALS
from audio_cls.linear_probe.checkpoint import set_head
from audio_cls.linear_probe.run import LinearProbe, run_linear_probe
from audio_cls.run_warnings import warn
from audio_cls.runs.json_record import Table
from audio_cls.runs.results import Energy, ProbeResults
from audio_cls.training.energy import EnergyMeter
from audio_cls.training.start.inputs import MethodInputs
from audio_cls.training.start.report import StartReport
from audio_cls.training.timing import describe_probe_timing
from audio_cls.workflows.methods.fitted_model import FittedModel
from audio_cls.workflows.methods.summary_layers import format_layers

RANDOM_WEIGHTS = (
    "--from-scratch gives the encoder random weights, which --method probe does not train: the"
    " probe learns little from them. Use --method fine-tune, or a pretrained --model."
)

logger = logging.getLogger(__name__)


def fit_probe(given: MethodInputs, report: StartReport) -> FittedModel:
    """Fit a logistic regression on each layer of the frozen encoder; the best becomes the model.

    Call on every process. Changes the model in place, and writes it into the run folder.

    Args:
        given: Settings, clips and model.
        report: Shows what starts.
    """
    cfg, accelerator, audio_model = given.cfg, given.accelerator, given.audio_model
    if cfg.model.from_scratch:
        warn(logger, RANDOM_WEIGHTS)
    report.announce(given)
    prepare_seconds = given.clock.lap()
    with EnergyMeter(cfg.train, accelerator) as meter:
        probe = run_linear_probe(
            *(cfg, accelerator, audio_model, given.clips), is_refit=cfg.train.refit
        )
        energy = meter.describe(meter.read())
    if accelerator.is_main_process:
        given.folder.save_model(audio_model.save)
        given.folder.remove_checkpoints()  # there is nothing to resume
        show_layers(probe.results, cfg.train)
    accelerator.wait_for_everyone()
    clips = given.clips.validation
    metrics: Table = {"num_examples": len(clips)}
    labels = clips.labels.astype(np.int64)
    scores = Scores(clips.ids, labels, probe.validation.round(DECIMALS)) if len(clips) else None
    if scores is not None:
        summarize = make_summarizer(cfg.eval, audio_model.labels, clips, given.epoch_labels)
        metrics = {**summarize(scores), **metrics}
        if not cfg.train.dry_run:  # of a few clips, it is no finding
            warn_if_above_chance(metrics["loss"], labels, given.epoch_labels)
    return FittedModel(
        model=audio_model.model,
        scorer=make_scorer(audio_model, cfg, accelerator),
        validation=clips,
        test=given.clips.test,
        validation_metrics=metrics,
        describe_timing=functools.partial(
            describe_probe_timing,
            *(accelerator, probe.results, prepare_seconds),
            energy=None if energy is None else Energy(**energy),
        ),
        close=given.folder.close,
        validation_scores=scores,
        probe=probe.results,
        refit=functools.partial(refit_probe, given, probe) if cfg.train.refit else None,
    )


def refit_probe(given: MethodInputs, probe: LinearProbe, fitted: FittedModel) -> FittedModel:
    """Fit layer and C that were chosen on training and validation clips. Call on every process.

    Args:
        given: Settings, clips and model, whose head is replaced.
        probe: With the regression on the clips of both splits.
        fitted: The model before.
    """
    assert probe.refitted is not None
    set_head(given.audio_model.model, probe.refitted)
    if given.accelerator.is_main_process:
        given.folder.save_model(given.audio_model.save)
        given.folder.remove_checkpoints()
    given.accelerator.wait_for_everyone()
    metrics = {"num_examples": probe.num_refitted}
    return dataclasses.replace(fitted, validation_scores=None, refit=None, refit_metrics=metrics)


def show_layers(results: ProbeResults, cfg: TrainConfig) -> None:
    """Show the table of the layers, and which one was chosen; with json the event `layers`."""
    emit_event(cfg.log, "layers", **results.to_json())
    if cfg.log == "text":
        logger.info("%s", "\n".join(["", *format_layers(results)]))
