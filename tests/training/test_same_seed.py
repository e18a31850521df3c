"""One seed gives one training, for any number of workers and processes, and after a pause."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from forked import Forked
from recorded import VARIED, Heard, record
from tiny_models import write_tiny_checkpoint
from tiny_runs import QUIET, make_config
from tones import write_split_tones

STEPS_PER_EPOCH = 3  # 18 clips, 8 a step: the last step is short, and uneven on two processes
SHARED: dict[str, Any] = {"epochs": 2, "max_seconds": 0.3, "learning_rate": 1e-3}
FAMILIES = {"hubert": QUIET, "whisper": {"dropout": 0.0, "max_source_positions": 1500}}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return tones of two classes, all longer than the crop."""
    return write_split_tones(tmp_path_factory.mktemp("clips"), 18, 0.5)


@pytest.fixture(scope="module")
def runs(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """Return the folders of each family, for one process and for two."""
    root = tmp_path_factory.mktemp("runs")
    found: dict[str, list[dict[str, Any]]] = {}
    for family, quiet in FAMILIES.items():
        write_tiny_checkpoint(family, root / family, **quiet)
        found[family] = [
            {"dataset": str(clips), "checkpoint": str(root / family), "run": str(root / name)}
            for name in (f"{family}-one", f"{family}-two")
        ]
    return found


@pytest.fixture(scope="module")
def of_two(
    runs: dict[str, list[dict[str, Any]]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[tuple[Heard, Any]]]:
    """Return the inputs and weights of each of two processes with two workers."""
    wanted = [{**own[1], **SHARED, "batch_size": 4, "num_workers": 2} for own in runs.values()]
    log = tmp_path_factory.mktemp("log") / "of_two"
    Forked("tests/helpers/recorded.py", [json.dumps(wanted)], log, count=2).finish()
    return {
        family: [torch.load(f"{own[1]['run']}/heard-{rank}.pt") for rank in (0, 1)]
        for family, own in runs.items()
    }


def assert_same(one: Heard, two: Heard) -> None:
    """Compare the input of every clip in every epoch, bit for bit."""
    assert one.keys() == two.keys()
    for key, parts in one.items():
        assert all(torch.equal(a, b) for a, b in zip(parts, two[key], strict=True)), key


@pytest.mark.long
@pytest.mark.parametrize("family", FAMILIES)
def test_workers_processes_and_a_pause_change_neither_crops_nor_augmentation(
    family: str,
    runs: dict[str, list[dict[str, Any]]],
    of_two: dict[str, list[tuple[Heard, Any]]],
    tmp_path: Path,
) -> None:
    places = [Path(runs[family][0][name]) for name in ("dataset", "checkpoint", "run")]
    common = {**SHARED, **VARIED, "batch_size": 8}
    whole, weights = record(make_config(*places, **common, num_workers=0))
    assert len(whole) == 18 * 2
    assert not torch.equal(whole[0, 5][0], whole[1, 5][0])  # another epoch is another crop
    places[2] = tmp_path / "halves"
    at = STEPS_PER_EPOCH + 1  # within the second epoch
    first, half = record(make_config(*places, **common, num_workers=2), pause_at=at)
    assert not all(torch.equal(weights[name], half[name]) for name in weights)
    rest, again = record(make_config(*places, **common, num_workers=2, resume="auto"))
    assert len(first) < len(whole) and set(first).isdisjoint(rest)
    assert_same(whole, {**first, **rest})
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    (one, learnt), (two, _) = of_two[family]
    assert set(one).isdisjoint(two) and len(one) >= len(two) > 0
    assert_same(whole, {**one, **two})
    for name, value in learnt.items():
        if "k_proj.bias" not in name:  # its gradient is nothing but rounding
            torch.testing.assert_close(value, weights[name], atol=1e-5, rtol=0, msg=name)
