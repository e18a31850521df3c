"""Scores -> the numbers of results.json, and the files beside it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audio_cls.config import EvalConfig, find_metric_spec
from audio_cls.data.clips.metadata import ClipMetadata
from audio_cls.errors import list_names
from audio_cls.evaluation.metrics.baseline import (
    report_baselines,
    warn_of_constant_predictions,
)
from audio_cls.evaluation.metrics.external import load_metric
from audio_cls.evaluation.metrics.intervals import (
    Interval,
    Rows,
    bootstrap_interval,
    choose_wider,
    group_rows,
    resampling_units,
    wilson_interval,
)
from audio_cls.evaluation.metrics.multi_label import MULTI_LABEL_METRICS
from audio_cls.evaluation.metrics.probabilistic import one_hot_targets
from audio_cls.evaluation.metrics.registry import compute_metrics, list_metrics
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.metrics.single_label import METRICS, Ids, OfflineMetric, tabulate_classes
from audio_cls.evaluation.reports.error_analysis import (
    SCORE_DECIMALS,
    accuracy_by_metadata,
    list_confusions,
    list_mistakes,
    tabulate_labels,
)
from audio_cls.evaluation.reports.keyword_detection import report_detection
from audio_cls.evaluation.reports.predictions_file import write_facts, write_predictions
from audio_cls.evaluation.reports.weakest_classes import (
    MANY_CLASSES,
    list_weakest,
    list_weakest_marks,
    report_families,
)
from audio_cls.inference.aggregation import DECIMALS
from audio_cls.run_warnings import warn
from audio_cls.runs.results import RunResults, write_results

logger = logging.getLogger(__name__)

HEADLINES = ("accuracy", "balanced_accuracy", "f1_macro")  # of every evaluation in training
MULTI_LABEL_HEADLINES = ("map", "f1_macro", "f1_micro", "accuracy")  # of several labels a clip


def list_headlines(scores: Scores) -> tuple[str, ...]:
    """Return the keys of the metrics that are told first."""
    return MULTI_LABEL_HEADLINES if scores.is_multilabel else HEADLINES


def report_scores(
    scores: Scores,
    names: tuple[str, ...],
    cfg: EvalConfig,
    facts: ClipMetadata | None,
    majority: Ids | None = None,
) -> dict[str, Any]:
    """Return the `test` part of results.json.

    Every metric of ours, and the one that `--metric` names; intervals; scores by class; the
    mistakes; accuracy by what is known of the clips. What rests on probabilities has four decimals:
    the order in which a device adds up moves their last digits.

    Args:
        scores: A row a clip.
        names: The L labels.
        cfg: The metric that chose the model.
        facts: Lengths, rates and groups of the clips; None where they are not known.
        majority: What is most frequent in training, see `find_majority`; None where that is not
            known: it is found in these clips.
    """
    warn_of_constant_predictions(scores, names)
    cfg = cfg.choose_metric(is_multilabel=scores.is_multilabel)
    found = compute_metrics(scores)
    if cfg.metric_key not in (*found, "loss"):
        chosen = load_metric(cfg, len(names), is_multilabel=scores.is_multilabel)
        found[cfg.metric_key] = chosen(scores)
    rounded = {name: _round_metric(name, value) for name, value in found.items()}
    return {
        **rounded,
        "loss": _round_metric("loss", scores.loss),
        **report_baselines(scores, names, majority),
        **report_intervals(scores, cfg.metric_key, facts),
        "num_examples": len(scores.labels),
        **report_detection(scores, names, facts.seconds if facts is not None else None),
        **_report_classes(scores, names),
        "confident_mistakes": list_mistakes(scores, names),
        **(accuracy_by_metadata(scores, facts) if facts is not None else {}),
    }


def _report_classes(scores: Scores, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the scores of each class; classes without a clip come last, and have none."""
    has_many = len(names) > MANY_CLASSES
    num_clips = one_hot_targets(scores.labels, len(names)).sum(axis=0)
    untested = [name for name, count in zip(names, num_clips, strict=True) if count == 0]
    if untested:
        text = f"{len(untested)} of {len(names)} classes have no clip here and are not tested"
        warn(logger, f"{text}: {list_names(untested)}.")
    if not scores.is_multilabel:
        families = report_families(scores, names)
        return {
            "per_class": tabulate_classes(scores.labels, scores.predictions, names),
            "untested_labels": untested,
            "top_confusions": list_confusions(scores, names),
            **({"weakest_classes": list_weakest(scores, names)} if has_many else {}),
            **({"families": families} if families is not None else {}),
        }
    table = tabulate_labels(scores, names)
    weakest = {"weakest_classes": list_weakest_marks(table)} if has_many else {}
    return {"per_class": table, "untested_labels": untested, **weakest}


def _round_metric(name: str, value: float) -> float:
    """Round to six decimals what counts clips, to four what rests on probabilities."""
    metric = METRICS.get(name) or MULTI_LABEL_METRICS.get(name)
    counts = metric is not None and metric.judged == "predictions"
    return round(value, DECIMALS if counts else SCORE_DECIMALS)


def report_intervals(scores: Scores, chosen: str, facts: ClipMetadata | None) -> dict[str, Any]:
    """Return NAME_ci95 of the headline metrics and the chosen one, and how they were found.

    With groups, the interval is the wider one of that by group and that by clips.
    """
    groups = facts.groups if facts is not None else None
    clips = group_rows(len(scores.labels), None)
    units, note = resampling_units(len(scores.labels), groups)
    is_grouped = groups is not None and note is None
    found: dict[str, Any] = {}
    metrics = list_metrics(is_multilabel=scores.is_multilabel)
    headlines = list_headlines(scores)
    for key in dict.fromkeys((*headlines, *([chosen] if chosen in metrics else []))):
        if key == "accuracy":
            interval: Interval | None = wilson_interval(int(scores.is_right.sum()), len(clips))
        else:
            interval = _draw_interval(metrics[key], scores, clips)
        if is_grouped:
            interval = choose_wider(_draw_interval(metrics[key], scores, units), interval)
        found[f"{key}_ci95"] = interval and [_round_metric(key, bound) for bound in interval]
    method = {
        "drawn": "groups" if is_grouped else "clips",
        "num_drawn": len(units),
        "accuracy": "bootstrap" if is_grouped else "wilson",
        "others": "bootstrap",
        **({"at_least": "the interval by clips"} if is_grouped else {}),
        **({"note": note} if note else {}),
    }
    return {**found, "intervals": method}


def _draw_interval(
    metric: type[OfflineMetric], scores: Scores, units: Sequence[Rows]
) -> Interval | None:
    """Return the bootstrap interval of one of our metrics."""
    judged: Any = scores.predictions if metric.judged == "predictions" else scores.probabilities

    def compute(rows: Rows) -> float:
        return metric.function(scores.labels[rows], judged[rows])

    return bootstrap_interval(compute, units, is_share=find_metric_spec(metric.key).highest == 1)


def write_report(
    folder: Path, results: RunResults, scores: Scores, facts: ClipMetadata | None
) -> None:
    """Write results.json, predictions.csv and clips.csv. Main process only."""
    write_results(folder, results)
    write_predictions(folder / "predictions.csv", scores, tuple(results.labels))
    if facts is not None:
        write_facts(folder / "clips.csv", scores, facts)
