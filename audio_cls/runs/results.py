"""results.json as a typed object: written by training and evaluation, read by everything else.

`RunResults.to_json` and `from_json` convert it, `write_results` and `read_results` do so with a
file; no other module knows the file's syntax. Files of versions without `schema_version` are read
as version 1. A key that this version does not know is kept, and written again.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audio_cls.config import select_metrics
from audio_cls.errors import RunFolderError, describe_error
from audio_cls.run_warnings import warn
from audio_cls.runs.json_record import ALWAYS, JsonRecord, SchemaError, Table
from audio_cls.runs.records.candidates import Candidates
from audio_cls.storage.files import write_json

RESULTS_FILE = "results.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class SplitDescription(JsonRecord):
    """One role's clips (train, validation or test); see `describe_data`."""

    name: str | None = None  # of the split of the data set that they are from
    origin: str | None = None
    method: str | None = None
    is_given: bool | None = None
    num_available: int | None = None
    num_examples: int | None = None
    fingerprint: list[int] | None = None
    # Of audio; None where the clips are streamed.
    seconds: float | None = field(default=None, metadata=ALWAYS)


@dataclass(frozen=True, kw_only=True)
class DuplicateCounts(JsonRecord):
    """Pairs of clips of equal, or nearly equal, audio."""

    found: int | None = None
    across_splits: int | None = None
    left_out: int | None = None
    first: list[list[str]] | None = None  # ids of some near-duplicate pairs


@dataclass(frozen=True, kw_only=True)
class DatasetDescription(JsonRecord):
    """The data set: where it is from, its columns and its splits."""

    id: str | None = None  # on the Hub; a folder's name where `is_local`
    name: str | None = None
    config: str | None = field(default=None, metadata=ALWAYS)
    # Commit, or fingerprint of local files.
    revision: str | None = field(default=None, metadata=ALWAYS)
    is_local: bool | None = None
    license: str | None = field(default=None, metadata=ALWAYS)
    audio_column: str | None = None
    label_column: str | None = None
    problem_type: str | None = None  # "single-label" or "multi-label"
    sampling_rate: int | None = None  # Hz
    decode_seconds: float | None = None
    is_test_validation: bool | None = None
    is_split_by_group: bool | None = None
    duplicates: DuplicateCounts = DuplicateCounts()
    near_duplicates: DuplicateCounts = DuplicateCounts()
    split: dict[str, SplitDescription] = field(default_factory=dict)  # by role
    language: list[str] | None = None  # codes that the data set's card names


@dataclass(frozen=True, kw_only=True)
class ModelDescription(JsonRecord):
    """The checkpoint that training started from, or that was evaluated."""

    id: str | None = None
    revision: str | None = field(default=None, metadata=ALWAYS)
    is_local: bool | None = None
    num_parameters: int | None = None
    license: str | None = field(default=None, metadata=ALWAYS)


@dataclass(frozen=True, kw_only=True)
class Energy(JsonRecord):
    """Electricity of training and its evaluations, on all machines."""

    kwh: float | None = None
    cpu_kwh: float | None = None
    gpu_kwh: float | None = None
    ram_kwh: float | None = None
    kg_co2eq: float | None = None
    grid_kg_co2eq_per_kwh: float | None = None
    # ISO 3166 alpha-3; None for the world average.
    country: str | None = field(default=None, metadata=ALWAYS)
    num_machines: int | None = None
    meter: str | None = None


@dataclass(frozen=True, kw_only=True)
class Timing(JsonRecord):
    """Seconds, steps and memory, summed over all starts; an evaluation has only its own seconds."""

    starts: int | None = None
    prepare_seconds: float | None = None
    train_seconds: float | None = None  # without evaluations
    evaluate_seconds: float | None = None
    evaluate_share: float | None = None  # in the seconds of preparation, training and evaluation
    steps: int | None = None
    clips_per_step: int | None = None
    overhead_share: float | None = None
    skipped_steps: int | None = None
    evaluations: int | None = None
    validation_seconds: float | None = None
    train_clips_per_second: float | None = None
    peak_memory_mb: int | None = None
    energy: Energy | None = None


@dataclass(frozen=True, kw_only=True)
class Hardware(JsonRecord):
    """Device and processes."""

    device: str | None = None
    num_processes: int | None = None
    num_threads: int | None = None
    mixed_precision: str | None = None


@dataclass(frozen=True, kw_only=True)
class Baseline(JsonRecord):
    """Logistic regression on log-mel statistics on the same splits, see `fit_baseline`.

    Empty with `--baseline no`, for streamed clips, and for an evaluation.
    """

    name: str | None = None
    metric: str | None = None  # of the values below: "accuracy"; multi-label: "map"
    test: float | None = field(default=None, metadata=ALWAYS)
    test_ci95: list[float] | None = field(default=None, metadata=ALWAYS)
    test_f1_macro: float | None = None
    validation: float | None = field(default=None, metadata=ALWAYS)
    # The trained model minus the baseline, on the same test clips.
    difference: float | None = field(default=None, metadata=ALWAYS)
    difference_ci95: list[float] | None = field(default=None, metadata=ALWAYS)
    c: float | None = None  # chosen on validation
    num_train: int | None = None  # training clips that were used
    num_available: int | None = None  # training clips of an epoch
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class ProbedLayer(JsonRecord):
    """A candidate of `--method probe`: a layer, and the regression on its output."""

    layer: int | None = None  # whose output the head gets, counted from 1
    num_layers: int | None = None  # that the encoder keeps; more than `layer`: without final norm
    c: float | None = None  # scikit-learn's C, the best of a grid
    log_loss: float | None = None  # of the clips of `ProbeResults.scored_on`
    score: float | None = None  # of the same clips, by `ProbeResults.metric`
    is_chosen: bool | None = None

    @property
    def name(self) -> str:
        """The layer, and what of it the head gets.

        >>> ProbedLayer(layer=3, num_layers=4).name
        '3 without final norm'
        """
        return f"{self.layer}{' without final norm' if self.is_raw else ''}"

    @property
    def is_raw(self) -> bool:
        """Whether the output of the layer is used as it is, without the encoder's final norm."""
        return (self.num_layers or 0) > (self.layer or 0)


@dataclass(frozen=True, kw_only=True)
class ProbeResults(JsonRecord):
    """The layers that `--method probe` compared."""

    layers: list[ProbedLayer] = field(default_factory=list)
    total_layers: int | None = None  # of the encoder before it was cut
    metric: str | None = None  # "accuracy", or "map" where a clip may have several labels
    scored_on: str | None = None  # the clips, "180 validation clips"; None: no comparison
    num_windows: int | None = None  # whose layer outputs were used
    num_computed: int | None = None  # of them by this run; the others were in the cache
    feature_seconds: float | None = None
    fit_seconds: float | None = None

    @property
    def chosen(self) -> ProbedLayer:
        """The candidate that was saved."""
        return next((one for one in self.layers if one.is_chosen), ProbedLayer())


@dataclass(frozen=True, kw_only=True)
class RunResults(JsonRecord):
    """Everything in results.json; an evaluation leaves out what only a training has."""

    schema_version: int = field(default=SCHEMA_VERSION, metadata=ALWAYS)
    dataset: DatasetDescription = DatasetDescription()
    model: ModelDescription = ModelDescription()
    split_check: Table = field(default_factory=dict)  # see `check_splits`
    labels: list[str] = field(default_factory=list)  # in the order of the model's outputs
    unmatched_labels: dict[str, int] | None = None  # label that the model does not have: clips
    labels_as_unknown: dict[str, int] | None = None
    metric: str | None = None  # that chose the best epoch
    user_transforms: list[str] | None = None  # names in --augment
    validation: Table = field(default_factory=dict)  # of the saved model, see `report_best`
    refit: Table = field(default_factory=dict)  # second training, see `FittedModel`
    probe: ProbeResults | None = None  # with `--method probe` and `--method auto`
    candidates: Candidates | None = None  # with `--method auto`
    test: Table = field(default_factory=dict)  # see `report_scores`
    baseline: Baseline = Baseline()
    calibration: Table = field(default_factory=dict)  # see `report_calibration`
    timing: Timing = Timing()
    bad_audio: dict[str, int] = field(default_factory=dict)  # "skipped": unusable clips
    samples: list[dict[str, str]] | None = None  # file, label and id of published clips
    hardware: Hardware = Hardware()
    command: str | None = None
    versions: dict[str, str] = field(default_factory=dict)  # of Python and libraries
    date: str | None = None  # ISO 8601, UTC
    warnings: list[str] | None = None
    comparison: Table = field(default_factory=dict)  # with another run, see `compare_runs`

    @property
    def is_multilabel(self) -> bool:
        """Whether a clip may have several labels; metrics computed again have no data set."""
        return self.dataset.problem_type == "multi-label" or "map_micro" in self.test

    @property
    def is_chosen_on_test(self) -> bool:
        """Whether the test clips, which are the validation clips too, chose the saved model."""
        is_probe = self.probe is not None and self.candidates is None  # cross-validates instead
        return bool(self.dataset.is_test_validation) and not is_probe

    @property
    def is_linear_probe(self) -> bool:
        """Whether the model is a probe: by `--method probe`, or kept by `--method auto`."""
        is_kept = self.candidates is None or self.candidates.kept.name == "probe"
        return self.probe is not None and is_kept

    @property
    def held_out(self) -> str | None:
        """The training clips that `--method auto` chose on; None: validation clips."""
        return self.candidates.chosen_on if self.candidates is not None else None

    @property
    def headline_key(self) -> str:
        """The metric that is compared with a baseline."""
        return "map" if self.is_multilabel else "accuracy"

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of `test` by name, without tables and intervals."""
        return select_metrics(self.test)


def write_results(folder: Path, results: RunResults) -> None:
    """Write FOLDER/results.json; numbers that are not finite become null. Main process only."""
    write_json(folder / RESULTS_FILE, _without_nan(results.to_json()))


def read_results(path: Path) -> RunResults:
    """Read a results.json.

    Raises:
        RunFolderError: It cannot be read, or a value is of another type; the text names the key.
    """
    advice = "Copy the run folder again, or repeat the evaluation."
    try:
        results = RunResults.from_json(json.loads(path.read_text("utf-8")))
    except SchemaError as error:
        raise RunFolderError(f"'{path}' does not fit: {error}. {advice}") from error
    except OSError as error:
        text = f"'{path}' cannot be read ({describe_error(error)}). {advice}"
        raise RunFolderError(text) from error
    except ValueError as error:
        cause = f"cannot be read ({type(error).__name__}): it must be json in UTF-8"
        raise RunFolderError(f"'{path}' {cause}. {advice}") from error
    if (version := results.schema_version) > SCHEMA_VERSION:
        text = f"'{path}' has schema_version {version}, newer than {SCHEMA_VERSION}: update it."
        warn(logging.getLogger(__name__), text)
    return results


def _without_nan(value: Any) -> Any:  # noqa: ANN401 (any JSON value)
    """Return the tree with None for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
