"""The `test` section of results.json, and the files that an evaluation writes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_cls.config import EvalConfig, find_metric_spec
from audio_cls.data.clips.metadata import ClipMetadata
from audio_cls.errors import count_of, list_names
from audio_cls.evaluation.metrics.base import Ids, Metric
from audio_cls.evaluation.metrics.baseline import (
    report_baselines,
    warn_of_constant_predictions,
)
from audio_cls.evaluation.metrics.external import load_metric
from audio_cls.evaluation.metrics.intervals import (
    NO_ROWS,
    Interval,
    Rows,
    bootstrap_interval,
    choose_wider,
    group_rows,
    list_ungrouped,
    resampling_units,
    wilson_interval,
)
from audio_cls.evaluation.metrics.probabilistic import one_hot_targets
from audio_cls.evaluation.metrics.registry import compute_metrics, list_metrics
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.metrics.single_label import tabulate_classes
from audio_cls.evaluation.reports.error_analysis import (
    SCORE_DECIMALS,
    accuracy_by_metadata,
    list_confusions,
    list_mistakes,
    tabulate_labels,
)
from audio_cls.evaluation.reports.keyword_detection import report_detection
from audio_cls.evaluation.reports.predictions_file import write_metadata, write_predictions
from audio_cls.evaluation.reports.weakest_classes import (
    MANY_CLASSES,
    list_weakest,
    list_weakest_labels,
    report_families,
)
from audio_cls.inference.aggregation import DECIMALS
from audio_cls.run_warnings import warn
from audio_cls.runs.results import RunResults, write_results

logger = logging.getLogger(__name__)

HEADLINES = ("accuracy", "balanced_accuracy", "f1_macro")  # of every validation
MULTI_LABEL_HEADLINES = ("map", "f1_macro", "f1_micro", "accuracy")


def list_headlines(scores: Scores) -> tuple[str, ...]:
    """Return the keys of the metrics that are reported first."""
    return MULTI_LABEL_HEADLINES if scores.is_multilabel else HEADLINES


def report_scores(
    scores: Scores,
    names: tuple[str, ...],
    cfg: EvalConfig,
    metadata: ClipMetadata | None,
    majority: Ids | None = None,
    *,
    advice: str | None = None,
) -> dict[str, Any]:
    """Return the `test` part of results.json.

    All metrics of this package and the one that `--metric` names; intervals; scores by class;
    mistakes; accuracy by duration, sampling rate and group. Values that are computed from
    probabilities have four decimals: their last digits depend on the order of additions on a
    device.

    Args:
        scores: Of the test clips.
        names: Names of the L labels.
        cfg: The metric that chose the model.
        metadata: Durations, sampling rates and groups of the clips; None where they are not known.
        majority: The most frequent label in training, see `find_majority`; None where it is not
            known: that of these clips is used.
        advice: What to try where all predictions are the same, see `advise_training`.
    """
    warn_of_constant_predictions(scores, names, advice)
    cfg = cfg.choose_metric(is_multilabel=scores.is_multilabel)
    values = compute_metrics(scores)
    if cfg.metric_key not in (*values, "loss"):
        chosen = load_metric(cfg, len(names), is_multilabel=scores.is_multilabel)
        values[cfg.metric_key] = chosen(scores)
    metrics = list_metrics(is_multilabel=scores.is_multilabel)
    return {
        **{key: _round_metric(metrics.get(key), value) for key, value in values.items()},
        "loss": _round_metric(None, scores.loss),
        **report_baselines(scores, names, majority),
        **report_intervals(scores, cfg.metric_key, metadata),
        "num_examples": len(scores.targets),
        **report_detection(scores, names, metadata.seconds if metadata is not None else None),
        **_report_classes(scores, names),
        "confident_mistakes": list_mistakes(scores, names),
        **(accuracy_by_metadata(scores, metadata) if metadata is not None else {}),
    }


def _report_classes(scores: Scores, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the scores of each class; classes without clips come last and have none."""
    has_many = len(names) > MANY_CLASSES
    num_clips = one_hot_targets(scores.targets, len(names)).sum(axis=0)
    untested = [name for name, count in zip(names, num_clips, strict=True) if count == 0]
    if untested:
        of = f"of {count_of(len(names), 'class')}"
        text = count_of(
            len(untested),
            f"{of} has no clip in the evaluated split and is not tested",
            f"{of} have no clip in the evaluated split and are not tested",
        )
        warn(logger, f"{text}: {list_names(untested)}.")
    if scores.is_multilabel:
        table = tabulate_labels(scores, names)
        weakest = {"weakest_classes": list_weakest_labels(table)} if has_many else {}
        return {"per_class": table, "untested_labels": untested, **weakest}
    families = report_families(scores, names)
    return {
        "per_class": tabulate_classes(scores.targets, scores.predictions, names),
        "untested_labels": untested,
        "top_confusions": list_confusions(scores, names),
        **({"weakest_classes": list_weakest(scores, names)} if has_many else {}),
        **({"families": families} if families is not None else {}),
    }


def _round_metric(metric: Metric | None, value: float) -> float:
    """Round to six decimals if computed from predicted labels, else to four."""
    is_exact = metric is not None and not metric.uses_probabilities
    return round(value, DECIMALS if is_exact else SCORE_DECIMALS)


def report_intervals(scores: Scores, chosen: str, metadata: ClipMetadata | None) -> dict[str, Any]:
    """Return NAME_ci95 of the headline metrics and the chosen one, and the method.

    With groups, the interval is the wider one of that by group and that by clips.
    """
    groups = metadata.groups if metadata is not None else None
    units, note = resampling_units(len(scores.targets), groups)
    is_grouped = groups is not None and note is None
    metrics = list_metrics(is_multilabel=scores.is_multilabel)
    found = {
        f"{key}_ci95": report_interval(scores, key, groups)
        for key in dict.fromkeys((*list_headlines(scores), chosen))
        if key in metrics
    }
    method = {
        "drawn": "groups" if is_grouped else "clips",
        "num_drawn": len(units),
        "accuracy": "bootstrap" if is_grouped else "wilson",
        "others": "bootstrap",
        **({"at_least": "the interval by clips"} if is_grouped else {}),
        **({"note": note} if note else {}),
    }
    return {**found, "intervals": method}


def report_interval(
    scores: Scores, key: str, groups: NDArray[np.str_] | None
) -> list[float] | None:
    """Return the rounded 95 % interval of a metric of this package; None where it has none.

    Args:
        scores: Of the test clips.
        key: Of the metric.
        groups: Of the clips, (N,), '' for none. With enough of them, the interval is the wider one
            of that by group and that by clips.
    """
    metric = list_metrics(is_multilabel=scores.is_multilabel)[key]
    num_clips = len(scores.targets)
    if key == "accuracy":
        interval: Interval | None = wilson_interval(int(scores.is_correct.sum()), num_clips)
    else:
        interval = _bootstrap(metric, scores, group_rows(num_clips, None))
    units, note = resampling_units(num_clips, groups)
    if groups is not None and note is None:
        by_group = _bootstrap(metric, scores, units, list_ungrouped(groups))
        interval = choose_wider(by_group, interval)
    return None if interval is None else [_round_metric(metric, bound) for bound in interval]


def _bootstrap(
    metric: Metric, scores: Scores, units: Sequence[Rows], ungrouped: Rows = NO_ROWS
) -> Interval | None:
    """Return the bootstrap interval of a metric."""
    given: Any = scores.probabilities if metric.uses_probabilities else scores.predictions

    def compute(rows: Rows) -> float:
        return metric.function(scores.targets[rows], given[rows])

    is_share = find_metric_spec(metric.key).highest == 1
    return bootstrap_interval(compute, units, ungrouped, is_share=is_share)


def write_report(
    folder: Path, results: RunResults, scores: Scores, metadata: ClipMetadata | None
) -> None:
    """Write results.json, predictions.csv and clips.csv. Main process only."""
    write_results(folder, results)
    write_predictions(folder / "predictions.csv", scores, tuple(results.labels))
    if metadata is not None:
        write_metadata(folder / "clips.csv", scores, metadata)
