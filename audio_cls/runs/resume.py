"""Going on with a run: where its state comes from, and what must be as it was."""

from __future__ import annotations

import logging
from pathlib import Path

from audio_cls.config import RunConfig
from audio_cls.errors import RunFolderError, list_names
from audio_cls.run_warnings import warn
from audio_cls.runs.config_file import SETTINGS_FILE, list_other_settings
from audio_cls.runs.folder import POSITION_FILE, RunFolder
from audio_cls.runs.trainer_state import TrainerState
from audio_cls.training.optim.lr_schedule import learning_rate_factor

logger = logging.getLogger(__name__)


def find_source_run(path: Path, resume: str) -> Path | None:
    """Return the folder of the other run that `--resume CHECKPOINT` takes its state from.

    None where the run goes on in its own folder, or the checkpoint lies in no run folder.
    """
    if resume in ("never", "auto"):
        return None
    source = Path(resume).absolute().parent.parent
    is_run = (source / SETTINGS_FILE).is_file()
    return source if is_run and source.resolve() != path.resolve() else None


def check_source_run(source: Path, path: Path, cfg: RunConfig) -> None:
    """Compare a new run with the one whose checkpoint it starts from.

    Raises:
        RunFolderError: It has other data, sound or another model, whose state would mean nothing
            there; or the new folder has checkpoints of its own.
    """
    if any(path.glob("checkpoints/step-*")):
        raise RunFolderError(
            f"'{path}' has checkpoints of its own, which would be lost. Go on with them by --resume"
            f" auto, or choose another --output-dir for what begins at {cfg.train.resume}."
        )
    other = list_other_settings(source, cfg)
    fixed = [text for section, text in other if section in ("data", "audio", "model")]
    if fixed:
        raise RunFolderError(
            f"{cfg.train.resume} is of a run with other settings of data or model:"
            f" {'; '.join(fixed)}. Use the old ones (--preset {source / SETTINGS_FILE})."
        )
    if other:
        texts = [text for _, text in other]
        flags = ", ".join(text.split()[0] for text in texts)
        warn(logger, f"Training went on from a checkpoint of a run with other {flags}.", texts)


def find_resume_point(folder: RunFolder, resume: str) -> Path | None:
    """Return the checkpoint that `--resume` names, or None to start anew.

    Raises:
        RunFolderError: It names a folder that is no checkpoint.
    """
    if resume == "never":
        return None
    if resume == "auto":
        found = folder.find_checkpoints()
        return found[-1] if found else None
    path = Path(resume)
    if not (path / POSITION_FILE).is_file():
        choices = list_names(folder.find_checkpoints()) or "none yet"
        raise RunFolderError(
            f"'{resume}' is no checkpoint: this run has {choices}. Or: --resume auto"
        )
    return path


def check_steps(
    position: TrainerState, clips_per_step: int, num_steps: int, cfg: RunConfig
) -> None:
    """Compare the steps of a checkpoint with those of the run that is to go on.

    Steps are counted, so that they must have as many clips as before. The learning rate is a
    function of the number of all steps, so that this may change only where the steps that are done
    had the same learning rates: no warm-up in progress or as a share of all steps, no decay yet.

    Args:
        position: Where the checkpoint's run stood.
        clips_per_step: Clips of a step now, over all processes.
        num_steps: Steps of the whole run now.
        cfg: All settings.

    Raises:
        RunFolderError: One of the two does not fit; the text says what to do.
    """
    if position.clips_per_step not in (0, clips_per_step):
        raise RunFolderError(
            f"The checkpoint of step {position.step} counts steps of {position.clips_per_step}"
            f" clips, and now a step has {clips_per_step} over all processes. Give"
            f" --effective-batch-size {position.clips_per_step} with a --batch-size that divides"
            " it by the number of processes, or start anew in another --output-dir."
        )
    if position.num_steps in (0, num_steps):
        return
    is_shorter = num_steps < position.step
    if is_shorter or not has_same_past(position, num_steps, cfg):
        reason = (
            f"and {position.step} steps are done"
            if is_shorter
            else "and the learning rate of the steps that are done depends on that number"
            f" (--scheduler {cfg.optim.scheduler}, --warmup-ratio {cfg.optim.warmup_ratio:g})"
        )
        raise RunFolderError(
            f"The run was planned for {position.num_steps} steps, now for {num_steps}, {reason}."
            " Go on with the old --epochs and --max-steps, or train the finished model further in a"
            " new run: --model RUN --output-dir NEW."
        )
    logger.info("Training goes on to step %d instead of %d.", num_steps, position.num_steps)


def has_same_past(position: TrainerState, num_steps: int, cfg: RunConfig) -> bool:
    """Tell whether the steps that are done had the learning rates of a run of `num_steps`."""
    return all(
        learning_rate_factor(step, position.num_steps, cfg.optim)
        == learning_rate_factor(step, num_steps, cfg.optim)
        for step in range(position.step)
    )


def check_same_processes(checkpoint: Path | None, num_processes: int) -> None:
    """Refuse to go on with a streamed run on another number of processes.

    Which clips of a stream a process gets depends on how many share it: clips would be used twice
    or never. Each process left its random state in the checkpoint.

    Raises:
        RunFolderError: The checkpoint was written by another number of processes.
    """
    if checkpoint is None:
        return
    before = len(list(checkpoint.glob("random_states_*.pkl")))
    if before != num_processes:
        raise RunFolderError(
            f"'{checkpoint}' was written by {before} processes, and this run has {num_processes}: a"
            f" streamed run can only go on with as many. Launch it with --num_processes {before},"
            " or choose another --output-dir."
        )
