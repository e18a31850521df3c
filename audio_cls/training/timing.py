"""Timing of a finished training run, for results.json."""

from __future__ import annotations

from dataclasses import replace

from audio_cls.distributed import Accelerator
from audio_cls.distributed.hardware import read_peak_memory
from audio_cls.runs.results import Energy, ProbeResults, Timing
from audio_cls.training.loop import TrainingRun


def describe_timing(
    run: TrainingRun, test_seconds: float, refit: TrainingRun | None = None
) -> Timing:
    """Return the `timing` part of results.json, summed over all starts of the run.

    Training seconds do not include evaluation; `energy`, if measured, is that of training and its
    evaluations. The steps that a killed start did after its last checkpoint do not count.

    Args:
        run: The training run, at its end.
        test_seconds: Duration of the evaluations after the training: of the best epoch, on test.
        refit: The second training of `--refit`: its times are added, its steps are not.
    """
    times = run.progress.sum_times()
    num_steps = run.state.step
    if refit is not None:
        times = replace(times.add(refit.progress.sum_times()), starts=times.starts)
        num_steps += refit.state.step
    seconds, num_clips = times.train_seconds, num_steps * run.sampler.shape.clips
    energy = run.energy_meter.describe(times.energy)
    evaluate_seconds = times.evaluate_seconds + test_seconds
    total = times.prepare_seconds + seconds + evaluate_seconds
    return Timing(
        starts=times.starts,
        prepare_seconds=round(times.prepare_seconds, 2),
        train_seconds=round(seconds, 2),
        evaluate_seconds=round(evaluate_seconds, 2),
        evaluate_share=round(evaluate_seconds / total, 4) if total else None,
        steps=run.state.step,
        clips_per_step=run.sampler.shape.clips,
        overhead_share=times.overhead_share,
        skipped_steps=run.state.skipped_steps,
        evaluations=times.evaluations,
        validation_seconds=round(times.evaluate_seconds, 3),
        train_clips_per_second=round(num_clips / seconds, 2) if seconds else 0.0,
        peak_memory_mb=times.peak_memory_mb,
        energy=None if energy is None else Energy(**energy),
    )


def describe_probe_timing(
    accelerator: Accelerator,
    results: ProbeResults,
    prepare_seconds: float,
    test_seconds: float,
    *,
    energy: Energy | None = None,
) -> Timing:
    """Return the `timing` part of results.json of a linear probe, which has no steps.

    Args:
        accelerator: This run's processes.
        results: The seconds of the encoder's pass and of the fits.
        prepare_seconds: From the start to the pass of the encoder.
        test_seconds: Of the evaluation on the test split.
        energy: If it was measured.
    """
    seconds = (results.feature_seconds or 0.0) + (results.fit_seconds or 0.0)
    return Timing(
        starts=1,
        prepare_seconds=round(prepare_seconds, 2),
        train_seconds=round(seconds, 2),
        evaluate_seconds=round(test_seconds, 2),
        peak_memory_mb=read_peak_memory(accelerator),
        energy=energy,
    )
