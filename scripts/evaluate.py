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

from audio_cls.cli.judging import Question, evaluate_command
from audio_cls.run_warnings import collect_warnings


@evaluate_command
def main(ask: Question, typed: dict[str, Any], preset: dict[str, Any]) -> None:
    """Judge an audio classifier on a data set's clips, or compute its numbers again."""
    # Not at the top of the file, so that --help need not wait for torch.
    from audio_cls import data, evaluation, model, publishing, training
    from audio_cls.config import ModelConfig, RunConfig

    if ask.model is None:
        how = RunConfig.from_flat({**preset, **typed}).eval
        sources = (ask.predictions, ask.aggregate, ask.output_dir)
        return evaluation.answer_from_files(*sources, how, ask.compare)

    # --- 1. the model, and what its own run left beside it ---
    clock, warnings = training.Clock(), collect_warnings()
    run = evaluation.read_own_run(functools.partial(model.find_file, ask.model, ask.model_revision))
    cfg, is_own = evaluation.adopt_settings(typed, run, preset)
    accelerator = training.start_accelerator(cfg.train)
    if accelerator.is_main_process:
        evaluation.open_output(ask.output_dir)
    backbone = model.load_trained(
        ask.model, ask.model_revision, trust_remote_code=ask.trust_remote_code
    )
    own_model = ModelConfig(model=ask.model, model_revision=backbone.revision)
    told = dataclasses.replace(cfg, model=own_model, audio=model.read_audio_settings(backbone))
    cfg = evaluation.follow_task(told, backbone.problem_type)
    temperature = model.read_temperature(backbone) if ask.calibrate else None

    # --- 2. the clips, under the model's labels ---
    with accelerator.main_process_first():
        source = data.load_source(cfg.data)
        given = data.read_labels(source.splits, cfg.data)
        mapping = evaluation.load_label_map(ask.label_map)
        match = evaluation.match_labels(given, backbone.labels, mapping)
        pool = data.pool_clips(source, match.labels, cfg.data)
        rows, origin = evaluation.choose_rows(
            pool, ask.split, evaluation.keep_lists(run, source, pool), cfg, is_own=is_own
        )
        clips, bad = data.prepare_split(
            source, pool, rows, backbone.encoder.traits.sampling_rate, cfg.data
        )

    # --- 3. they are heard ---
    training.ready_cpu(accelerator, training.count_parameters(backbone))
    scorer = evaluation.make_scorer(backbone, cfg, accelerator)
    prepare_seconds = clock.lap()
    scores = scorer.score(accelerator.prepare_model(backbone.model, evaluation_mode=True), clips)
    seconds = clock.lap()

    # --- 4. the numbers are told ---
    if accelerator.is_main_process:
        facts = data.read_clip_facts(source, pool, clips)
        judged = evaluation.calibrate(scores, temperature) if temperature else scores
        results = {
            "dataset": evaluation.describe_judged(
                source,
                given,
                clips,
                ask.split,
                origin,
                is_whole=len(clips) + len(bad) == len(rows) and not match.unmatched,
            ),
            "model": training.describe_model(cfg, backbone),
            "labels": list(backbone.labels),
            "unmatched_labels": match.unmatched,
            "labels_as_unknown": match.as_unknown,
            "metric": cfg.eval.metric_key,
            "test": evaluation.report_scores(
                judged,
                backbone.labels,
                cfg.eval,
                facts,
                evaluation.read_majority(run.test, backbone.labels),
            ),
            "timing": {"prepare_seconds": prepare_seconds, "evaluate_seconds": seconds},
            "bad_audio": {"skipped": len(bad)},
            "hardware": training.describe_hardware(accelerator),
            "command": training.describe_command(),
            "versions": training.describe_versions(),
            "warnings": warnings,
        }
        if temperature:
            results["calibration"] = evaluation.report_calibration(
                scores, evaluation.Decision(temperature), is_applied=True
            )
        evaluation.write_answer(ask.output_dir, results, judged, facts, ask.compare)
        if ask.update_card:
            publishing.update_card(ask.model, ask.output_dir)
    accelerator.end_training()


if __name__ == "__main__":
    main()
