"""The Accelerator of a run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from accelerate.utils import InitProcessGroupKwargs

from audio_cls.config import TrainConfig
from audio_cls.distributed import accelerator as module
from audio_cls.distributed.accelerator import (
    check_precisions,
    choose_precision,
    explain_precision,
    start_accelerator,
)
from audio_cls.errors import SettingError


def test_runs_of_one_process_can_have_different_number_formats(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)
    wanted = ["bf16", "no", "launcher"]
    found = [start_accelerator(TrainConfig(mixed_precision=one)).mixed_precision for one in wanted]
    assert found == ["bf16", "no", "no"]


def test_number_formats_of_a_sweep_are_refused_with_deepspeed_before_the_first_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_precisions(["no", "bf16"])
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    check_precisions(["bf16", "bf16"])
    with pytest.raises(SettingError, match=r"mixed_precision \(no, bf16\).*DeepSpeed"):
        check_precisions(["no", "bf16"])


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


def test_the_summary_explains_every_precision_that_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for has_gpu in (False, True):
        monkeypatch.setattr(module, "has_accelerator", lambda has_gpu=has_gpu: has_gpu)
        for wanted in ("no", "fp16", "bf16"):
            is_replaced = choose_precision(wanted) != wanted
            assert is_replaced == (explain_precision(wanted) != "")
            assert is_replaced == (wanted == "fp16" and not has_gpu)
