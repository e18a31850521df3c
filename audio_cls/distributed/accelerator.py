"""Accelerate: the Accelerator of a run, random states and trackers.

Accelerate places the model, wraps it for the number of processes (DDP, FSDP, DeepSpeed), scales
fp16 losses and saves states. It does not distribute the clips to processes and micro-batches:
data/loading/sampler.py does, so that a run can be resumed exactly. Accelerate's gradient
accumulation is therefore 1, whatever the launcher's environment has.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

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
from audio_cls.distributed.precision import choose_precision, computes_bf16, is_deepspeed
from audio_cls.distributed.processes import gather_rows
from audio_cls.errors import (
    SettingError,
    describe_error,
    hide_home,
    list_names,
    redact_tokens,
    suggest_name,
)

# A process waits so long for another, which may prepare clips or publish. The launcher ends all
# processes when one ends with an error.
PROCESS_TIMEOUT = timedelta(hours=24)

logger = logging.getLogger(__name__)


def start_accelerator(cfg: TrainConfig) -> Accelerator:
    """Make the Accelerator of a run and set the seeds. Call on every process.

    Args:
        cfg: Number format, trackers, seed.

    Raises:
        SettingError: The device does not support the number format, or a tracker is not installed.
    """
    check_trackers(cfg.report_to)
    if os.environ.get("ACCELERATE_USE_FSDP") == "true" and not has_accelerator():
        logger.warning("FSDP needs GPUs: on CPUs every process has the whole model (DDP).")
    precision = choose_precision(cfg.mixed_precision).name
    _warn_if_emulated(precision)
    if not is_deepspeed():  # an earlier run of this process may have had another number format
        AcceleratorState._reset_state()
    try:
        accelerator = Accelerator(
            cpu=not has_accelerator(),  # else processes on CPUs would not be connected
            mixed_precision=precision,
            gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
            kwargs_handlers=[
                DistributedDataParallelKwargs(find_unused_parameters=True),
                InitProcessGroupKwargs(timeout=PROCESS_TIMEOUT),
            ],
        )
    except (ValueError, ImportError) as error:
        raise SettingError(
            f"Accelerate cannot start with --mixed-precision {cfg.mixed_precision}"
            f" ({describe_error(error)}). Choose another precision, or correct the configuration of"
            " accelerate launch."
        ) from error
    _check_same_precision(accelerator)
    set_seed(cfg.seed, device_specific=True)
    return accelerator


def _warn_if_emulated(precision: str) -> None:
    """Warn of a format that the processor computes many times slower than float32."""
    if precision == "bf16" and not has_accelerator() and not computes_bf16():
        logger.warning(
            "This processor has no native bfloat16: a step in bf16 takes many times as long as with"
            " --mixed-precision no."
        )


def _check_same_precision(accelerator: Accelerator) -> None:
    """Check that all processes, which may run on different machines, have one number format.

    Raises:
        SettingError: They have not.
    """
    names = sorted(set(gather_rows([str(accelerator.mixed_precision)])))
    if len(names) > 1:
        raise SettingError(
            f"The machines of this run would use different number formats ({list_names(names)})."
            " Choose one for all with --mixed-precision."
        )


def restart_accelerator(accelerator: Accelerator, seed: int) -> None:
    """Forget models, optimizers and registered objects, and set the seeds as at the start.

    For a second training in the same processes. Call on every process.
    """
    accelerator.free_memory()
    accelerator._custom_objects.clear()
    accelerator.trackers = []
    set_seed(seed, device_specific=True)


def check_trackers(names: Sequence[str]) -> None:
    """Check that Accelerate has these trackers, and that they are installed.

    Raises:
        SettingError: The text lists the installed ones.
    """
    known = sorted(map(str, LOGGER_TYPE_TO_CLASS))
    installed = sorted(map(str, get_available_trackers()))
    shown = f"installed here: {list_names(installed) or 'none'}"
    for name in names:
        if name not in known:
            hint = suggest_name(name, known)
            raise SettingError(
                f"--report-to {name} is not a tracker of Accelerate. There are"
                f" {list_names(known)}; {shown}.{hint}"
            )
        if name not in installed:
            raise SettingError(
                f"--report-to {name} is not installed; {shown}. Run: pip install {name}"
            )


def start_trackers(accelerator: Accelerator, folder: Path, cfg: RunConfig) -> None:
    """Start the trackers of `--report-to`, which write to RUN/logs. Call on every process.

    They log every setting that has a value, as `section.name`; without tokens, logins and
    signatures of addresses, and with ~ for the home folder.
    """
    accelerator.project_configuration.set_directories(str(folder))
    accelerator.project_configuration.logging_dir = str(folder / "logs")
    if not cfg.train.report_to:
        return
    settings = {
        f"{section}.{name}": _to_logged(value)
        for section, values in cfg.to_nested().items()
        for name, value in values.items()
        if value not in (None, [])
    }
    accelerator.log_with = filter_trackers(list(cfg.train.report_to), accelerator.logging_dir)
    accelerator.init_trackers(folder.name, config=settings)


def _to_logged(value: Any) -> Any:  # noqa: ANN401 (a setting may have any type)
    """Return the value of a setting as trackers log it; a list as one text."""
    text = ",".join(map(str, value)) if isinstance(value, list) else value
    return hide_home(redact_tokens(text)) if isinstance(text, str) else text


@contextmanager
def keep_random_states(device: torch.device) -> Iterator[None]:
    """Restore the states of all global generators: Python's, numpy's, torch's, the device's."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


def is_sharded(accelerator: Accelerator) -> bool:
    """Return whether each process has a part of the model only: FSDP and DeepSpeed."""
    return accelerator.distributed_type in (DistributedType.FSDP, DistributedType.DEEPSPEED)


def is_fsdp(accelerator: Accelerator) -> bool:
    """Return whether the model is sharded by FSDP, version 1 or 2."""
    return bool(accelerator.distributed_type == DistributedType.FSDP)
