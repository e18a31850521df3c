"""The plain baseline next to the candidates, on the same clips: a check that costs no training."""

from __future__ import annotations

import logging

from audio_cls.data.clips.clips import Clips
from audio_cls.data.clips.metadata import keep_groups
from audio_cls.data.keyword_spotting.sampling import draw_first_epoch
from audio_cls.distributed.processes import is_main_process
from audio_cls.evaluation.baseline.fit import fit_baseline
from audio_cls.evaluation.baseline.report import NAME
from audio_cls.evaluation.candidates import clip_losses, mean_loss
from audio_cls.run_warnings import warn
from audio_cls.runs.records.candidates import CandidateRow
from audio_cls.workflows.methods.auto.candidate import make_metrics
from audio_cls.workflows.methods.auto.hold_out import Choice

BASELINE = "log-mel + LR"  # name of its row

logger = logging.getLogger(__name__)


def make_baseline_row(choice: Choice) -> CandidateRow | None:
    """Return the row of the plain baseline on the clips that candidates are compared on.

    That of the run is used, which has scored the validation clips; where clips are held out, one is
    fitted on the others.

    Returns:
        None with `--baseline no`, in a dry run, and on all processes but the main one.
    """
    given, cfg = choice.inputs, choice.inputs.cfg
    if cfg.eval.baseline == "no" or cfg.train.dry_run or not is_main_process():
        return None
    train, held = given.clips.train, given.clips.validation
    assert isinstance(train, Clips)  # a stream was refused with the settings
    fitted, names = given.baseline, given.labels.names
    if fitted is None or choice.held_out is not None:
        numbers = draw_first_epoch(train.labels, names, cfg.data, cfg.train.seed)
        fitted = fit_baseline(train, held, held, len(names), numbers, cfg.train.seed)
    assert fitted.validation is not None
    return CandidateRow(
        name=BASELINE,
        is_kept=False,
        is_baseline=True,
        log_loss=round(mean_loss(clip_losses(fitted.validation), keep_groups(held.groups)), 6),
        metrics=make_metrics(given)(fitted.validation),
        seconds=round(fitted.seconds, 2),
        note=f"baseline, is never kept: {NAME}, C {fitted.c:g}",
    )


def warn_if_baseline_is_better(kept: CandidateRow, baseline: CandidateRow, place: str) -> None:
    """Warn where the log loss of the kept candidate is not below that of the baseline.

    Args:
        kept: Row of the kept candidate.
        baseline: Row of the baseline.
        place: The clips that both were scored on.
    """
    assert kept.log_loss is not None and baseline.log_loss is not None
    if kept.log_loss < baseline.log_loss:
        return
    text = (
        f"The log loss of the kept model on {place}, {kept.log_loss:.4f}, is not below"
        f" {baseline.log_loss:.4f}, that of a plain baseline, {NAME}. Try another --model, or add"
        " training clips."
    )
    warn(logger, text)
