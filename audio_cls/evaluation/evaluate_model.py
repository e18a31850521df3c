"""Steps of an evaluation without training: output folder, description, files, log lines."""

from __future__ import annotations

import dataclasses
import logging
import math
import re
from pathlib import Path
from typing import Any

from audio_cls.config import EvalConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.data.clips.metadata import ClipMetadata
from audio_cls.data.describe import describe_source
from audio_cls.data.labels.label_text import join_names
from audio_cls.data.labels.labels import Labels
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.errors import RunFolderError
from audio_cls.evaluation.aggregate_runs import write_aggregate
from audio_cls.evaluation.compare_runs import compare_runs
from audio_cls.evaluation.metrics.baseline import read_majority
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.reports.figures import draw_figures
from audio_cls.evaluation.reports.predictions_file import read_metadata, read_predictions
from audio_cls.evaluation.reports.report import report_scores, write_report
from audio_cls.runs.results import (
    RESULTS_FILE,
    DatasetDescription,
    RunResults,
    SplitDescription,
    read_results,
)
from audio_cls.storage.files import check_writable

logger = logging.getLogger(__name__)


def open_output(path: Path) -> Path:
    """Return the folder for the results, made if needed. Main process only.

    An earlier evaluation in it is replaced.

    Raises:
        RunFolderError: It is a training's run folder, whose own results would be lost, or it
            cannot be written.
    """
    if (path / "run_config.yaml").is_file():
        raise RunFolderError(
            f"'{path}' is a run folder: its own results.json would be lost."
            " Choose another --output-dir; --update-card brings results into the run."
        )
    try:
        check_writable(path)
    except OSError as error:
        raise RunFolderError(
            f"'{path}' cannot be written ({error.strerror}). Give another --output-dir."
        ) from error
    return path


def describe_evaluated_split(
    source: LoadedDataset, labels: Labels, clips: Clips, split: str, origin: str, *, is_whole: bool
) -> DatasetDescription:
    """Return the `dataset` part of results.json for the evaluated split.

    Args:
        source: The data set.
        labels: The labels of the data set, not those of the model.
        clips: The evaluated clips.
        split: What `--split` asked for.
        origin: How the clips were selected, see `select_rows`.
        is_whole: No clip was left out by `--max-eval-samples` or for a label that the model does
            not have.

    Returns:
        The data set and the split; `is_given`: the clips are a whole split of the data set.
    """
    test = SplitDescription(
        name=split,
        origin=origin,
        is_given=is_whole and re.fullmatch(r"split '.*'", origin) is not None,
        num_examples=len(clips),
        seconds=round(clips.seconds, 2),
    )
    return dataclasses.replace(
        describe_source(source, labels), is_test_validation=False, split={"test": test}
    )


def write_evaluation(
    folder: Path,
    results: RunResults,
    scores: Scores,
    metadata: ClipMetadata | None,
    other: Path | None,
) -> None:
    """Write the files of an evaluation and log the headline. Main process only.

    ::

        FOLDER/
          results.json       metrics, in the same form as those of a run
          predictions.csv    one row for each clip
          clips.csv          duration, sampling rate and group of each clip
          figures/           pictures and the confusion matrix

    Args:
        folder: Where to.
        results: All parts but the comparison.
        scores: Of the evaluated clips.
        metadata: Of the evaluated clips.
        other: A run folder or predictions.csv to compare with; None: no comparison.

    Raises:
        RunFolderError: See `compare_runs`.
    """
    if other is not None:
        comparison = compare_runs(scores, tuple(results.labels), other, metadata)
        results = dataclasses.replace(results, comparison=comparison)
    write_report(folder, results, scores, metadata)
    draw_figures(folder)
    _log_results(results)


def evaluate_from_files(
    predictions: Path | None,
    runs: tuple[Path, ...],
    folder: Path,
    cfg: EvalConfig,
    other: Path | None,
) -> None:
    """Evaluate without a model: metrics of a predictions.csv, or the aggregate of several runs.

    Args:
        predictions: A predictions.csv; None: `runs` are aggregated.
        runs: Folders of finished runs.
        folder: Where the results go.
        cfg: The metric to report with an interval.
        other: A run folder or predictions.csv to compare with.
    """
    if predictions is not None:
        recompute(predictions, folder, cfg, other)
    else:
        write_aggregate(runs, folder / "aggregate.json")


def recompute(path: Path, folder: Path, cfg: EvalConfig, other: Path | None) -> None:
    """Compute all metrics again from a predictions.csv and the clips.csv in its folder, if any.

    Raises:
        RunFolderError: One of the files is not valid, or the folder is a run folder.
    """
    scores, names = read_predictions(path)
    metadata = read_metadata(path.parent / "clips.csv", scores)
    majority = read_majority(_read_test(path.parent / RESULTS_FILE), names)
    results = RunResults(
        labels=list(names),
        metric=cfg.choose_metric(is_multilabel=scores.is_multilabel).metric_key,
        test=report_scores(scores, names, cfg, metadata, majority),
    )
    write_evaluation(open_output(folder), results, scores, metadata, other)


def _read_test(path: Path) -> dict[str, Any]:
    """Return the `test` part of a results.json; empty where it is missing or not valid."""
    try:
        return read_results(path).test
    except RunFolderError:
        return {}


def _log_results(results: RunResults) -> None:
    """Log the headline with its interval, and the difference to the other run."""
    test = results.test
    key = "map" if "map_ci95" in test and "map_micro" in test else "accuracy"
    low, high = test[f"{key}_ci95"] or (math.nan, math.nan)
    text = "%s %.4f on %d clips (95 %% interval %.3f to %.3f), macro F1 %.4f, ECE %.4f"
    shown = (test[key], test["num_examples"], low, high, test["f1_macro"], test["ece"])
    logger.info(text, key, *shown)
    always = "always predicting the most frequent of %s (%s): accuracy %.4f"
    named = test["majority_class"]
    shown_class = named if isinstance(named, str) else join_names(named) or "no label"
    logger.info(always, test["majority_from"], shown_class, test["majority_accuracy"])
    if "note" in test["intervals"]:
        logger.warning(test["intervals"]["note"])
    comparison = results.comparison
    if comparison:
        logger.info(
            "against %s: %+.4f (only this one right %d, only the other %d, McNemar p = %.4g)",
            *(comparison["other"], comparison["accuracy_difference"]),
            *(comparison["only_this_right"], comparison["only_other_right"]),
            comparison["mcnemar_p"],
        )
