"""Resuming a run: the checkpoint it starts from, and checks that it fits."""

from __future__ import annotations

import logging
from pathlib import Path

from audio_cls.command_names import quote_words
from audio_cls.config import RunConfig
from audio_cls.errors import RunFolderError, count_of, list_names
from audio_cls.run_warnings import warn
from audio_cls.runs.config_file import SETTINGS_FILE, list_other_settings
from audio_cls.runs.folder import RunFolder
from audio_cls.runs.trainer_state import TrainerState, find_state_file
from audio_cls.storage.checksums import find_damaged
from audio_cls.training.optim.lr_schedule import learning_rate_factor

logger = logging.getLogger(__name__)


def describe_resume(cfg: RunConfig, path: Path) -> str:
    """Return the sentence on how to continue the run in a folder, for the command of `cfg`.

    >>> describe_resume(RunConfig(), Path("runs/a"))
    'To continue, repeat the command with --resume auto --output-dir runs/a'
    """
    without = "without --overwrite, " if cfg.train.overwrite else ""
    return (
        f"To continue, repeat the command {without}with"
        f" {quote_words(['--resume', 'auto', '--output-dir', path])}"
    )


def find_source_run(path: Path, resume: str) -> Path | None:
    """Return the folder of another run whose checkpoint `--resume CHECKPOINT` names.

    Args:
        path: Folder of the run that is started.
        resume: Value of the setting.

    Returns:
        None if the run continues in its own folder, or if the checkpoint is in no run folder.
    """
    if resume in ("never", "auto"):
        return None
    source = Path(resume).absolute().parent.parent
    is_run = (source / SETTINGS_FILE).is_file()
    return source if is_run and source.resolve() != path.resolve() else None


def check_source_run(source: Path, path: Path, cfg: RunConfig) -> None:
    """Compare a new run with the one whose checkpoint it starts from.

    Raises:
        RunFolderError: It has other settings of data, audio or model, so that its state does not
            fit; or the new folder has checkpoints.
    """
    if any(path.glob("checkpoints/step-*")):
        raise RunFolderError(
            f"'{path}' already has checkpoints, which would be lost. Resume them with --resume"
            " auto, or choose another --output-dir for the run that starts from"
            f" {cfg.train.resume}."
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
        warn(logger, f"Training resumed from a checkpoint of a run with other {flags}.", texts)


def find_resume_point(folder: RunFolder, resume: str) -> Path | None:
    """Return the checkpoint that `--resume` names, or None for a new run.

    Raises:
        RunFolderError: The named folder is no checkpoint.
    """
    if resume == "never":
        return None
    if resume == "auto":
        found = folder.find_checkpoints()
        return found[-1] if found else None
    path = Path(resume)
    if find_state_file(path) is None:
        choices = list_names(folder.find_checkpoints()) or "none yet"
        raise RunFolderError(
            f"--resume {resume}: there is no checkpoint in that folder. The checkpoints of"
            f" '{folder.path}': {choices}. Give one of them, another run's, or --resume auto."
        )
    return path


def find_whole_checkpoint(folder: RunFolder, resume: str) -> Path | None:
    """Return the checkpoint to start from, whose files all have their checksums.

    With `--resume auto` it is the newest one of those; a warning names newer ones that are damaged.

    Returns:
        None for a new run.

    Raises:
        RunFolderError: The checkpoint that was named, or every one of the run, is damaged.
    """
    point = find_resume_point(folder, resume)
    if point is None:
        return None
    damaged: dict[str, list[str]] = {}
    for path in reversed(folder.find_checkpoints()) if resume == "auto" else [point]:
        files = find_damaged(path)
        if not files:
            if damaged:
                count = count_of(len(damaged), "newer checkpoint is", "newer checkpoints are")
                text = f"{count} damaged: training continues from {path.name}."
                warn(logger, text, names=_name_files(damaged))
            return path
        damaged[str(path)] = files
    others = [path for path in folder.find_checkpoints() if str(path) not in damaged]
    raise RunFolderError(
        f"--resume {resume}: files of the checkpoint are damaged, their checksums differ"
        f" ({list_names(_name_files(damaged))}). Copy the checkpoint again from where it is whole,"
        f" {'give another one with --resume, ' if others else ''}or start the run again with"
        " --overwrite."
    )


def _name_files(damaged: dict[str, list[str]]) -> list[Path]:
    """List the paths of the files, by checkpoint."""
    return [Path(checkpoint, name) for checkpoint, names in damaged.items() for name in names]


def check_steps(state: TrainerState, clips_per_step: int, num_steps: int, cfg: RunConfig) -> None:
    """Check that the steps of a checkpoint fit the run that resumes it.

    A step must have the same number of clips as before, since only steps are counted. The learning
    rate depends on the number of all steps, which may change only if the steps that are done would
    have had the same learning rates: no warm-up that is a share of all steps, and no decay yet.

    Args:
        state: The state of the run at the checkpoint.
        clips_per_step: Clips of a step now, over all processes.
        num_steps: Steps of the whole run now.
        cfg: The settings.

    Raises:
        RunFolderError: One of the two does not fit.
    """
    if state.clips_per_step not in (0, clips_per_step):
        raise RunFolderError(
            f"The checkpoint of step {state.step} counts steps of"
            f" {count_of(state.clips_per_step, 'clip')},"
            f" and now a step has {clips_per_step} over all processes. Give"
            f" --effective-batch-size {state.clips_per_step} with a --batch-size that divides it"
            " by the number of processes, or start again in another --output-dir."
        )
    if state.num_steps in (0, num_steps):
        return
    is_shorter = num_steps < state.step
    if is_shorter or not has_same_past(state, num_steps, cfg):
        reason = (
            f"and {count_of(state.step, 'step is', 'steps are')} done"
            if is_shorter
            else "and the learning rate of the steps that are done depends on that number"
            f" (--scheduler {cfg.optim.scheduler}, --warmup-ratio {cfg.optim.warmup_ratio:g})"
        )
        raise RunFolderError(
            f"The run was planned for {count_of(state.num_steps, 'step')}, now for {num_steps},"
            f" {reason}."
            " Use the old --epochs and --max-steps, or train the finished model further in a"
            " new run: --model RUN --output-dir NEW."
        )
    logger.info("Training continues to step %d instead of %d.", num_steps, state.num_steps)


def has_same_past(state: TrainerState, num_steps: int, cfg: RunConfig) -> bool:
    """Return whether the steps that are done had the learning rates of a run of `num_steps`."""
    return all(
        learning_rate_factor(step, state.num_steps, cfg.optim)
        == learning_rate_factor(step, num_steps, cfg.optim)
        for step in range(state.step)
    )


def check_same_processes(checkpoint: Path | None, num_processes: int) -> None:
    """Check that a streamed run is resumed with the same number of processes.

    The clips of a process depend on the number of processes: with another one some clips would be
    used twice or never. A checkpoint has a file of random states for each process.

    Args:
        checkpoint: The checkpoint; None for a new run.
        num_processes: Number of processes now.

    Raises:
        RunFolderError: The checkpoint was written by another number of processes.
    """
    if checkpoint is None:
        return
    before = len(list(checkpoint.glob("random_states_*.pkl")))
    if before != num_processes:
        raise RunFolderError(
            f"'{checkpoint}' was written by {count_of(before, 'process')} and this run has"
            f" {num_processes}:"
            " a streamed run must resume with the same number. Launch it with --num_processes"
            f" {before}, or choose another --output-dir."
        )
