"""The precision of a run: what is chosen on which machine, and why."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from audio_cls.distributed import precision
from audio_cls.distributed.precision import (
    LAUNCHER_VARIABLE,
    Precision,
    check_precisions,
    choose_precision,
    computes_bf16,
    explain_precision,
)
from audio_cls.errors import SettingError


@pytest.fixture(autouse=True)
def plain_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start without the variables of `accelerate launch`."""
    for name in (LAUNCHER_VARIABLE, "ACCELERATE_USE_DEEPSPEED", "ACCELERATE_USE_CPU"):
        monkeypatch.delenv(name, raising=False)


def use_gpu(monkeypatch: pytest.MonkeyPatch, kind: str, capability: int = 0) -> None:
    """Pretend that this machine has an accelerator."""
    monkeypatch.setattr(precision, "has_accelerator", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device(kind))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (capability, 0))

    def is_supported(including_emulation: bool = True) -> bool:  # noqa: FBT001, FBT002 (as torch)
        return including_emulation or capability >= 8

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)


@pytest.mark.parametrize(
    ("kind", "capability", "expected", "reason"),
    [
        ("cuda", 9, "bf16", "native on this GPU"),
        ("cuda", 8, "bf16", "native on this GPU"),
        ("cuda", 7, "fp16", "no native bfloat16"),  # T4, V100
        ("cuda", 6, "no", "no fast 16-bit format"),
        ("mps", 0, "no", "no gain is known on mps"),
        ("xpu", 0, "no", "no gain is known on xpu"),
    ],
)
def test_auto_on_a_gpu(
    kind: str, capability: int, expected: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_gpu(monkeypatch, kind, capability)
    found = choose_precision("auto")
    assert found.name == expected
    assert reason in found.reason


@pytest.mark.parametrize("is_native", [True, False])
def test_auto_on_a_cpu(is_native: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    monkeypatch.setattr(precision, "has_accelerator", lambda: False)
    monkeypatch.setattr(precision, "computes_bf16", lambda: is_native)
    found = choose_precision("auto")
    assert found.name == ("bf16" if is_native else "no")
    assert ("native on this processor" if is_native else "no native bfloat16") in found.reason


def test_a_processor_needs_the_instructions_and_a_library_that_uses_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = SimpleNamespace(mkldnn=SimpleNamespace())
    monkeypatch.setattr(torch, "ops", library)
    for has_instructions in (True, False):
        monkeypatch.setattr(
            torch.cpu, "_is_avx512_bf16_supported", lambda has=has_instructions: has, raising=False
        )
        for is_used in (True, False):
            library.mkldnn._is_mkldnn_bf16_supported = lambda is_used=is_used: is_used
            assert computes_bf16() == (has_instructions and is_used)
    del library.mkldnn._is_mkldnn_bf16_supported
    assert not computes_bf16()


@pytest.mark.parametrize(
    "line",
    [
        "flags\t\t: fpu avx2 avx512f avx512_bf16",
        "flags\t\t: fpu amx_bf16",
        "flags\t\t: fpu avx2 avx512f",
        "Features\t: fp asimd bf16",  # ARM: not known to pay
    ],
)
def test_without_torchs_function_the_flags_of_linux_are_read(
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\n{line}\nbugs\t\t:\n")
    monkeypatch.setattr(precision, "Path", lambda _: file)
    library = SimpleNamespace(mkldnn=SimpleNamespace(_is_mkldnn_bf16_supported=lambda: True))
    monkeypatch.setattr(torch, "ops", library)
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert computes_bf16() == ("avx512_bf16" in line or "amx_bf16" in line)


def test_what_accelerate_launch_was_given_is_used_but_not_its_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_gpu(monkeypatch, "cuda", 9)
    monkeypatch.setenv(LAUNCHER_VARIABLE, "fp16")
    assert choose_precision("auto") == Precision("fp16", "of accelerate launch")
    assert choose_precision("launcher").name == "fp16"
    assert choose_precision("no") == Precision("no")
    monkeypatch.setenv(LAUNCHER_VARIABLE, "no")
    assert choose_precision("auto").name == "bf16"
    assert choose_precision("launcher").name == "no"
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")  # it has one of its own
    assert choose_precision("auto").name == "no"
    monkeypatch.setattr(precision, "has_accelerator", lambda: False)
    monkeypatch.setenv(LAUNCHER_VARIABLE, "fp16")
    assert choose_precision("auto") == Precision("no", "fp16 needs a GPU")


def test_number_formats_of_a_sweep_are_refused_with_deepspeed_before_the_first_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_precisions(["no", "bf16"])
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    check_precisions(["bf16", "bf16"])
    with pytest.raises(SettingError, match=r"mixed_precision \(no, bf16\).*DeepSpeed"):
        check_precisions(["no", "bf16"])


def test_the_summary_explains_every_precision_that_was_not_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for has_gpu in (False, True):
        monkeypatch.setattr(precision, "has_accelerator", lambda has_gpu=has_gpu: has_gpu)
        for wanted in ("no", "fp16", "bf16"):
            used = choose_precision(wanted).name
            assert (used != wanted) == (explain_precision(wanted, used) != "")
            assert (used != wanted) == (wanted == "fp16" and not has_gpu)
    monkeypatch.setattr(precision, "has_accelerator", lambda: False)
    monkeypatch.setattr(precision, "computes_bf16", lambda: True)
    assert explain_precision("auto", "bf16") == "auto: native on this processor"
    assert explain_precision("auto", "no") == "as at the first start of this run"  # resumed
