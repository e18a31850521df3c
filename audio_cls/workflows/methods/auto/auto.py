"""`--method auto`: tries probe, fine-tuning and averages of weights, and keeps what validates best.

Every candidate has a folder in RUN/candidates. A run that is resumed continues the one that was
interrupted; finished ones have validation.json and are not repeated. No candidate reads the test
clips. A kept candidate is trained again on all clips with `--refit`, and where clips were held out
to choose on.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from audio_cls.data.clips.metadata import keep_groups
from audio_cls.distributed.hardware import read_peak_memory
from audio_cls.distributed.processes import is_main_process, wait_for_processes
from audio_cls.errors import Paused
from audio_cls.evaluation.candidates import Candidate, choose_candidate
from audio_cls.evaluation.metrics.baseline import warn_if_above_chance
from audio_cls.events import emit_event
from audio_cls.linear_probe.checkpoint import set_head
from audio_cls.linear_probe.run import run_linear_probe
from audio_cls.runs.records.candidates import Candidates
from audio_cls.runs.results import Energy, ProbeResults, Timing
from audio_cls.runs.resume import describe_resume
from audio_cls.storage.files import write_json, write_whole
from audio_cls.training.energy import EnergyMeter
from audio_cls.training.start.inputs import MethodInputs
from audio_cls.training.start.report import StartReport
from audio_cls.workflows.methods.auto.baseline import (
    make_baseline_row,
    warn_if_baseline_is_better,
)
from audio_cls.workflows.methods.auto.candidate import (
    discard_training,
    list_best_epochs,
    read_step,
    remove_weights,
)
from audio_cls.workflows.methods.auto.combine import average_epochs, interpolate
from audio_cls.workflows.methods.auto.halving import (
    CANDIDATES,
    FineTuned,
    make_schedule,
    run_halving,
)
from audio_cls.workflows.methods.auto.hold_out import Choice, plan_choice
from audio_cls.workflows.methods.auto.outcome import (
    CandidateScorer,
    Outcome,
    load_outcome,
    load_scorer,
)
from audio_cls.workflows.methods.auto.retrain import REFIT_PROBE, REFIT_START, refit_kept
from audio_cls.workflows.methods.auto.rows import make_rows
from audio_cls.workflows.methods.auto.table import format_candidates
from audio_cls.workflows.methods.fitted_model import FittedModel

PROBE, INTERPOLATION, AVERAGE = "probe", "interpolation", "average"  # folders of candidates
START = "start"  # of the model that fine-tuning starts from: the probe with smaller weights
LAYERS_FILE = "layers.json"  # of the probe: the layers that it compared
SIMPLE, TUNED = 0, 2  # complexity of the probe and of a fine-tuned model

logger = logging.getLogger(__name__)


def fit_auto(given: MethodInputs, report: StartReport) -> FittedModel:
    """Make all candidates, and keep one by its validation log loss. Call on every process.

    Args:
        given: Settings, clips and model, which is replaced by the chosen one.
        report: Shows what starts.

    Raises:
        Paused: A signal requested it; what is done is kept.
    """
    report.announce(given)
    prepare_seconds = given.clock.lap()
    choice = plan_choice(given)
    if choice.held_out is not None and is_main_process():
        logger.info("Candidates are compared on %s.", choice.held_out)
    with EnergyMeter(given.cfg.train, given.accelerator) as meter:
        outcomes, tuned = _make_candidates(choice)
        energy = meter.describe(meter.read())
    shared, again = choice.inputs, choice.again
    validation = shared.clips.validation
    groups = keep_groups(validation.groups)
    number, compared, reason = choose_candidate(
        [Candidate(one.name, one.complexity, np.array(one.losses)) for one in outcomes], groups
    )
    chosen = outcomes[number]
    rows, plain = make_rows(outcomes, compared, tuned, chosen), make_baseline_row(choice)
    candidates = Candidates(
        reason=reason,
        chosen_on=choice.held_out,
        rows=[*rows, *([] if plain is None else [plain])],
    )
    best = load_scorer(shared, chosen.folder)
    given.audio_model.model = best.audio_model.model
    if is_main_process():
        write_whole(given.folder.path, best.audio_model.save)
        show_candidates(candidates, given)
        if plain is not None:
            warn_if_baseline_is_better(candidates.kept, plain, choice.held_out or "validation")
    wait_for_processes()
    if not given.cfg.train.dry_run:  # of a few clips, it is no finding
        warn_if_above_chance(chosen.metrics["loss"], validation.labels, shared.epoch_labels)
    layers = given.folder.path / CANDIDATES / PROBE / LAYERS_FILE
    return FittedModel(
        model=best.prepared,
        scorer=best.scorer,
        validation=validation,
        test=given.clips.test,
        fitted_on="validation" if choice.held_out is None else "held-out training clips",
        validation_metrics={**chosen.metrics, "num_examples": len(chosen.losses)},
        describe_timing=functools.partial(
            _describe_timing,
            *(given, candidates, prepare_seconds),
            None if energy is None else Energy(**energy),
        ),
        close=functools.partial(_close, given),
        probe=ProbeResults.from_json(json.loads(layers.read_text("utf-8"))),
        candidates=candidates,
        refit=None
        if again is None
        else functools.partial(
            refit_kept,
            dataclasses.replace(shared, clips=again),
            chosen,
            tuned[0].settings,
            make_schedule(shared).num_steps,
        ),
    )


def _make_candidates(choice: Choice) -> tuple[list[Outcome], list[FineTuned]]:
    """Return the candidates to choose from, and all fine-tunings. Call on every process."""
    given = choice.inputs
    base = given.folder.path / CANDIDATES
    probe = _finish(base / PROBE, functools.partial(_make_probe, choice))
    assert probe is not None
    try:
        tuned = run_halving(given, base / START, probe.seconds)
    except Paused as error:
        resume = describe_resume(given.cfg, given.folder.path)
        text = f"Stopped by a signal; the state of all candidates is saved.\n{resume}"
        raise Paused(text) from error
    return [probe, *_list_tuned(given, probe, tuned[0])], tuned


def show_candidates(candidates: Candidates, given: MethodInputs) -> None:
    """Show the table of the candidates; with json the event `candidates`."""
    log, multi = given.cfg.train.log, given.labels.is_multilabel
    emit_event(log, "candidates", **candidates.to_json())
    if log == "text":
        lines = format_candidates(candidates, "map" if multi else "accuracy")
        logger.info("%s", "\n".join(["", *lines]))


def _finish(path: Path, make: Callable[[Path], Outcome | None]) -> Outcome | None:
    """Return the outcome of a candidate, made now unless a former start finished it."""
    outcome = load_outcome(path)
    wait_for_processes()  # until all have looked
    if outcome is None:
        outcome = make(path)
        if outcome is not None and is_main_process():
            outcome.save(path)
        wait_for_processes()
    return outcome


def _make_probe(choice: Choice, path: Path) -> Outcome:
    """Fit the probe, write its model into a folder, and score it.

    The model that fine-tuning starts from is written, too; and if the kept candidate is trained
    again, both with heads that are fitted on all clips.
    """
    given, started = choice.inputs, time.perf_counter()
    probe = run_linear_probe(
        *(given.cfg, given.accelerator, given.audio_model, given.clips),
        is_refit=choice.again is not None,
    )
    if is_main_process():
        write_whole(path, given.audio_model.save)
        scored_on = probe.results.scored_on
        if scored_on is not None and choice.held_out is not None:
            scored_on = scored_on.replace("validation", "held-out training")
        results = dataclasses.replace(probe.results, scored_on=scored_on)
        write_json(path / LAYERS_FILE, results.to_json())
        heads = {START: probe.start, REFIT_PROBE: probe.refitted, REFIT_START: probe.refitted_start}
        for name, head in heads.items():
            if head is not None:
                set_head(given.audio_model.model, head)
                write_whole(path.with_name(name), given.audio_model.save)
    wait_for_processes()
    scorer = load_scorer(given, path)
    best = probe.results.chosen
    return scorer.make_outcome(
        scorer.score(),
        name=PROBE,
        complexity=SIMPLE,
        folder=path,
        seconds=time.perf_counter() - started,
        note=f"layer {best.layer} of {probe.results.total_layers}, C {best.c:g}",
    )


def _list_tuned(given: MethodInputs, probe: Outcome, tuned: FineTuned) -> list[Outcome]:
    """Return the outcomes of the best fine-tuning and of those made of its weights.

    None where every fine-tuning failed.
    """
    if not math.isfinite(tuned.progress.loss):
        return []
    base = given.folder.path / CANDIDATES
    scorer, start = load_scorer(given, probe.folder), base / START
    best = list_best_epochs(tuned.path)[0]
    found = [
        _finish(base / INTERPOLATION, lambda path: interpolate(scorer, start, tuned, best, path)),
        _finish(base / AVERAGE, lambda path: average_epochs(scorer, tuned, path)),
        _finish(tuned.path, lambda _: _score_tuned(scorer, tuned, best)),
    ]
    return [one for one in found if one is not None]


def _score_tuned(scorer: CandidateScorer, tuned: FineTuned, folder: Path) -> Outcome:
    """Score the best epoch of the fine-tuning that was trained to the end, from its folder."""
    scores = scorer.score(scorer.audio_model.read_state(folder))
    return scorer.make_outcome(
        scores,
        name=tuned.name,
        complexity=TUNED,
        folder=folder,
        seconds=tuned.progress.seconds,
        settings=tuned.settings,
        epoch=tuned.progress.epoch,
        steps=[read_step(folder)],
        share=1.0,
    )


def _describe_timing(
    given: MethodInputs,
    candidates: Candidates,
    prepare_seconds: float,
    energy: Energy | None,
    test_seconds: float,
) -> Timing:
    """Return the `timing` part of results.json; training seconds are those of all candidates."""
    seconds = sum(one.seconds or 0.0 for one in candidates.rows if not one.is_baseline)
    return Timing(
        starts=1,
        prepare_seconds=round(prepare_seconds, 2),
        train_seconds=round(seconds, 2),
        evaluate_seconds=round(test_seconds, 2),
        peak_memory_mb=read_peak_memory(given.accelerator),
        energy=energy,
    )


def _close(given: MethodInputs) -> None:
    """Remove weights and checkpoints of the candidates; close the run folder.

    Their settings and tables stay, and the model that fine-tuning started from: with them each can
    be repeated. Call on every process.
    """
    if is_main_process():
        for path in (given.folder.path / CANDIDATES).glob("*"):
            discard_training(path)
            if path.name != START:
                remove_weights(path)
    given.folder.close()
