#!/usr/bin/env python
"""The way of a clip from a data set id to a published classifier.

    accelerate launch scripts/train.py --preset demo
    accelerate launch scripts/train.py --dataset marsyas/gtzan

Every line of `main` is a station; what happens there is told in the room it names.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Python looks in this folder first, where evaluate.py would hide the library of that name.
if os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
    sys.path.pop(0)

from audio_cls.cli.options import announce_settings, settings_command
from audio_cls.config import RunConfig


@settings_command()
def main(cfg: RunConfig) -> None:
    """Train an audio classifier on any data set, judge it on clips it never heard, describe it."""
    # Not at the top of the file, so that --help need not wait for torch.
    from audio_cls import evaluation, training

    runs = training.plan_runs(cfg)  # one, unless --seeds or --folds ask for more
    folders = [train_classifier(run) for run in runs]
    if len(runs) > 1:
        evaluation.report_runs(folders)
    training.leave_processes()


def train_classifier(cfg: RunConfig) -> Path:
    """Do one run from its data set to its model card; return its folder."""
    from audio_cls import data, evaluation, model, publishing, training

    clock = training.Clock()
    accelerator = training.start_accelerator(cfg.train)
    announce_settings(cfg, is_shown=accelerator.is_main_process)
    folder, cfg = training.open_run(cfg, accelerator)
    repo_id = publishing.check_hub(cfg.hub, folder.path.name) if cfg.hub.push_to_hub else None

    # --- 1. a data set id becomes clips ---
    with accelerator.main_process_first():
        source = data.load_source(cfg.data)
        data.warn_if_heard(source, cfg.model)
        labels = data.read_labels(source.splits, cfg.data)
        pool = data.pool_clips(source, labels, cfg.data)
        splits = data.make_splits(pool, cfg.data)
        rate = model.load_extractor(cfg.model, cfg.audio).sampling_rate
        clips = data.prepare_clips(source, pool, splits, rate, cfg.data)

        # --- 2. a checkpoint id becomes a classifier ---
        backbone = model.load_backbone(cfg.model, cfg.audio, labels.names)
    training.save_settings(folder, training.pin_revisions(cfg, source, backbone), accelerator)

    # --- 3. batches teach it, validation chooses the best epoch ---
    heard = training.hear_ahead(cfg, accelerator, backbone, clips)
    scorer = evaluation.make_scorer(heard.backbone, cfg, accelerator)
    judge = evaluation.make_judge(scorer, heard.validation, cfg.eval)
    run = training.set_up_training(cfg, accelerator, folder, heard.backbone, heard.train, judge)
    prepare_seconds = clock.lap()
    with publishing.follow_training(run, repo_id):
        training.train(run)
    clock.lap()

    # --- 4. test clips judge the best one ---
    best = accelerator.prepare_model(heard.load_best(folder.path).model, evaluation_mode=True)
    temperature = evaluation.fit_temperature(scorer.score(best, heard.validation))
    scores, test_seconds = scorer.score(best, heard.test), clock.lap()

    # --- 5. the run is described and published ---
    if accelerator.is_main_process:
        clips.save(folder.path)
        model.save_temperature(folder.path, temperature)
        facts = data.read_clip_facts(source, pool, clips.test)
        results = {
            "dataset": data.describe_data(source, labels, splits, clips),
            "model": publishing.add_license(training.describe_model(cfg, backbone)),
            "labels": list(labels.names),
            "metric": cfg.eval.metric_key,
            "validation": evaluation.report_best(run.position, len(clips.validation)),
            "test": evaluation.report_scores(scores, labels.names, cfg.eval, facts),
            "calibration": evaluation.report_calibration(scores, temperature, is_applied=False),
            "timing": training.describe_timing(run, prepare_seconds, test_seconds),
            "bad_audio": {"skipped": len(clips.bad)},
            "samples": publishing.save_samples(
                folder.path, clips.test, labels.names, source.license
            ),
            "hardware": training.describe_hardware(accelerator),
            "command": training.describe_command(),
            "versions": training.describe_versions(),
            "date": training.describe_date(),
        }
        evaluation.write_report(folder.path, results, scores, facts)
        evaluation.draw_figures(folder.path)
        publishing.write_card(folder.path, repo_id)
        publishing.write_eval_results(folder.path)
        if repo_id is not None:
            publishing.push_run(folder.path, cfg.hub, repo_id)
    run.progress.close()
    return folder.path


if __name__ == "__main__":
    main()
