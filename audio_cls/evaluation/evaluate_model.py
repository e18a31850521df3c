"""Steps of an evaluation without training: output folder, description, files."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audio_cls.config import EvalConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.data.clips.metadata import ClipMetadata
from audio_cls.data.describe import describe_source
from audio_cls.data.labels.labels import Labels
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.errors import RunFolderError
from audio_cls.evaluation.compare_runs import compare_runs
from audio_cls.evaluation.metrics.baseline import read_majority
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.reports.figures import draw_figures
from audio_cls.evaluation.reports.predictions_file import read_metadata, read_predictions
from audio_cls.evaluation.reports.report import report_scores, write_report
from audio_cls.runs.config_file import find_run_folder
from audio_cls.runs.results import (
    RESULTS_FILE,
    DatasetDescription,
    RunResults,
    SplitDescription,
    read_results,
)
from audio_cls.storage.files import check_writable
from audio_cls.storage.short_names import name_dataset, read_base_name

AGGREGATE_FILE = "aggregate.json"  # of `audio-cls evaluate --aggregate`


def choose_output(
    model: str | None, dataset: str | None, split: str, files: Sequence[Path]
) -> Path:
    """Return the default of `--output-dir`.

    Args:
        model: Run folder or Hub id; None if files are evaluated.
        dataset: The data set; None: that of the model's run.
        split: Value of `--split`.
        files: The predictions.csv, or the run folders that are aggregated.

    >>> choose_output("ann/birds", "data/calls.csv", "test", []).as_posix()
    'runs/birds-eval-calls'
    """
    if model is None:
        name = "eval-predictions" if files[0].suffix == ".csv" else "eval-aggregate"
        return files[0].parent / name
    home = find_run_folder(model)
    is_checkpoint = home is not None and home != Path(model).expanduser().absolute()
    names = [Path(model).parent.name] if is_checkpoint else []
    names += [name_dataset(dataset)] if dataset else []
    names += [split] if split != "test" or not dataset else []
    end = "-".join(["eval", *(re.sub(r"[^\w.-]+", "_", name) for name in names)])
    if home is not None and is_checkpoint:  # a checkpoint's folder is removed later
        return home / end
    if Path(model).expanduser().is_dir():
        return Path(model).expanduser() / end
    return Path("runs") / f"{read_base_name(model)}-{end}"


def check_output(path: Path, *, overwrite: bool = False) -> None:
    """Check the folder for the results, before any long work. Main process only.

    Args:
        path: The folder; it is made when the results are written.
        overwrite: Replace an earlier evaluation in it.

    Raises:
        RunFolderError: It is a training's run folder, whose results would be lost; it has an
            earlier evaluation; or it cannot be written.
    """
    if (path / "run_config.yaml").is_file():
        raise RunFolderError(
            f"'{path}' is a run folder: its results.json would be lost. Choose another"
            " --output-dir; --update-card writes results into the run's model card."
        )
    found = [name for name in (RESULTS_FILE, AGGREGATE_FILE) if (path / name).is_file()]
    if found and not overwrite:
        raise RunFolderError(
            f"'{path}' has an earlier evaluation ({found[0]}). Replace it with --overwrite, or"
            " choose another --output-dir."
        )
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        check_writable(path)
    except OSError as error:
        raise RunFolderError(
            f"'{path}' cannot be written ({error.strerror}). Give another --output-dir."
        ) from error
    for folder in missing:  # a command that fails leaves no empty folder
        folder.rmdir()


def describe_evaluated_split(
    source: LoadedDataset,
    labels: Labels,
    clips: Clips,
    part: SplitDescription,
) -> DatasetDescription:
    """Return the `dataset` part of results.json for the evaluated split.

    Args:
        source: The data set.
        labels: The labels of the data set, not those of the model.
        clips: The evaluated clips.
        part: `name` and `origin`: see `SelectedClips`; `num_available`: the number of clips before
            `--max-eval-samples`; `is_given`: they are a whole split of the data set.
    """
    test = dataclasses.replace(part, num_examples=len(clips), seconds=round(clips.seconds, 2))
    return dataclasses.replace(
        describe_source(source, labels), is_test_validation=False, split={"test": test}
    )


def write_evaluation(
    folder: Path,
    results: RunResults,
    scores: Scores,
    metadata: ClipMetadata | None,
    other: Path | None,
) -> RunResults:
    """Write the files of an evaluation. Main process only.

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

    Returns:
        The results, with the comparison.

    Raises:
        RunFolderError: See `compare_runs`.
    """
    if other is not None:
        comparison = compare_runs(scores, tuple(results.labels), other, metadata)
        results = dataclasses.replace(results, comparison=comparison)
    folder.mkdir(parents=True, exist_ok=True)
    write_report(folder, results, scores, metadata)
    draw_figures(folder)
    return results


def recompute(path: Path, folder: Path, cfg: EvalConfig, other: Path | None) -> RunResults:
    """Compute all metrics again from a predictions.csv and the clips.csv in its folder, if any.

    Args:
        path: The predictions.csv.
        folder: Where the results go, see `check_output`.
        cfg: The metric to report with an interval.
        other: A run folder or predictions.csv to compare with.

    Raises:
        RunFolderError: One of the files is not valid.
    """
    scores, names = read_predictions(path)
    metadata = read_metadata(path.parent / "clips.csv", scores)
    majority = read_majority(_read_test(path.parent / RESULTS_FILE), names)
    results = RunResults(
        labels=list(names),
        metric=cfg.choose_metric(is_multilabel=scores.is_multilabel).metric_key,
        test=report_scores(scores, names, cfg, metadata, majority),
    )
    return write_evaluation(folder, results, scores, metadata, other)


def _read_test(path: Path) -> dict[str, Any]:
    """Return the `test` part of a results.json; empty where it is missing or not valid."""
    try:
        return read_results(path).test
    except RunFolderError:
        return {}
