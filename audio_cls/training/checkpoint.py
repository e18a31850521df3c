"""The run folder: its layout, who may write to it, checkpoints and exact resume.

A checkpoint is written under a temporary name, flushed to disk and renamed: a folder called
`step-N` is always whole. Order and crops are functions of (seed, step), so that beside Accelerate's
state (weights, optimizer, scaler, random states) only `Position` has to be kept.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from audio_cls.config import RunConfig, flag_name
from audio_cls.errors import RunFolderError, list_names
from audio_cls.training.accelerator import Accelerator

POSITION_FILE = "position.json"
OWN_FOLDERS = ("checkpoints", "splits", "figures", ".eval_results", "logs", "streamed")
OWN_FILES = (
    "config.json", "model.safetensors", "preprocessor_config.json", "README.md", "run_config.yaml",
    "results.json", "summary.csv", "predictions.csv", "clips.csv", "bad_audio.csv",
    "duplicates.csv", "near_duplicates.csv",
)  # fmt: skip
FREE_TO_CHANGE = {  # settings that a resumed run may change without being another run
    "output_dir", "resume", "overwrite", "num_workers", "keep_checkpoints", "save_every_steps",
    "report_to", "eval_batch_size", "log", "max_train_minutes", "push_to_hub", "hub_repo_id",
    "private", "license",
}  # fmt: skip


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
        return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))

    def save_checkpoint(self, accelerator: Accelerator, position: Position, keep: int) -> None:
        """Write `checkpoints/step-N` and drop all but the `keep` newest. Call on every process.

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
        accelerator.save_state(str(partial))
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            (partial / POSITION_FILE).write_text(json.dumps(asdict(position)), "utf-8")
            flush_to_disk(partial)
            shutil.rmtree(target, ignore_errors=True)
            partial.rename(target)
            flush_to_disk(self.checkpoints)
            for old in self.find_checkpoints()[:-keep]:
                shutil.rmtree(old)
        accelerator.wait_for_everyone()

    def restore(self, accelerator: Accelerator, checkpoint: Path) -> Position:
        """Load weights, optimizer and random states in place; call on every process.

        Returns:
            Where the checkpoint's run stood.
        """
        accelerator.load_state(str(checkpoint))
        kept = json.loads((checkpoint / POSITION_FILE).read_text("utf-8"))
        best = Best(**kept["best"]) if kept["best"] else None
        return Position(**{**kept, "best": best})


def open_run_folder(path: Path, cfg: RunConfig) -> RunFolder:
    """Make the run folder ready to be written to. Main process only.

    Raises:
        RunFolderError: It holds another run or other files, cannot be written, or its settings are
            not those of the run that is to go on.
    """
    folder = RunFolder(path)
    is_run = (path / "run_config.yaml").is_file()
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
        others = [entry.name for entry in path.iterdir()]
    except OSError as error:
        raise RunFolderError(
            f"The run folder '{path}' cannot be written ({error.strerror})."
            " Give another by --output-dir, or mend its permissions."
        ) from error
    if is_run and cfg.train.resume != "never":
        _check_same_settings(path / "run_config.yaml", adopt_revisions(cfg, path))
    elif is_run and cfg.train.overwrite:
        _clear(folder)
    elif is_run:
        raise RunFolderError(
            f"'{path}' holds another run. Go on with it by --resume auto, replace it by"
            " --overwrite, or choose another --output-dir."
        )
    elif others:
        raise RunFolderError(
            f"'{path}' is not empty ({list_names(others)}) and not a run."
            " Choose another --output-dir."
        )
    return folder


def adopt_revisions(cfg: RunConfig, path: Path) -> RunConfig:
    """Return the settings with the commits that the run in `path` started from, when it goes on.

    A data set or a model may have moved on the Hub since; a resumed run must not move with it.
    """
    file = path / "run_config.yaml"
    if cfg.train.resume == "never" or not file.is_file():
        return cfg
    tree = yaml.safe_load(file.read_text("utf-8")) or {}
    data, model = cfg.data, cfg.model
    if data.dataset_revision is None:
        data = dataclasses.replace(data, dataset_revision=tree["data"]["dataset_revision"])
    if model.model_revision is None:
        model = dataclasses.replace(model, model_revision=tree["model"]["model_revision"])
    return dataclasses.replace(cfg, data=data, model=model)


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


def save_run_config(folder: RunFolder, cfg: RunConfig, record: Mapping[str, Any]) -> None:
    """Write `run_config.yaml`: every resolved setting, and what the run stood on."""
    tree: dict[str, Any] = {**cfg.to_nested(), "record": dict(record)}
    text = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=100)
    replace_file(folder.path / "run_config.yaml", text)


def replace_file(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old or the new one, never a half."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, "utf-8")
    partial.replace(path)


def flush_to_disk(folder: Path) -> None:
    """Force a folder and its files out of the system's cache, so that they survive a power cut."""
    for path in [*(entry for entry in folder.rglob("*") if entry.is_file()), folder]:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def _check_same_settings(path: Path, cfg: RunConfig) -> None:
    """Refuse to go on with a run under other settings; the text lists all that differ."""
    old, new = yaml.safe_load(path.read_text("utf-8")) or {}, cfg.to_nested()
    changed = [
        f"{flag_name(name)} {old.get(section, {}).get(name)} is now {value}"
        for section, values in new.items()
        for name, value in values.items()
        if name not in FREE_TO_CHANGE and old.get(section, {}).get(name) != value
    ]
    if changed:
        raise RunFolderError(
            f"The run in '{path.parent}' was started with other settings: {'; '.join(changed)}."
            f" Go on with the old ones (--preset {path}), or choose another --output-dir."
        )


def _clear(folder: RunFolder) -> None:
    """Remove what a run writes, and nothing else."""
    for name in OWN_FOLDERS:
        shutil.rmtree(folder.path / name, ignore_errors=True)
    for name in OWN_FILES:
        (folder.path / name).unlink(missing_ok=True)
