#!/usr/bin/env python
"""The way of a finished classifier to its numbers, on any data set.

    accelerate launch scripts/evaluate.py --model runs/gtzan-distilhubert --output-dir results
    python scripts/evaluate.py --model USER/MODEL --dataset marsyas/gtzan --output-dir results
    python scripts/evaluate.py --predictions runs/gtzan-distilhubert/predictions.csv \
        --output-dir results

Clips are heard in the windows that training noted in the model, and scored by the code that judged
the training; what is not told about the data set is taken from the model's own run.
"""

from __future__ import annotations

import os
import sys

# Python looks in this folder first, where evaluate.py would hide the library of that name.
if os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
    sys.path.pop(0)

import dataclasses
import functools
from typing import Any

from audio_cls.cli.evaluate import EvaluateRequest, evaluate_command
from audio_cls.run_warnings import collect_warnings


@evaluate_command
def main(ask: EvaluateRequest, typed: dict[str, Any], preset: dict[str, Any]) -> None:  # noqa: PLR0915
    """Judge an audio classifier on a data set's clips, or compute its numbers again."""
    # Not at the top of the file, so that --help need not wait for torch.
    from audio_cls.config import ModelConfig, RunConfig
    from audio_cls.data.clips.metadata import read_clip_metadata
    from audio_cls.data.labels.labels import read_labels
    from audio_cls.data.prepare import prepare_split
    from audio_cls.data.sources.source import load_source
    from audio_cls.data.splits.clip_index import build_clip_index
    from audio_cls.distributed.accelerator import start_accelerator
    from audio_cls.distributed.hardware import configure_cpu, describe_hardware
    from audio_cls.evaluation.evaluate_model import (
        describe_evaluated_split,
        evaluate_from_files,
        open_output,
        write_evaluation,
    )
    from audio_cls.evaluation.label_mapping import load_label_map, match_labels
    from audio_cls.evaluation.metrics.baseline import read_majority
    from audio_cls.evaluation.metrics.calibration import Decision, calibrate, report_calibration
    from audio_cls.evaluation.model_run import (
        inherit_settings,
        keep_lists,
        read_source_run,
        resolve_task,
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
    from audio_cls.runs.provenance import (
        Clock,
        count_parameters,
        describe_command,
        describe_model,
        describe_versions,
    )

    if ask.model is None:
        how = RunConfig.from_flat({**preset, **typed}).eval
        sources = (ask.predictions, ask.aggregate, ask.output_dir)
        return evaluate_from_files(*sources, how, ask.compare)

    # --- 1. the model, and what its own run left beside it ---
    clock, warnings = Clock(), collect_warnings()
    run = read_source_run(functools.partial(find_file, ask.model, ask.model_revision))
    cfg, is_own = inherit_settings(typed, run, preset)
    accelerator = start_accelerator(cfg.train)
    if accelerator.is_main_process:
        open_output(ask.output_dir)
    backbone = load_for_inference(
        ask.model, ask.model_revision, trust_remote_code=ask.trust_remote_code
    )
    own_model = ModelConfig(model=ask.model, model_revision=backbone.revision)
    told = dataclasses.replace(cfg, model=own_model, audio=read_inference_settings(backbone))
    cfg = resolve_task(told, backbone.problem_type)
    temperature = read_temperature(backbone) if ask.calibrate else None

    # --- 2. the clips, under the model's labels ---
    with accelerator.main_process_first():
        source = load_source(cfg.data)
        given = read_labels(source.splits, cfg.data)
        mapping = load_label_map(ask.label_map)
        match = match_labels(given, backbone.labels, mapping)
        pool = build_clip_index(source, match.labels, cfg.data)
        rows, origin = select_rows(
            pool, ask.split, keep_lists(run, source, pool), cfg, is_own=is_own
        )
        clips, bad = prepare_split(
            source, pool, rows, backbone.encoder.traits.sampling_rate, cfg.data
        )

    # --- 3. they are heard ---
    configure_cpu(accelerator, count_parameters(backbone))
    scorer = make_scorer(backbone, cfg, accelerator)
    prepare_seconds = clock.lap()
    scores = scorer.score(accelerator.prepare_model(backbone.model, evaluation_mode=True), clips)
    seconds = clock.lap()

    # --- 4. the numbers are told ---
    if accelerator.is_main_process:
        facts = read_clip_metadata(source, pool, clips)
        judged = calibrate(scores, temperature) if temperature else scores
        results = {
            "dataset": describe_evaluated_split(
                source,
                given,
                clips,
                ask.split,
                origin,
                is_whole=len(clips) + len(bad) == len(rows) and not match.unmatched,
            ),
            "model": describe_model(cfg, backbone),
            "labels": list(backbone.labels),
            "unmatched_labels": match.unmatched,
            "labels_as_unknown": match.as_unknown,
            "metric": cfg.eval.metric_key,
            "test": report_scores(
                judged,
                backbone.labels,
                cfg.eval,
                facts,
                read_majority(run.test, backbone.labels),
            ),
            "timing": {"prepare_seconds": prepare_seconds, "evaluate_seconds": seconds},
            "bad_audio": {"skipped": len(bad)},
            "hardware": describe_hardware(accelerator),
            "command": describe_command(),
            "versions": describe_versions(),
            "warnings": warnings,
        }
        if temperature:
            results["calibration"] = report_calibration(
                scores, Decision(temperature), is_applied=True
            )
        write_evaluation(ask.output_dir, results, judged, facts, ask.compare)
        if ask.update_card:
            update_card(ask.model, ask.output_dir)
    accelerator.end_training()


if __name__ == "__main__":
    main()
