"""Run folder: best model, checkpoints and exact resume.

A checkpoint is written under a temporary name, flushed to disk and renamed, and renamed before it
is removed: a folder called `step-N` is always whole. Order and crops are functions of (seed, step),
so that besides Accelerate's state (weights, optimizer, scaler, random states) only `TrainerState`
and the best model so far are saved: a checkpoint needs no other file of its run.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from audio_cls.config import RunConfig
from audio_cls.errors import RunFolderError
from audio_cls.runs.resolved import NOT_RESOLVED, ResolvedRun
from audio_cls.runs.trainer_state import TrainerState
from audio_cls.storage.checksums import write_checksums
from audio_cls.storage.files import apply_umask, flush_to_disk, link_files, write_whole
from audio_cls.storage.locks import FileLock
from audio_cls.storage.short_names import name_dataset, read_base_name

if TYPE_CHECKING:  # torch is not imported to check a run folder
    from audio_cls.distributed import Accelerator

BEST_FOLDER = "best"  # of a checkpoint: the best model so far
REFIT_FOLDER, REFIT_MODEL = "refit", "model"  # of a run: its second training; of that: the model


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run; `RUN_FILES` lists its files."""

    path: Path
    lock: FileLock | None = field(default=None, compare=False)  # on the main process
    resolved: ResolvedRun = NOT_RESOLVED  # by the run that is resumed, when it began
    created: tuple[Path, ...] = ()  # folders that this start made, the innermost first
    kept: frozenset[str] = frozenset()  # names in the folder that were there before this start
    is_refit: bool = False  # the sub-folder of the second training of `--refit`

    def close(self) -> None:
        """Release the lock: other processes may write to the folder."""
        if self.lock is not None:
            self.lock.release(remove=True)

    @property
    def run_path(self) -> Path:
        """Return the run folder that this is, or is in."""
        return self.path.parent if self.is_refit else self.path

    @property
    def model_path(self) -> Path:
        """Return the folder of the best model so far."""
        return self.path / REFIT_MODEL if self.is_refit else self.path

    @property
    def checkpoints(self) -> Path:
        """Return the folder of checkpoints."""
        return self.path / "checkpoints"

    def find_checkpoints(self) -> list[Path]:
        """List the whole checkpoints, oldest first."""
        found = self.checkpoints.glob("step-*") if self.checkpoints.is_dir() else []
        return sorted(found, key=_read_step)

    def save_model(self, write: Callable[[Path], None]) -> None:
        """Let `write` save the best model so far; the next checkpoints get it, too."""
        best = self.checkpoints / f".{BEST_FOLDER}"
        write_whole(best, write)
        link_files(best, self.model_path)

    def save_checkpoint(self, accelerator: Accelerator, state: TrainerState, keep: int) -> None:
        """Write `checkpoints/step-N`, then remove old ones. Call on every process.

        The `keep` newest are kept, at least this one, and that of the best evaluation. Checkpoints
        of later steps, from before the run was resumed at an earlier one, are removed.

        ::

            step-N/
              model.safetensors optimizer.bin scaler.pt   as accelerate saves them
              random_states_R.pkl                         one per process
              trainer_state.json                          step, best evaluation so far
              best/                                       the best model so far
              checksums.json                              of all these files
        """
        target = self.checkpoints / f"step-{state.step}"
        partial = self.checkpoints / f".partial-{state.step}"
        if accelerator.is_main_process:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        accelerator.wait_for_everyone()
        try:
            accelerator.save_state(str(partial))
            accelerator.wait_for_everyone()
            if accelerator.is_main_process:
                state.save(partial)
                if state.best is not None:
                    link_files(self.checkpoints / f".{BEST_FOLDER}", partial / BEST_FOLDER)
                write_checksums(partial)
                apply_umask(partial)
                flush_to_disk(partial)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        if accelerator.is_main_process:
            _remove(target)
            partial.rename(target)
            flush_to_disk(self.checkpoints)
            self._remove_others(state, max(1, keep))
        accelerator.wait_for_everyone()

    def remove_checkpoints(self) -> None:
        """Remove all checkpoints of a finished run, with `--keep-checkpoints 0`."""
        for checkpoint in self.find_checkpoints():
            _remove(checkpoint)
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def _remove_others(self, state: TrainerState, keep: int) -> None:
        """Remove the checkpoints that are not kept, and partial ones of a killed process."""
        found = self.find_checkpoints()
        earlier = [path for path in found if _read_step(path) <= state.step]
        kept = earlier[-keep:]
        best = state.best.step if state.best else None
        for path in found:
            if path not in kept and not (path in earlier and _read_step(path) == best):
                _remove(path)
        for rest in self.checkpoints.glob(".*-*"):
            shutil.rmtree(rest, ignore_errors=True)

    def restore(self, accelerator: Accelerator, checkpoint: Path) -> TrainerState:
        """Load weights, optimizer and random states in place, and the best model into the folder.

        Call on every process.

        Returns:
            The state of the run at the checkpoint.

        Raises:
            RunFolderError: The best model is missing in the checkpoint.
        """
        accelerator.load_state(str(checkpoint))
        state = TrainerState.load(checkpoint)
        if state.best is not None and not (checkpoint / BEST_FOLDER).is_dir():
            raise RunFolderError(
                f"'{checkpoint}' lacks its folder '{BEST_FOLDER}', the best model so far. Copy the"
                " whole checkpoint, or resume from another one."
            )
        if state.best is not None and accelerator.is_main_process:
            link_files(checkpoint / BEST_FOLDER, self.checkpoints / f".{BEST_FOLDER}")
            link_files(checkpoint / BEST_FOLDER, self.model_path)
        accelerator.wait_for_everyone()
        return state


def _read_step(checkpoint: Path) -> int:
    """Return the step in a checkpoint's name."""
    return int(checkpoint.name.removeprefix("step-"))


def _remove(checkpoint: Path) -> None:
    """Remove a checkpoint, if it exists; a kill in between leaves nothing called `step-N`."""
    if checkpoint.exists():
        away = checkpoint.with_name(f".removed-{checkpoint.name}")
        shutil.rmtree(away, ignore_errors=True)
        checkpoint.rename(away)
        shutil.rmtree(away)


def choose_run_path(cfg: RunConfig) -> Path:
    """Return `--output-dir`, or runs/DATASET-MODEL by their base names.

    The suffix of a table is left out; `.` and `..` are replaced by the name of that folder.
    """
    if cfg.train.output_dir:
        return Path(cfg.train.output_dir).expanduser()
    names = [name_dataset(str(cfg.data.dataset)), read_base_name(cfg.model.model)]
    return Path("runs") / "-".join(re.sub(r"[^\w.-]+", "_", name) for name in names)
