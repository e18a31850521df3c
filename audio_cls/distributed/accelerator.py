"""The one place that configures Accelerate.

Accelerate places the model, wraps it for the number of processes (DDP, FSDP, DeepSpeed), scales
fp16 losses and saves states. The order of the data, and how clips are distributed to processes and
micro-batches, is that of data/loading/sampler.py, so that it can be exact: Accelerate's own
accumulation is therefore set to 1 whatever its environment says.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, filter_trackers, get_available_trackers
from accelerate.utils import (
    DistributedType,
    GradientAccumulationPlugin,
    InitProcessGroupKwargs,
    set_seed,
)

from audio_cls.config import RunConfig, TrainConfig
from audio_cls.distributed.hardware import has_accelerator
from audio_cls.errors import SettingError, list_names, suggest_name

# How long processes wait for another: it may prepare clips or publish. One that ends ends them all.
PROCESS_TIMEOUT = timedelta(hours=24)


logger = logging.getLogger(__name__)


def start_accelerator(cfg: TrainConfig) -> Accelerator:
    """Start this process's part of the run and seed it. Call on every process.

    Args:
        cfg: Number format, trackers, seed.

    Raises:
        SettingError: The device cannot do the number format, or a tracker is not installed.
    """
    check_trackers(cfg.report_to)
    if os.environ.get("ACCELERATE_USE_FSDP") == "true" and not has_accelerator():
        logger.warning("FSDP needs accelerators: on CPUs every process has the whole model (DDP).")
    precision = choose_precision(cfg.mixed_precision)
    if not is_deepspeed():  # an earlier run of this process may have had another number format
        AcceleratorState._reset_state()
    try:
        accelerator = Accelerator(
            cpu=not has_accelerator(),  # without it, processes on CPUs would not find each other
            mixed_precision=precision,
            gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
            kwargs_handlers=[
                DistributedDataParallelKwargs(find_unused_parameters=True),
                InitProcessGroupKwargs(timeout=PROCESS_TIMEOUT),
            ],
        )
    except (ValueError, ImportError) as error:
        raise SettingError(f"Accelerate cannot start with these settings: {error}") from error
    set_seed(cfg.seed, device_specific=True)
    return accelerator


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers that Accelerate does not know or that are not installed.

    Raises:
        SettingError: The text lists those that are there.
    """
    known = sorted(map(str, LOGGER_TYPE_TO_CLASS))
    installed = sorted(map(str, get_available_trackers()))
    shown = f"installed here: {list_names(installed) or 'none'}"
    for name in names:
        if name not in known:
            hint = suggest_name(name, known)
            raise SettingError(
                f"--report-to {name} is no tracker: there are {list_names(known)}; {shown}.{hint}"
            )
        if name not in installed:
            raise SettingError(
                f"--report-to {name} is not installed (pip install {name}); {shown}."
            )


def start_trackers(accelerator: Accelerator, folder: Path, cfg: RunConfig) -> None:
    """Let the trackers of `--report-to` write below RUN/logs. Call on every process.

    They are told every setting that has a value, as `section.name`.
    """
    accelerator.project_configuration.set_directories(str(folder))
    accelerator.project_configuration.logging_dir = str(folder / "logs")
    if not cfg.train.report_to:
        return
    settings = {
        f"{section}.{name}": ",".join(map(str, value)) if isinstance(value, list) else value
        for section, values in cfg.to_nested().items()
        for name, value in values.items()
        if value not in (None, [])
    }
    accelerator.log_with = filter_trackers(list(cfg.train.report_to), accelerator.logging_dir)
    accelerator.init_trackers(folder.name, config=settings)


def choose_precision(wanted: str) -> str | None:
    """Return what to tell Accelerate: None leaves it to the launcher; a CPU has no fp16."""
    if wanted == "launcher":
        return None
    if wanted == "fp16" and not has_accelerator():
        logger.info("fp16 needs an accelerator: training in float32 on the CPU.")
        return "no"
    return wanted


def check_precisions(wanted: Sequence[str]) -> None:
    """Refuse several number formats in one process where the launcher has fixed it.

    Raises:
        SettingError: DeepSpeed takes the number format from the launcher's configuration.
    """
    if len(set(wanted)) > 1 and is_deepspeed():
        raise SettingError(
            f"--sweep of mixed_precision ({list_names(dict.fromkeys(wanted))}) is not possible with"
            " DeepSpeed, which has one number format. Start a command for each."
        )


def is_deepspeed() -> bool:
    """Tell whether the launcher asks for DeepSpeed."""
    return os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true"


@contextmanager
def keep_random_states(device: torch.device) -> Iterator[None]:
    """Give every global generator back as it was: Python's, numpy's, torch's, the device's."""
    state, legacy = random.getstate(), np.random.get_state()
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(state)
        np.random.set_state(legacy)


def is_sharded(accelerator: Accelerator) -> bool:
    """Tell whether no process has the whole model: FSDP and DeepSpeed."""
    return accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED)


def is_fsdp(accelerator: Accelerator) -> bool:
    """Tell whether the model is sharded by FSDP, of either version."""
    return bool(accelerator.distributed_type == DistributedType.FSDP)
