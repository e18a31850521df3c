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

from audio_cls.cli.messages import announce
from audio_cls.cli.options import announce_settings, settings_command
from audio_cls.config import RunConfig
from audio_cls.run_warnings import collect_warnings


@settings_command()
def main(cfg: RunConfig) -> None:
    """Train an audio classifier on any data set, judge it on clips it never heard, describe it."""
    # Not at the top of the file, so that --help need not wait for torch.
    from audio_cls import evaluation, training

    runs = training.plan_runs(cfg)  # one, unless --seeds, --folds or --sweep ask for more
    with training.end_with_launcher():
        if cfg.train.dry_run:
            with training.rehearse(runs[0]) as rehearsal:
                announce(training.estimate_run(runs, train_classifier(rehearsal)))
            return training.leave_processes()
        for run in training.list_unfinished(runs):
            with training.explain_run_disk(run):
                train_classifier(run)
        if len(runs) > 1 and training.is_main_process():
            folders = [training.choose_run_path(run) for run in runs]
            cases = training.describe_cases(cfg, runs)
            evaluation.report_runs(folders, cases, cfg.eval, folders[0].parent)
        training.leave_processes()


def train_classifier(cfg: RunConfig) -> Path:
    """Do one run from its data set to its model card; return its folder."""
    from audio_cls import data, evaluation, model, publishing, training

    clock, warnings = training.Clock(), collect_warnings()
    accelerator = training.start_accelerator(cfg.train)
    announce_settings(cfg, is_shown=accelerator.is_main_process)
    folder, cfg = training.open_run(cfg, accelerator)
    repo_id = publishing.check_publication(cfg, folder.path.name)

    # --- 1. a data set id becomes clips ---
    with accelerator.main_process_first():
        source = data.load_source(cfg.data)
        labels = data.read_labels(source.splits, cfg.data)
        cfg = training.settle_task(cfg, source, labels)
        data.warn_of_source(source, labels, cfg)
        pool = data.pool_clips(source, labels, cfg.data)
        splits = data.make_splits(pool, cfg.data)
        cfg, rate = model.read_hearing(cfg)
        clips = data.prepare_clips(source, pool, splits, rate, cfg.data)

        # --- 2. a checkpoint id becomes a classifier ---
        backbone = model.load_backbone(
            cfg.model, cfg.audio, labels.names, is_multilabel=labels.is_multilabel
        )
    cfg = training.fit_batch(cfg, accelerator, backbone, clips.train)
    training.save_settings(
        folder, training.pin_revisions(cfg, source, backbone), accelerator, clips
    )

    # --- 3. batches teach it, validation chooses the best epoch ---
    heard = training.hear_ahead(cfg, accelerator, backbone, clips)
    scorer = evaluation.make_scorer(heard.backbone, cfg, accelerator)
    judge = evaluation.make_judge(scorer, heard.validation, cfg.eval, clips.train.labels)
    run = training.set_up_training(cfg, accelerator, folder, heard.backbone, heard.train, judge)
    run.progress.prepare_seconds = clock.lap()
    with publishing.follow_training(run, repo_id):
        training.train(run)
    clock.lap()

    # --- 4. test clips judge the best one ---
    best = accelerator.prepare_model(
        heard.load_best(folder.path, trust_remote_code=cfg.model.trust_remote_code).model,
        evaluation_mode=True,
    )
    (decision, scores), judged_seconds = (
        evaluation.judge_test(scorer, best, heard.validation, heard.test),
        clock.lap(),
    )

    # --- 5. the run is described and published ---
    if accelerator.is_main_process:
        clips.save(folder.path)
        model.save_decision(folder.path, decision.temperature, labels.names, decision.thresholds)
        facts = data.read_clip_facts(source, pool, clips.test)
        results = {
            "dataset": publishing.add_languages(data.describe_data(source, labels, clips)),
            "model": publishing.add_license(training.describe_model(cfg, backbone)),
            "split_check": clips.check,
            "labels": list(labels.names),
            "metric": cfg.eval.metric_key,
            "validation": evaluation.report_best(run.position, len(clips.validation)),
            "test": evaluation.report_scores(
                scores, labels.names, cfg.eval, facts, evaluation.find_majority(clips.train.labels)
            ),
            "calibration": evaluation.report_calibration(scores, decision, is_applied=False),
            "timing": training.describe_timing(run, judged_seconds),
            "bad_audio": {"skipped": len(clips.read_bad(folder.path))},
            "samples": publishing.save_samples(
                folder.path, clips.test, labels.names, source.license
            ),
            "hardware": training.describe_hardware(accelerator),
            "command": training.describe_command(),
            "versions": training.describe_versions(),
            "date": training.describe_date(),
            "warnings": warnings,
        }
        evaluation.write_report(folder.path, results, scores, facts)
        evaluation.draw_figures(folder.path)
        publishing.write_eval_results(folder.path)
        publishing.write_card(folder.path, repo_id)  # the last: with it, the run is finished
        publishing.publish_run(folder.path, cfg, repo_id)
    training.close_run(run)
    return folder.path


if __name__ == "__main__":
    main()
