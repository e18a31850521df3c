"""The run folder: its layout, who may write to it, checkpoints and exact resume.

A checkpoint is written under a temporary name, flushed to disk and renamed, and renamed before it
is removed: a folder called `step-N` is always whole. Order and crops are functions of (seed, step),
so that beside Accelerate's state (weights, optimizer, scaler, random states) only `Position` has to
be kept.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from audio_cls.config import RunConfig
from audio_cls.errors import RunFolderError, list_names
from audio_cls.storage.files import flush_to_disk
from audio_cls.training.accelerator import Accelerator
from audio_cls.training.settings import adopt_revisions, check_same_settings

POSITION_FILE = "position.json"
OWN_FOLDERS = ("checkpoints", "splits", "figures", ".eval_results", "logs", "streamed")
OWN_FILES = (
    "config.json", "model.safetensors", "preprocessor_config.json", "README.md", "run_config.yaml",
    "results.json", "summary.csv", "predictions.csv", "clips.csv", "bad_audio.csv",
    "duplicates.csv", "near_duplicates.csv",
)  # fmt: skip


@dataclass(frozen=True)
class Best:
    """An evaluation on validation."""

    value: float  # of the metric that chooses, larger is better
    loss: float  # validation loss, the smaller breaks a tie
    epoch: float  # epochs done, such as 1.0 after the first
    step: int
    metrics: dict[str, float]

    def beats(self, other: Best) -> bool:
        """Tell whether this evaluation is the better one; an exact tie goes to the earlier."""
        return (self.value, -self.loss) > (other.value, -other.loss)


@dataclass
class Position:
    """How far a run has come."""

    step: int = 0  # optimizer steps done
    best: Best | None = None
    stale: int = 0  # evaluations since the best one
    skipped: int = 0  # steps whose loss or gradient was not finite
    in_a_row: int = 0  # of them, without a good one between
    judged: int = 0  # step of the last evaluation
    loss_sum: float = 0.0  # of the steps since that evaluation, over all processes
    seconds: float = field(default=0.0, compare=False)  # trained, over all starts


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run.

    ::

        RUN/
          config.json model.safetensors preprocessor_config.json   the best model so far
          README.md                model card
          run_config.yaml          every setting; --preset RUN/run_config.yaml repeats the run
          results.json             numbers of validation and test
          summary.csv              a row per evaluation
          predictions.csv          a row per test clip
          clips.csv                length, rate and group of each test clip
          bad_audio.csv            a row per clip set aside
          splits/*.txt             clip ids
          checkpoints/step-N/      to resume from
    """

    path: Path

    @property
    def checkpoints(self) -> Path:
        """Return the folder of checkpoints."""
        return self.path / "checkpoints"

    def find_checkpoints(self) -> list[Path]:
        """List the whole checkpoints, oldest first."""
        found = self.checkpoints.glob("step-*") if self.checkpoints.is_dir() else []
        return sorted(found, key=_read_step)

    def save_checkpoint(self, accelerator: Accelerator, position: Position, keep: int) -> None:
        """Write `checkpoints/step-N`, then drop what is not to be kept. Call on every process.

        Kept are the `keep` newest, the last of them this one, and the best evaluation's. Those of
        later steps are of a run that was resumed from before them, and go.

        ::

            step-N/
              model.safetensors optimizer.bin scaler.pt   as accelerate saves them
              random_states_R.pkl                         one a process
              position.json                               step, best evaluation so far
        """
        target = self.checkpoints / f"step-{position.step}"
        partial = self.checkpoints / f".partial-{position.step}"
        if accelerator.is_main_process:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        accelerator.wait_for_everyone()
        try:
            accelerator.save_state(str(partial))
            accelerator.wait_for_everyone()
            if accelerator.is_main_process:
                (partial / POSITION_FILE).write_text(json.dumps(asdict(position)), "utf-8")
                flush_to_disk(partial)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        if accelerator.is_main_process:
            _remove(target)
            partial.rename(target)
            flush_to_disk(self.checkpoints)
            self._drop_others(position, keep)
        accelerator.wait_for_everyone()

    def _drop_others(self, position: Position, keep: int) -> None:
        """Remove the checkpoints that are not to be kept, and what a kill left half-done."""
        found = self.find_checkpoints()
        earlier = [path for path in found if _read_step(path) <= position.step]
        kept = earlier[-keep:]
        best = position.best.step if position.best else None
        for path in found:
            if path not in kept and not (path in earlier and _read_step(path) == best):
                _remove(path)
        for rest in self.checkpoints.glob(".*-*"):
            shutil.rmtree(rest, ignore_errors=True)

    def restore(self, accelerator: Accelerator, checkpoint: Path) -> Position:
        """Load weights, optimizer and random states in place; call on every process.

        Returns:
            Where the checkpoint's run stood.
        """
        accelerator.load_state(str(checkpoint))
        kept = json.loads((checkpoint / POSITION_FILE).read_text("utf-8"))
        best = Best(**kept["best"]) if kept["best"] else None
        return Position(**{**kept, "best": best})


def _read_step(checkpoint: Path) -> int:
    """Return the step in a checkpoint's name."""
    return int(checkpoint.name.removeprefix("step-"))


def _remove(checkpoint: Path) -> None:
    """Remove a checkpoint, if there is one; a kill meanwhile leaves no half that looks whole."""
    if checkpoint.exists():
        away = checkpoint.with_name(f".removed-{checkpoint.name}")
        shutil.rmtree(away, ignore_errors=True)
        checkpoint.rename(away)
        shutil.rmtree(away)


def open_run_folder(path: Path, cfg: RunConfig) -> RunFolder:
    """Make the run folder ready to be written to. Main process only.

    Raises:
        RunFolderError: It holds another run or other files, cannot be written, or its settings are
            not those of the run that is to go on.
    """
    folder = RunFolder(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise RunFolderError(
            f"The run folder '{path}' cannot be written ({error.strerror})."
            " Give another by --output-dir, or mend its permissions."
        ) from error
    check_run_folder(path, cfg)
    if cfg.train.overwrite:
        _clear(folder)
    return folder


def check_run_folder(path: Path, cfg: RunConfig) -> None:
    """Refuse a folder that the run may not write to; nothing is written yet.

    Raises:
        RunFolderError: It holds another run or other files, or its settings are not those of the
            run that is to go on.
    """
    if (path / "run_config.yaml").is_file():
        if cfg.train.resume != "never":
            check_same_settings(path / "run_config.yaml", adopt_revisions(cfg, path))
        elif not cfg.train.overwrite:
            raise RunFolderError(
                f"'{path}' holds another run. Go on with it by --resume auto, replace it by"
                " --overwrite, or choose another --output-dir."
            )
        return
    others = [entry.name for entry in path.iterdir()] if path.is_dir() else []
    if others:
        raise RunFolderError(
            f"'{path}' is not empty ({list_names(others)}) and not a run."
            " Choose another --output-dir."
        )


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


def check_same_processes(checkpoint: Path | None, num_processes: int) -> None:
    """Refuse to go on with a streamed run on another number of processes.

    What a process hears of a stream depends on how many share it: clips would be heard twice or
    never. Each process left its random state in the checkpoint.

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


def _clear(folder: RunFolder) -> None:
    """Remove what a run writes, and nothing else."""
    for name in OWN_FOLDERS:
        shutil.rmtree(folder.path / name, ignore_errors=True)
    for name in OWN_FILES:
        (folder.path / name).unlink(missing_ok=True)
