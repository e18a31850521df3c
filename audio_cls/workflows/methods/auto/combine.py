"""Candidates made of the weights of others: interpolation with the start, average of epochs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from audio_cls.distributed.processes import is_main_process, wait_for_processes
from audio_cls.errors import count_of
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.models.finetuning.weight_average import average_greedily, interpolate_weights
from audio_cls.storage.files import write_whole
from audio_cls.workflows.methods.auto.candidate import list_best_epochs, read_step
from audio_cls.workflows.methods.auto.halving import FineTuned
from audio_cls.workflows.methods.auto.outcome import CandidateScorer, Outcome

ALPHAS = (0.25, 0.5, 0.75)  # share of the fine-tuned weights
COMBINED = 1  # complexity: between the probe and a fine-tuned model


def interpolate(
    scorer: CandidateScorer, start: Path, tuned: FineTuned, epoch: Path, path: Path
) -> Outcome:
    """Interpolate between a fine-tuned model and the one it started from; keep the best share.

    Call on every process. Writes the model into the folder `path`.

    Args:
        scorer: Of models of this architecture.
        start: Folder of the model that fine-tuning started from.
        tuned: The fine-tuning.
        epoch: Folder of its best model.
        path: Folder of the candidate.
    """
    started = time.perf_counter()
    first = scorer.audio_model.read_state(start)
    second = scorer.audio_model.read_state(epoch)
    scores: dict[float, Scores] = {
        alpha: scorer.score(interpolate_weights(first, second, alpha)) for alpha in ALPHAS
    }
    best = min(ALPHAS, key=lambda alpha: scorer.loss(scores[alpha]))
    _save(scorer, interpolate_weights(first, second, best), path)
    return scorer.make_outcome(
        scores[best],
        name=path.name,
        complexity=COMBINED,
        folder=path,
        seconds=time.perf_counter() - started,
        note=f"{best:g} of the weights of {tuned.name}, {1 - best:g} of its start",
        steps=[read_step(epoch)],
        share=best,
    )


def average_epochs(scorer: CandidateScorer, tuned: FineTuned, path: Path) -> Outcome | None:
    """Average the best epochs of a fine-tuning greedily. Call on every process.

    Writes the model into the folder `path`.

    Args:
        scorer: Of models of this architecture.
        tuned: The fine-tuning.
        path: Folder of the candidate.

    Returns:
        None where no epoch lowers the validation log loss of the best one.
    """
    started = time.perf_counter()
    folders = list_best_epochs(tuned.path)
    scores: list[Scores] = []

    def compute_loss(state: Mapping[str, Tensor]) -> float:
        scores.append(scorer.score(state))
        return scorer.loss(scores[-1])

    states = (scorer.audio_model.read_state(folder) for folder in folders)
    average, joined = average_greedily(states, compute_loss)
    if len(joined) == 1:
        return None
    _save(scorer, average, path)
    return scorer.make_outcome(
        scores[joined[-1]],
        name=path.name,
        complexity=COMBINED,
        folder=path,
        seconds=time.perf_counter() - started,
        note=f"mean of {count_of(len(joined), 'epoch')} of {tuned.name}",
        steps=[read_step(folders[place]) for place in joined],
        share=1.0,
    )


def _save(scorer: CandidateScorer, state: Mapping[str, Tensor], path: Path) -> None:
    """Write the model with some weights into a folder. Call on every process."""
    scorer.audio_model.model.load_state_dict(state)
    if is_main_process():
        write_whole(path, scorer.audio_model.save)
    wait_for_processes()
