"""Start and end of a run: checks, run folder, its configuration file."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from audio_cls.audio.augmentation.user_transforms import check_user_transforms
from audio_cls.config import RunConfig
from audio_cls.config.training import accumulation_steps
from audio_cls.data.load import check_dataset
from audio_cls.data.prepare import PreparedClips
from audio_cls.distributed import Accelerator
from audio_cls.distributed.accelerator import is_sharded
from audio_cls.distributed.processes import is_main_process
from audio_cls.models.attention_backend import check_precision
from audio_cls.models.finetuning.lora import import_peft
from audio_cls.runs.config_file import (
    DATA_HASH,
    check_same_data,
    load_resolved,
    load_run_config,
    save_run_config,
)
from audio_cls.runs.folder import RunFolder, choose_run_path
from audio_cls.runs.open_folder import (
    FINISHED_CANDIDATES,
    clear_run_folder,
    discard_failed_start,
    open_run_folder,
)
from audio_cls.runs.provenance import describe_command, describe_commit
from audio_cls.runs.resolved import ResolvedRun
from audio_cls.runs.resume import describe_resume, find_source_run
from audio_cls.storage.files import explain_disk
from audio_cls.training.energy import check_meter
from audio_cls.training.loop import TrainingRun
from audio_cls.training.optim.class_weights import is_file, read_weights
from audio_cls.training.optim.optimizer import import_adamw_8bit
from audio_cls.training.sharding import check_sharded
from audio_cls.versions import describe_versions, warn_other_versions

logger = logging.getLogger(__name__)


def check_settings(cfg: RunConfig, num_processes: int) -> None:
    """Check all that needs neither data nor model: paths, files and libraries of the settings.

    Args:
        cfg: The settings.
        num_processes: Of the run.

    Raises:
        DatasetError: See `check_dataset`.
        SettingError: The clips of a step cannot be split evenly between the processes, a library
            is not installed, or see `check_meter`, `check_user_transforms` and `read_weights`.
        ModelError: peft is not installed.
    """
    check_dataset(cfg.data)
    check_meter(cfg.train)
    check_user_transforms(cfg.augment.augment)
    accumulation_steps(cfg.train, num_processes)  # raises if it is no whole number
    if is_file(cfg.optim.class_weights):
        read_weights(Path(cfg.optim.class_weights))
    if cfg.model.lora_rank:
        import_peft(cfg.model)
    if cfg.optim.optimizer == "adamw-8bit":
        import_adamw_8bit()


def open_run(cfg: RunConfig, accelerator: Accelerator) -> RunFolder:
    """Check the settings and open the run folder, before any long work. Call on every process.

    Returns:
        The folder; of a run that is resumed with what it resolved when it began.

    Raises:
        RunFolderError: See `open_run_folder`.
        AudioClsError: See `check_settings`.
        SettingError: A sharded model does not support a setting, or see `check_precision`.
    """
    check_settings(cfg, accelerator.num_processes)
    path = choose_run_path(cfg)
    if is_sharded(accelerator):
        check_sharded(accelerator, cfg)
    check_precision(cfg.model.attention, str(accelerator.mixed_precision))
    folder = open_run_folder(path, cfg) if accelerator.is_main_process else RunFolder(path)
    accelerator.wait_for_everyone()
    return dataclasses.replace(folder, resolved=load_first_start(cfg))


def load_first_start(cfg: RunConfig) -> ResolvedRun:
    """Return what the run that is resumed resolved when it began; nothing for a new run."""
    path = choose_run_path(cfg)
    return load_resolved(find_source_run(path, cfg.train.resume) or path, cfg)


@contextmanager
def opened_run(cfg: RunConfig, accelerator: Accelerator) -> Iterator[RunFolder]:
    """Open a run, see `open_run`; if it fails before it trained anything, remove what it wrote."""
    folder = open_run(cfg, accelerator)
    try:
        yield folder
    except BaseException:
        if accelerator.is_main_process:
            discard_failed_start(folder)
        raise


def close_run(run: TrainingRun) -> None:
    """Close the bar, the trackers and the run folder. Call on every process."""
    run.progress.close()
    run.folder.close()


def explain_run_disk(cfg: RunConfig) -> AbstractContextManager[None]:
    """Turn the error of a full disk into one line, at any time of a run; see `explain_disk`."""
    return explain_disk(RunFolder(choose_run_path(cfg)))


@contextmanager
def explain_interrupt(cfg: RunConfig) -> Iterator[None]:
    """After Ctrl-C outside of training, show how to resume if a checkpoint is saved."""
    try:
        yield
    except KeyboardInterrupt:
        folder = RunFolder(choose_run_path(cfg))
        is_started = folder.find_checkpoints() or any(folder.path.glob(FINISHED_CANDIDATES))
        if is_main_process() and is_started:
            logger.warning(
                "The training so far is saved. %s",
                describe_resume(cfg, folder.path),
            )
        raise


def save_settings(
    folder: RunFolder,
    cfg: RunConfig,
    resolved: ResolvedRun,
    accelerator: Accelerator,
    clips: PreparedClips,
) -> None:
    """Write run_config.yaml and the clip ids of the splits; warn of other versions than before.

    Call on every process.

    With `--overwrite` the run that was in the folder is removed first.

    Args:
        folder: The run folder.
        cfg: The settings as they were given.
        resolved: The values of those that were left open.
        accelerator: This run's processes.
        clips: The clips of all splits.

    Raises:
        RunFolderError: The data set of a resumed run has changed; see `check_same_data`.
    """
    data_hash = clips.hash_rows()
    if cfg.train.resume != "never":
        source = find_source_run(folder.path, cfg.train.resume) or folder.path
        check_same_data(source, data_hash)
        warn_other_versions(load_run_config(source).get("record"))
    accelerator.wait_for_everyone()  # until all have compared
    if accelerator.is_main_process:
        if cfg.train.overwrite:
            clear_run_folder(folder.path)
        record = {
            "command": describe_command(),
            "versions": describe_versions(),
            "commit": describe_commit(),
            DATA_HASH: data_hash,
        }
        save_run_config(folder.path, cfg, resolved, record)
        clips.save_lists(folder.path)
