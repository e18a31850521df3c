"""Precision of a run: what `--mixed-precision` means on this machine, and why.

`auto` is 16 bits where the device computes them natively, because autocast to a format that a
processor emulates is many times slower than float32. Weights stay in float32 in any case.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from audio_cls.distributed.hardware import has_accelerator
from audio_cls.errors import SettingError, list_names

FLOAT32 = "no"  # Accelerate's name
LAUNCHER_VARIABLE = "ACCELERATE_MIXED_PRECISION"  # by which `accelerate launch` passes its value
CPU_FLAGS = {"avx512_bf16", "amx_bf16"}  # of /proc/cpuinfo
OLDEST_FP16 = 7  # compute capability of the first CUDA GPUs with matrix units for float16


@dataclass(frozen=True)
class Precision:
    """Number format of the matrix products of a run."""

    name: str  # of Accelerate: no (float32), bf16, fp16 or fp8
    reason: str = ""  # why; empty where the setting itself states it


def choose_precision(wanted: str) -> Precision:
    """Return the precision of a run on this machine.

    Args:
        wanted: Value of `--mixed-precision`. With `auto`, a 16- or 8-bit format that `accelerate
            launch` was given is used. Its `no` is also its default, so that the machine decides. On
            a CPU, fp16 becomes float32.
    """
    given = os.environ.get(LAUNCHER_VARIABLE, FLOAT32)
    is_given = wanted == "launcher" or is_deepspeed() or given != FLOAT32
    if wanted == "auto" and not is_given:
        return _choose_native()
    is_launchers = wanted in ("auto", "launcher")
    name = given if is_launchers else wanted
    if name == "fp16" and not has_accelerator():
        return Precision(FLOAT32, "fp16 needs a GPU")
    return Precision(name, "of accelerate launch" if is_launchers else "")


def explain_precision(wanted: str, used: str) -> str:
    """Return why a run has a number format; empty where the setting itself states it.

    Args:
        wanted: Value of `--mixed-precision`.
        used: The number format, by Accelerate's name. A run that is resumed keeps that of its first
            start.
    """
    chosen = choose_precision(wanted)
    return chosen.reason if chosen.name == used else "as at the first start of this run"


def _choose_native() -> Precision:
    """Return the fastest format that the device of a run computes natively."""
    if not has_accelerator():
        if computes_bf16():
            return Precision("bf16", "auto: native on this processor")
        return Precision(FLOAT32, "auto: this processor has no native bfloat16")
    device = torch.accelerator.current_accelerator()
    kind = "an unknown device" if device is None else device.type
    if kind != "cuda":  # on Apple's GPUs, no gain has been measured
        return Precision(FLOAT32, f"auto: no gain is known on {kind}")
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return Precision("bf16", "auto: native on this GPU")
    if torch.cuda.get_device_capability()[0] >= OLDEST_FP16:
        return Precision("fp16", "auto: this GPU has no native bfloat16")
    return Precision(FLOAT32, "auto: this GPU has no fast 16-bit format")


def computes_bf16() -> bool:
    """Return whether the processor multiplies bfloat16 natively, by AVX512_BF16 or AMX.

    oneDNN must use it, too: it can be limited by ONEDNN_MAX_CPU_ISA.
    """
    try:
        is_used = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):  # a build of PyTorch without oneDNN
        return False
    found = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return is_used and bool(found() if found is not None else CPU_FLAGS & _read_cpu_flags())


def _read_cpu_flags() -> set[str]:
    """Return the instruction sets of the first processor; none where Linux does not list them."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text("utf-8").splitlines() if file.is_file() else []
    flags = next((line for line in lines if line.startswith("flags")), "")
    return set(flags.partition(":")[2].split())


def check_precisions(wanted: Sequence[str]) -> None:
    """Check that runs of one command have one number format, if they use DeepSpeed.

    Raises:
        SettingError: DeepSpeed has the number format of the launcher's configuration.
    """
    if len(set(wanted)) > 1 and is_deepspeed():
        raise SettingError(
            f"--sweep of mixed_precision ({list_names(dict.fromkeys(wanted))}) is not possible with"
            " DeepSpeed, which has one number format. Start a command for each."
        )


def is_deepspeed() -> bool:
    """Return whether the launcher is configured for DeepSpeed."""
    return os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true"
