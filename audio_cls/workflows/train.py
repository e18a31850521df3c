"""Training: from a data set id to a published classifier, one run or several.

`run_steps` is one run from data set to model card; every line of it is a step, implemented in the
module that its import names. `run_training` opens the run folder around it, and `run_all` does the
runs that --seeds, --folds and --sweep ask for.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from audio_cls.config import RunConfig
from audio_cls.data.clips.metadata import read_clip_metadata
from audio_cls.data.describe import describe_data
from audio_cls.data.keyword_spotting.relabel import relabel_keywords
from audio_cls.data.keyword_spotting.sampling import take_epoch
from audio_cls.data.labels.labels import parse_labels
from audio_cls.data.load import load_dataset
from audio_cls.data.prepare import prepare_clips, warn_of_long_clips
from audio_cls.data.splits.clip_index import build_clip_index
from audio_cls.data.splits.splits import make_splits
from audio_cls.data.unused_columns import warn_of_unused_columns
from audio_cls.distributed import Accelerator
from audio_cls.distributed.accelerator import start_accelerator
from audio_cls.distributed.processes import is_main_process, shutdown_processes
from audio_cls.evaluation.aggregate_runs import report_runs
from audio_cls.evaluation.baseline.grouped import measure_shared_groups
from audio_cls.evaluation.baseline.report import fit_run_baseline, report_baseline
from audio_cls.evaluation.metrics.baseline import advise_training, find_majority
from audio_cls.evaluation.metrics.calibration import report_calibration, warn_of_limit
from audio_cls.evaluation.metrics.external import check_metric
from audio_cls.evaluation.reports.figures import draw_figures
from audio_cls.evaluation.reports.report import report_scores, write_report
from audio_cls.evaluation.validate import calibrate_model, score_test
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.contamination import warn_if_pretrained_on
from audio_cls.models.inference_settings import save_calibration
from audio_cls.models.load import load_for_training
from audio_cls.publishing.audio_samples import save_samples
from audio_cls.publishing.card.card import write_card
from audio_cls.publishing.eval_results import write_eval_results
from audio_cls.publishing.hub.preflight import run_preflight
from audio_cls.publishing.hub.publish import publish_run
from audio_cls.publishing.hub.source_metadata import add_languages, add_license
from audio_cls.run_warnings import collect_warnings
from audio_cls.runs.folder import RunFolder, choose_run_path
from audio_cls.runs.provenance import (
    Clock,
    describe_command,
    describe_date,
    describe_hardware,
    describe_model,
)
from audio_cls.runs.resolve_run import resolve_run
from audio_cls.runs.results import RunResults
from audio_cls.runs.setting_origins import SettingOrigins
from audio_cls.training.auto_batch_size import find_batch_size
from audio_cls.training.open_run import (
    explain_interrupt,
    explain_run_disk,
    load_first_start,
    opened_run,
    save_settings,
)
from audio_cls.training.optim.class_weights import check_weights
from audio_cls.training.start.inputs import MethodInputs
from audio_cls.training.start.report import StartReport
from audio_cls.training.stopping import end_with_launcher
from audio_cls.versions import describe_versions
from audio_cls.workflows.dry_run import estimate_run, start_dry_run
from audio_cls.workflows.finished_runs import close_finished
from audio_cls.workflows.methods.refit import check_refit, merge_validation, remove_refit_state
from audio_cls.workflows.methods.table import METHODS
from audio_cls.workflows.multi_run import describe_cases, list_unfinished, plan_runs, title_runs
from audio_cls.workflows.show_results import emit_end, show_estimate, show_runs, show_training


def run_all(
    cfg: RunConfig,
    *,
    origins: SettingOrigins | None = None,
    after_dry_run: Callable[[object], None] | None = None,
) -> list[Path]:
    """Train once, or once for each of --seeds, --folds and cases of --sweep.

    Args:
        cfg: All settings.
        origins: Where the settings came from, for the log; nothing for the Python API.
        after_dry_run: Called with the estimate of the full run after a dry run (`--dry-run`);
            with `--log json` it is an event instead.

    Returns:
        The run folders; none after a dry run.
    """
    runs = plan_runs(cfg)
    titles = title_runs(cfg)
    with end_with_launcher():
        if cfg.train.dry_run:
            with start_dry_run(runs[0]) as trial:
                report = StartReport(runs[0], origins)
                estimate = estimate_run(runs, run_training(trial, report))
                show_estimate(estimate, cfg.train.log, after_dry_run)
            shutdown_processes()
            return []
        unfinished = list_unfinished(runs)
        if is_main_process():
            for run in runs:
                if run not in unfinished:
                    close_finished(run)
        first = None
        swept = describe_cases(cfg, runs)[0]
        known = (origins or SettingOrigins()).with_sweep(swept)
        for run in unfinished:
            report = StartReport(run, known, title=titles[runs.index(run)], first=first)
            report.announce_title()
            with explain_run_disk(run), explain_interrupt(run):
                run_training(run, report)
            first = first or report
        folders = [choose_run_path(run) for run in runs]
        if len(runs) > 1 and is_main_process():
            found = report_runs(folders, describe_cases(cfg, runs), cfg.eval, folders[0].parent)
            show_runs(found, folders, cfg.train.log)
        shutdown_processes()
    return folders


def run_training(given: RunConfig, report: StartReport | None = None) -> Path:
    """Do one run in its folder, which is removed if the start fails; return the folder.

    Args:
        given: What the user asked for.
        report: Shows what starts; default: without the origins of the settings.
    """
    clock, warnings = Clock(), collect_warnings()
    accelerator = start_accelerator(load_first_start(given).apply(given).train)
    with opened_run(given, accelerator) as folder:
        return run_steps(given, accelerator, folder, report or StartReport(given), clock, warnings)


def run_steps(  # noqa: PLR0915 (one line per step)
    given: RunConfig,
    accelerator: Accelerator,
    folder: RunFolder,
    report: StartReport,
    clock: Clock,
    warnings: list[str],
) -> Path:
    """Do one run from its data set to its model card; return its folder.

    `given` is what the user asked for and is saved as it is. `resolved` is what the run found out
    (commits, task, crop length, batch size), `cfg` both together. A resumed run begins with what
    its first start resolved.
    """
    resumed = folder.resolved.apply(given)
    repo_id = run_preflight(resumed, folder.path.name)

    # --- 1. data set id -> clips in three splits ---
    with accelerator.main_process_first():
        checkpoint = open_checkpoint(resumed.model)  # first: an unknown model costs no download
        dataset = relabel_keywords(load_dataset(resumed.data), resumed.data)
        labels = parse_labels(dataset, resumed.data)
        precision = str(accelerator.mixed_precision)
        resolved = resolve_run(resumed, dataset, labels, checkpoint, precision)
        cfg = resolved.apply(resumed)
        check_metric(cfg.eval, len(labels.names), is_multilabel=labels.is_multilabel)
        check_weights(cfg.optim, is_multilabel=labels.is_multilabel, names=labels.names)
        warn_if_pretrained_on(dataset, cfg.model)
        warn_of_unused_columns(dataset, labels, cfg.data)
        index = build_clip_index(dataset, labels, cfg.data)
        splits = make_splits(index, cfg.data)
        check_refit(cfg, splits)
        clips = prepare_clips(dataset, labels, index, splits, resolved.sampling_rate, cfg.data)
        warn_of_long_clips(clips.train, cfg.audio)

        # --- 2. checkpoint id -> model with a classification head ---
        load_model = functools.partial(
            load_for_training,
            *(checkpoint, cfg.audio, labels.names),
            is_multilabel=labels.is_multilabel,
        )
        audio_model = load_model()
    resolved = find_batch_size(resolved, cfg, accelerator, audio_model, clips.train)
    cfg = resolved.apply(resumed)
    save_settings(folder, given, resolved, accelerator, clips)
    plain = fit_run_baseline(cfg, accelerator, clips, labels.names)
    shared = measure_shared_groups(cfg, accelerator, clips, labels.names)

    # --- 3. training by --method; validation selects the best model ---
    epoch_labels = take_epoch(clips.train.labels, labels.names, cfg.data)
    inputs = MethodInputs(
        *(cfg, accelerator, folder, dataset, labels, clips, audio_model, epoch_labels, clock),
        load_model=load_model,
        baseline=plain,
        repo_id=repo_id,
    )
    fitted = METHODS[cfg.train.method](inputs, report)
    clock.lap()
    fitted = fitted.score_validation()

    # --- 4. temperature and thresholds from validation; the best model, or a refit, on test ---
    calibration = calibrate_model(
        *(fitted.scorer, fitted.model, fitted.validation, fitted.test, fitted.validation_scores),
        fitted_on=fitted.fitted_on,
    )
    if not cfg.train.dry_run:  # after a few steps, it is no finding
        warn_of_limit(calibration)
    evaluate_seconds = clock.lap()
    if fitted.refit is not None:
        fitted = fitted.refit(fitted)
    if cfg.train.refit:
        merged = merge_validation(clips)
        epoch_labels = take_epoch(merged.train.labels, labels.names, cfg.data)
    clock.lap()
    scores = score_test(fitted.scorer, fitted.model, fitted.test, calibration)
    evaluate_seconds += clock.lap()

    # --- 5. results, model card, upload ---
    if accelerator.is_main_process:
        clips.save(folder.path)
        save_calibration(folder.path, calibration.temperature, labels.names, calibration.thresholds)
        metadata = read_clip_metadata(clips.test)
        kept = RunResults(probe=fitted.probe, candidates=fitted.candidates)
        results = RunResults(
            dataset=add_languages(describe_data(dataset, labels, clips)),
            model=add_license(describe_model(cfg, audio_model)),
            split_check=clips.check | ({"grouped_estimate": shared} if shared else {}),
            labels=list(labels.names),
            metric=cfg.eval.metric_key,
            user_transforms=list(cfg.augment.augment) or None,
            validation=fitted.validation_metrics,
            refit=fitted.refit_metrics,
            probe=fitted.probe,
            candidates=fitted.candidates,
            test=report_scores(
                *(scores, labels.names, cfg.eval, metadata, find_majority(epoch_labels)),
                advice=advise_training(cfg.optim, epoch_labels, is_probe=kept.is_linear_probe),
            ),
            baseline=report_baseline(plain, scores, metadata.groups, cfg),
            calibration=report_calibration(scores, calibration, is_applied=False),
            timing=fitted.describe_timing(evaluate_seconds),
            bad_audio={"skipped": len(clips.read_bad(folder.path))},
            samples=save_samples(folder.path, clips.test, labels.names, dataset.license),
            hardware=describe_hardware(accelerator, cfg.train.method),
            command=describe_command(),
            versions=describe_versions(),
            date=describe_date(),
            warnings=warnings,
        )
        write_report(folder.path, results, scores, metadata)
        draw_figures(folder.path)
        write_eval_results(folder.path)
        write_card(folder.path, repo_id)  # the last: with it, the run is finished
        remove_refit_state(folder.path)
        if cfg.train.keep_checkpoints == 0:
            folder.remove_checkpoints()
        show_training(folder.path, cfg.train, is_single=not report.title)
        address = publish_run(folder.path, cfg, repo_id)
        emit_end(folder.path, cfg.train, address)
    fitted.close()
    return folder.path
