"""Comparison of a trained model with the plain baseline: the table of results.json, a warning."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audio_cls.config import RunConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.data.keyword_spotting.sampling import draw_first_epoch
from audio_cls.data.prepare import PreparedClips
from audio_cls.distributed import Accelerator
from audio_cls.errors import count_of
from audio_cls.evaluation.baseline.fit import FittedBaseline, fit_baseline
from audio_cls.evaluation.metrics.paired import compare_accuracy, compare_precision
from audio_cls.evaluation.metrics.registry import list_metrics
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.reports.report import report_interval
from audio_cls.inference.aggregation import DECIMALS
from audio_cls.run_warnings import warn
from audio_cls.runs.results import Baseline
from audio_cls.text_table import wrap_text

TITLES = {"accuracy": "accuracy", "map": "mean average precision"}
NAME = "log-mel statistics with logistic regression"

logger = logging.getLogger(__name__)


def fit_run_baseline(
    cfg: RunConfig, accelerator: Accelerator, clips: PreparedClips, names: Sequence[str]
) -> FittedBaseline | None:
    """Fit the baseline on the clips of a run, and log its validation score.

    Call on every process: the main process does it, the others wait. Writes the cache of the
    statistics.

    Args:
        cfg: The settings of the run.
        accelerator: Its processes.
        clips: Its clips.
        names: Its labels.

    Returns:
        The baseline; None with `--baseline no`, in a dry run, for streamed training clips, and on
        all processes but the main one.
    """
    if cfg.eval.baseline == "no" or cfg.train.dry_run:
        return None
    fitted = _fit(cfg, clips, names) if accelerator.is_main_process else None
    accelerator.wait_for_everyone()
    return fitted


def _fit(cfg: RunConfig, clips: PreparedClips, names: Sequence[str]) -> FittedBaseline | None:
    """Do what `fit_run_baseline` does on the main process."""
    if not isinstance(clips.train, Clips):
        logger.info("baseline: none, because the training clips are streamed")
        return None
    seed = cfg.train.seed
    numbers = draw_first_epoch(clips.train.labels, names, cfg.data, seed)
    parts = (clips.train, clips.validation, clips.test)
    fitted = fit_baseline(*parts, len(names), numbers, seed)
    if fitted.validation is not None:
        key = _choose_metric(fitted.test)
        value = f"validation {TITLES[key]} {_compute(fitted.validation, key):.4f}"
        used = ""
        if fitted.num_train < fitted.num_available:
            used = f" on {fitted.num_train:,} of {fitted.num_available:,} training clips"
        text = f"baseline: {value} by {NAME}{used} ({fitted.seconds:.1f} s)"
        logger.info("%s", "\n".join(wrap_text(text)))
    return fitted


def _choose_metric(scores: Scores) -> str:
    """Return the metric in which model and baseline are compared."""
    return "map" if scores.is_multilabel else "accuracy"


def _compute(scores: Scores, key: str) -> float:
    """Return a metric of this package; NaN where it is not defined."""
    metric = list_metrics(is_multilabel=scores.is_multilabel)[key]
    given = scores.probabilities if metric.uses_probabilities else scores.predictions
    return metric.function(scores.targets, given)


def report_baseline(
    fitted: FittedBaseline | None,
    scores: Scores,
    groups: NDArray[np.str_] | None,
    cfg: RunConfig,
) -> Baseline:
    """Return the `baseline` part of results.json; warn if the model is not better.

    Args:
        fitted: The baseline; None where there is none.
        scores: Of the trained model, for the same test clips in the same order.
        groups: Of these clips, (N,); with enough of them, intervals are by group, and never
            narrower than those by clips.
        cfg: What was trained, for what to try.
    """
    if fitted is None:
        return Baseline()
    key = _choose_metric(scores)
    compare = compare_precision if scores.is_multilabel else compare_accuracy
    difference = compare(scores, fitted.test, groups)
    validated = fitted.validation
    bounds = difference.interval
    baseline = Baseline(
        name=NAME,
        metric=key,
        test=_round(_compute(fitted.test, key)),
        test_ci95=report_interval(fitted.test, key, groups),
        test_f1_macro=_round(_compute(fitted.test, "f1_macro")),
        validation=None if validated is None else _round(_compute(validated, key)),
        difference=_round(difference.value),
        difference_ci95=None if bounds is None else [round(bound, DECIMALS) for bound in bounds],
        c=fitted.c,
        num_train=fitted.num_train,
        num_available=fitted.num_available,
        seconds=round(fitted.seconds, 2),
    )
    warn_if_not_better(baseline, len(scores.targets), cfg)
    return baseline


def _round(value: float) -> float | None:
    """Return a metric with six decimals; None where it is not defined."""
    return round(value, DECIMALS) if math.isfinite(value) else None


def warn_if_not_better(baseline: Baseline, num_clips: int, cfg: RunConfig) -> None:
    """Warn where the test does not show that the model is better than the baseline.

    The 95 % interval of the difference then includes 0 or is below it. A model that predicts all
    test clips correctly has no warning: there is nothing to try.

    Args:
        baseline: See `report_baseline`.
        num_clips: Number of test clips.
        cfg: What was trained, for what to try.
    """
    test, difference = baseline.test, baseline.difference
    if test is None or difference is None:
        return
    low, high = baseline.difference_ci95 or (difference, difference)
    if low > 0 or test + difference > 1 - 10**-DECIMALS:
        return
    title = TITLES[baseline.metric or "accuracy"]
    is_better = difference > 0
    first = (
        f"The {count_of(num_clips, 'test clip does', 'test clips do')} not show that the model is"
        if is_better
        else "The model is not"
    )
    text = (
        f"{first} better than a plain baseline, {NAME}: {title} {test + difference:.4f} against"
        f" {test:.4f}, difference {difference:+.4f}, 95 % interval {low:+.3f} to {high:+.3f}. Try"
        f" {_advise(cfg)}{', or test on more clips' if is_better else ''}."
    )
    warn(logger, text)


def _advise(cfg: RunConfig) -> str:
    """Return what may give a better model: other settings than those of the run."""
    if cfg.train.method == "auto":
        return "another --model"
    if cfg.model.from_scratch:  # which --method auto refuses
        is_probe = cfg.train.method == "probe"
        other = "--method fine-tune" if is_probe else "another --learning-rate, more --epochs"
        return f"a pretrained --model without --from-scratch, or {other}"
    if cfg.train.method == "probe":
        return "--method auto or another --model"
    freeze = "--freeze backbone, " if cfg.model.freeze == "none" else ""
    return (
        f"--method auto (a probe and fine-tuning), {freeze}another --learning-rate, more --epochs"
        " or another --model"
    )
