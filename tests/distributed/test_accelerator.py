"""The Accelerator of a run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from accelerate.utils import InitProcessGroupKwargs

from audio_cls.config import TrainConfig
from audio_cls.distributed import accelerator as module
from audio_cls.distributed import precision
from audio_cls.distributed.accelerator import start_accelerator
from audio_cls.errors import SettingError


def test_runs_of_one_process_can_have_different_number_formats(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)
    monkeypatch.setattr(precision, "computes_bf16", lambda: True)
    wanted = ["bf16", "no", "auto", "launcher"]
    found = [start_accelerator(TrainConfig(mixed_precision=one)).mixed_precision for one in wanted]
    assert found == ["bf16", "no", "bf16", "no"]


def test_bf16_on_a_processor_that_emulates_it_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for is_native in (True, False):
        monkeypatch.setattr(module, "computes_bf16", lambda is_native=is_native: is_native)
        caplog.clear()
        start_accelerator(TrainConfig(mixed_precision="bf16"))
        assert ("no native bfloat16" in caplog.text) != is_native


def test_machines_that_would_choose_different_formats_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "gather_rows", lambda names: [*names, "bf16"])
    start_accelerator(TrainConfig(mixed_precision="bf16"))
    with pytest.raises(SettingError, match=r"different number formats \(bf16, no\)"):
        start_accelerator(TrainConfig(mixed_precision="no"))


def test_processes_wait_for_one_that_prepares_or_publishes(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    original = module.Accelerator

    def start(**options: Any) -> Any:  # noqa: ANN401
        given.update(options)
        return original(**options)

    monkeypatch.setattr(module, "Accelerator", start)
    start_accelerator(TrainConfig())
    (group,) = [one for one in given["kwargs_handlers"] if isinstance(one, InitProcessGroupKwargs)]
    assert group.timeout >= timedelta(hours=12)  # torch: 30 minutes, with NCCL 10
