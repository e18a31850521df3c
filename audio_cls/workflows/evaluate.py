"""Evaluation of a trained classifier on any data set.

Clips are cut into the windows that training wrote into the model's configuration, and scored by the
same code as in training. On the data set of the model's run, settings that are not given are the
run's.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio_cls.config import ModelConfig, RunConfig
from audio_cls.data.clips.metadata import read_clip_metadata
from audio_cls.data.keyword_spotting.relabel import relabel_keywords
from audio_cls.data.labels.labels import parse_labels
from audio_cls.data.load import load_dataset
from audio_cls.data.prepare import prepare_split
from audio_cls.data.splits.clip_index import build_clip_index
from audio_cls.distributed.accelerator import start_accelerator
from audio_cls.distributed.hardware import configure_cpu
from audio_cls.errors import SettingError
from audio_cls.evaluation.aggregate_runs import write_aggregate
from audio_cls.evaluation.evaluate_model import (
    AGGREGATE_FILE,
    check_output,
    choose_output,
    describe_evaluated_split,
    recompute,
    write_evaluation,
)
from audio_cls.evaluation.label_mapping import load_label_map, match_labels
from audio_cls.evaluation.metrics.baseline import read_majority
from audio_cls.evaluation.metrics.calibration import Calibration, calibrate, report_calibration
from audio_cls.evaluation.model_run import (
    inherit_settings,
    keep_lists,
    read_source_run,
    select_rows,
)
from audio_cls.evaluation.reports.report import report_scores
from audio_cls.evaluation.scorer import make_scorer
from audio_cls.models.inference_settings import (
    find_file,
    read_inference_settings,
    read_temperature,
)
from audio_cls.models.load import load_for_inference
from audio_cls.publishing.card.update import update_card
from audio_cls.run_warnings import collect_warnings
from audio_cls.runs.config_file import find_run_folder
from audio_cls.runs.provenance import (
    Clock,
    count_parameters,
    describe_command,
    describe_hardware,
    describe_model,
)
from audio_cls.runs.results import RunResults, SplitDescription, Timing
from audio_cls.versions import describe_versions
from audio_cls.workflows.show_results import show_aggregate, show_evaluation


@dataclass(frozen=True)
class EvaluateRequest:
    """What is to be evaluated, and what is to be done with the answer."""

    output_dir: Path | None  # None: see `choose_output`
    overwrite: bool
    model: str | None
    model_revision: str | None
    trust_remote_code: bool
    split: str
    label_map: Path | None
    calibrate: bool
    compare: Path | None
    update_card: bool
    predictions: Path | None
    aggregate: tuple[Path, ...]

    def __post_init__(self) -> None:
        """Check that exactly one thing is asked.

        Raises:
            SettingError: None or several of --model, --predictions and --aggregate were given.
        """
        given = [bool(self.model), self.predictions is not None, bool(self.aggregate)]
        if sum(given) != 1:
            raise SettingError(
                "Give one of --model (a run or a Hub id), --predictions (a predictions.csv) and"
                " --aggregate (several runs)."
            )
        if self.update_card and not (self.model and Path(self.model).is_dir()):
            raise SettingError("--update-card needs a run folder as --model: its card is there.")
        if self.calibrate and not self.model:
            raise SettingError("--calibrate needs --model: the temperature is in its config.json.")

    def choose_output(self, dataset: str | None) -> Path:
        """Return `--output-dir`, or its default for a data set that was given."""
        files = [self.predictions] if self.predictions else list(self.aggregate)
        return self.output_dir or choose_output(self.model, dataset, self.split, files)


def run_evaluation(request: EvaluateRequest, typed: dict[str, Any], preset: dict[str, Any]) -> None:
    """Evaluate a model on a data set, or recompute the metrics of written predictions.

    Args:
        request: What is evaluated, and where the results go.
        typed: Settings that the user gave, by name.
        preset: Settings of the preset of the data set; those of the model's run go before them.
    """
    if request.model is None:
        return evaluate_from_files(request, RunConfig.from_flat({**preset, **typed}))

    # --- 1. the model, and the settings of the run that it came from ---
    clock, warnings = Clock(), collect_warnings()
    source = str(find_run_folder(request.model) or request.model)
    run = read_source_run(functools.partial(find_file, source, request.model_revision))
    cfg, is_same_dataset = inherit_settings(typed, run, preset)
    accelerator = start_accelerator(cfg.train)
    output = request.choose_output(typed.get("dataset"))
    if accelerator.is_main_process:
        check_output(output, overwrite=request.overwrite)
    audio_model = load_for_inference(
        request.model, request.model_revision, trust_remote_code=request.trust_remote_code
    )
    model = ModelConfig(model=request.model, model_revision=audio_model.revision)
    cfg = dataclasses.replace(
        cfg,
        data=dataclasses.replace(cfg.data, problem_type=audio_model.problem_type),
        model=model,
        audio=read_inference_settings(audio_model),
        eval=cfg.eval.choose_metric(is_multilabel=audio_model.is_multilabel),
    )
    temperature = read_temperature(audio_model) if request.calibrate else None

    # --- 2. the clips, with the model's labels ---
    with accelerator.main_process_first():
        dataset = relabel_keywords(load_dataset(cfg.data), cfg.data)
        dataset_labels = parse_labels(dataset, cfg.data)
        mapping = load_label_map(request.label_map)
        match = match_labels(dataset_labels, audio_model.labels, mapping)
        index = build_clip_index(dataset, match.labels, cfg.data)
        chosen = select_rows(
            index,
            request.split,
            keep_lists(run, dataset, index),
            cfg,
            is_same_dataset=is_same_dataset,
        )
        clips, bad = prepare_split(
            dataset, index, chosen.rows, audio_model.processor.input_spec.sampling_rate, cfg.data
        )

    # --- 3. scores of every clip ---
    configure_cpu(accelerator, count_parameters(audio_model))
    scorer = make_scorer(audio_model, cfg, accelerator)
    prepare_seconds = clock.lap()
    scores = scorer.score(accelerator.prepare_model(audio_model.model, evaluation_mode=True), clips)
    seconds = clock.lap()

    # --- 4. results ---
    if accelerator.is_main_process:
        metadata = read_clip_metadata(clips)
        reported = calibrate(scores, temperature) if temperature else scores
        results = RunResults(
            dataset=describe_evaluated_split(
                dataset,
                dataset_labels,
                clips,
                SplitDescription(
                    name=chosen.split,
                    origin=chosen.origin,
                    num_available=len(chosen.rows),
                    is_given=chosen.is_whole
                    and len(clips) + len(bad) == len(chosen.rows)
                    and not match.unmatched,
                ),
            ),
            model=describe_model(cfg, audio_model),
            labels=list(audio_model.labels),
            unmatched_labels=match.unmatched,
            labels_as_unknown=match.as_unknown,
            metric=cfg.eval.metric_key,
            test=report_scores(
                reported,
                audio_model.labels,
                cfg.eval,
                metadata,
                read_majority(run.test, audio_model.labels),
            ),
            calibration=report_calibration(scores, Calibration(temperature), is_applied=True)
            if temperature
            else {},
            timing=Timing(prepare_seconds=prepare_seconds, evaluate_seconds=seconds),
            bad_audio={"skipped": len(bad)},
            hardware=describe_hardware(accelerator),
            command=describe_command(),
            versions=describe_versions(),
            warnings=warnings,
        )
        results = write_evaluation(output, results, reported, metadata, request.compare)
        if request.update_card:
            update_card(request.model, output)
        show_evaluation(results, output, cfg.train.log)
    accelerator.end_training()


def evaluate_from_files(request: EvaluateRequest, cfg: RunConfig) -> None:
    """Evaluate without a model: metrics of a predictions.csv, or the aggregate of several runs."""
    output = request.choose_output(None)
    check_output(output, overwrite=request.overwrite)
    if request.predictions is not None:
        results = recompute(request.predictions, output, cfg.eval, request.compare)
        show_evaluation(results, output, cfg.train.log)
    else:
        found = write_aggregate(request.aggregate, output / AGGREGATE_FILE)
        show_aggregate(found, request.aggregate, output, cfg.train.log)
