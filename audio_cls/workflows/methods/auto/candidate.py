"""Training of one fine-tuning candidate: an ordinary run without a test and without a card.

::

    RUN/candidates/NAME/
      run_config.yaml summary.csv config.json model.safetensors ...   as in every run folder
      checkpoints/     to continue from, until the choice is made
      epochs/step-N/   the models of the best epochs, for averaging, until the choice is made
"""

from __future__ import annotations

import csv
import dataclasses
import json
import logging
import math
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from audio_cls.config import RunConfig
from audio_cls.data.labels.labels import Labels
from audio_cls.distributed import Accelerator
from audio_cls.distributed.accelerator import start_accelerator
from audio_cls.evaluation.metrics.scores import Scores
from audio_cls.evaluation.scorer import make_scorer
from audio_cls.evaluation.validate import make_summarizer
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.feature_cache.precompute import precompute_frozen_features
from audio_cls.models.load import load_for_training
from audio_cls.runs.folder import RunFolder
from audio_cls.runs.resolved import ResolvedRun
from audio_cls.runs.resume import find_whole_checkpoint
from audio_cls.runs.run_files import WEIGHTS
from audio_cls.runs.trainer_state import TrainerState
from audio_cls.storage.files import write_json, write_whole
from audio_cls.training.loop import TrainingRun, Validator, train
from audio_cls.training.open_run import close_run, opened_run, save_settings
from audio_cls.training.setup import set_up_training
from audio_cls.training.start.inputs import MethodInputs
from audio_cls.training.stopping import StopController

KEPT_EPOCHS = 5  # models of the best epochs that are kept for averaging
EPOCHS = "epochs"  # their folder
STOPPED_FILE = "progress.json"  # of a candidate that is not trained further

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """How far a candidate is trained."""

    step: int  # of the last validation
    seconds: float  # of training and validation
    metrics: dict[str, float]  # of the epoch with the lowest validation log loss; empty: it failed
    epoch: float  # that epoch

    @property
    def loss(self) -> float:
        """Return the lowest validation log loss; infinity where the training failed."""
        return self.metrics.get("loss", math.inf)


def train_candidate(
    cfg: RunConfig,
    shared: MethodInputs,
    last_step: int,
    max_minutes: float | None = None,
    *,
    title: str = "",
    keep_steps: Collection[int] = (),
) -> Progress:
    """Train a candidate up to a step, from where it is in its folder. Call on every process.

    Args:
        cfg: Its settings, from `make_candidate_config`.
        shared: What all candidates share.
        last_step: Step after which this stage ends.
        max_minutes: Of its training in all stages; None for no limit.
        title: Is logged unless nothing is left to do.
        keep_steps: Without validation clips, the steps after which the model is kept.

    Raises:
        Paused: A signal requested it; the state is saved.
        TrainingError: The loss is not finite any more, or memory ran out.
    """
    path = Path(str(cfg.train.output_dir))
    done = read_progress(path)
    is_late = max_minutes is not None and done is not None and done.seconds >= 60 * max_minutes
    if done is not None and (done.step >= last_step or is_late):
        return done
    accelerator = start_accelerator(cfg.train)
    if accelerator.is_main_process:
        logger.info("%s", title)
    with opened_run(cfg, accelerator) as folder:
        run = _set_up(cfg, accelerator, folder, shared, keep_steps)
        run.stop_controller = StopController(accelerator, max_minutes)
        run.stop_after(last_step)
        train(run)
        close_run(run)
    accelerator.free_memory()
    progress = read_progress(path)
    assert progress is not None
    return progress


def read_progress(path: Path) -> Progress | None:
    """Return how far the candidate in a folder is trained; None before its first validation."""
    if (path / STOPPED_FILE).is_file():
        return Progress(**json.loads((path / STOPPED_FILE).read_text("utf-8")))
    checkpoint = find_whole_checkpoint(RunFolder(path), "auto")
    if checkpoint is None:
        return None
    state = TrainerState.load(checkpoint)
    if state.best is None:
        return None
    times = state.times
    seconds = times.train_seconds + times.evaluate_seconds
    return Progress(state.last_eval_step, seconds, state.best.metrics, state.best.epoch)


def stop_candidate(path: Path, progress: Progress) -> None:
    """End a candidate that is left behind: its progress is kept, its weights are removed.

    Main process only.
    """
    path.mkdir(parents=True, exist_ok=True)  # it is removed if the first step failed
    write_json(path / STOPPED_FILE, dataclasses.asdict(progress))
    discard_training(path)
    remove_weights(path)


def discard_training(path: Path) -> None:
    """Remove what a candidate needs to be trained further or averaged. Main process only."""
    RunFolder(path).remove_checkpoints()
    shutil.rmtree(path / EPOCHS, ignore_errors=True)


def remove_weights(path: Path) -> None:
    """Remove the weights in a candidate's folder. Main process only."""
    for file in path.glob(WEIGHTS):
        file.unlink()


def _set_up(
    cfg: RunConfig,
    accelerator: Accelerator,
    folder: RunFolder,
    shared: MethodInputs,
    keep_steps: Collection[int],
) -> TrainingRun:
    """Put the run of a candidate together up to its next step."""
    clips = shared.clips
    with accelerator.main_process_first():
        audio_model = load_candidate(cfg, shared.labels)
    save_settings(folder, cfg, ResolvedRun(), accelerator, clips)
    inputs = precompute_frozen_features(cfg, accelerator, audio_model, clips)
    scorer = make_scorer(inputs.audio_model, cfg, accelerator)
    keeper = _EpochKeeper(accelerator, audio_model, folder.path, keep_steps)
    if len(inputs.validation):
        compute = make_metrics(shared)
        keeper.validate = lambda model: compute(scorer.score(model, inputs.validation))
    run = set_up_training(cfg, accelerator, folder, inputs, keeper)
    keeper.state = run.state
    return run


def make_metrics(shared: MethodInputs) -> Callable[[Scores], dict[str, float]]:
    """Return the function that computes the validation metrics of any candidate."""
    summarize = make_summarizer(
        shared.cfg.eval, shared.labels.names, shared.clips.validation, shared.epoch_labels
    )

    def compute(scores: Scores) -> dict[str, float]:
        metrics = summarize(scores)
        return {**metrics, "log_loss": metrics["loss"]}  # which chooses the epoch

    return compute


def load_candidate(cfg: RunConfig, labels: Labels) -> AudioModel:
    """Load the classifier that `cfg.model` names, with its trained head, in evaluation mode."""
    checkpoint = open_checkpoint(cfg.model)
    return load_for_training(
        checkpoint, cfg.audio, labels.names, is_multilabel=labels.is_multilabel
    )


class _EpochKeeper:
    """Validator that also keeps the models of the best epochs; without validation, given ones."""

    def __init__(
        self,
        accelerator: Accelerator,
        audio_model: AudioModel,
        path: Path,
        keep_steps: Collection[int],
    ) -> None:
        self.accelerator = accelerator
        self.audio_model = audio_model
        self.path = path
        self.validate: Validator = lambda _: {}  # set where there are validation clips
        self.keep_steps = keep_steps
        self.state = TrainerState()  # of the run, set when it is made

    def __call__(self, model: nn.Module) -> dict[str, float]:
        """Return the validation metrics, and save the model if it is one of the best."""
        metrics = self.validate(model)
        if self.accelerator.is_main_process:
            kept = self.keep_steps
            if metrics:
                losses = {**read_losses(self.path), self.state.step: metrics["loss"]}
                kept = sorted(losses, key=lambda step: losses[step])[:KEPT_EPOCHS]
            if self.state.step in kept:
                unwrapped: Any = self.accelerator.unwrap_model(model)
                whole = dataclasses.replace(self.audio_model, model=unwrapped)
                write_whole(epoch_folder(self.path, self.state.step), whole.save)
            for folder in (self.path / EPOCHS).glob("step-*"):
                if read_step(folder) not in kept:
                    shutil.rmtree(folder)
        self.accelerator.wait_for_everyone()
        return metrics


def read_losses(path: Path) -> dict[int, float]:
    """Return the validation log loss after each evaluated step, from summary.csv."""
    file = path / "summary.csv"
    if not file.is_file():
        return {}
    with file.open(newline="", encoding="utf-8") as rows:
        return {int(row["step"]): float(row["validation_loss"]) for row in csv.DictReader(rows)}


def list_best_epochs(path: Path) -> list[Path]:
    """Return the folders of the kept models of a candidate, the lowest log loss first."""
    losses = read_losses(path)
    steps = sorted(losses, key=lambda step: losses[step])
    return [folder for folder in (epoch_folder(path, step) for step in steps) if folder.is_dir()]


def read_step(folder: Path) -> int:
    """Return the step in the name of a kept model's folder."""
    return int(folder.name.removeprefix("step-"))


def epoch_folder(path: Path, step: int) -> Path:
    """Return the folder of the model after a step."""
    return path / EPOCHS / f"step-{step}"
