"""What the fault tests share: the number of cases, and commands forked from one process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
from fault_cases import TWO, Lab, Way
from forked_commands import CommandServer
from tiny_models import write_tiny_checkpoint
from tones import make_tone

CASES = int(os.environ.get("AUDIO_CLS_FAULTS", "4"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark every test below this folder; leave all out unless `-m` names the marker."""
    mine = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in mine:
        item.add_marker(pytest.mark.faults)
    if "faults" not in str(config.option.markexpr):
        items[:] = [item for item in items if item not in mine]
        config.hook.pytest_deselected(items=mine)


@pytest.fixture(scope="session")
def num_cases() -> int:
    """Return the number of cases that each test draws."""
    return CASES


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandServer]:
    """A server that forks commands."""
    folder = tmp_path_factory.mktemp("commands")
    with CommandServer(folder, {"HF_HUB_OFFLINE": "1"}) as server:
        yield server


@pytest.fixture(scope="session")
def ways(tone_folder: Path, commands: CommandServer, tmp_path_factory: Any) -> dict[str, Way]:  # noqa: ANN401
    """Return the commands, by name; `evaluate` and `predict` use a run that is made here."""
    folder = tmp_path_factory.mktemp("ways")
    write_tiny_checkpoint("hubert", folder / "m")
    # Short clips that are easily told apart; with dropout and random crops.
    common = ["train", "--dataset", str(tone_folder), "--model", str(folder / "m"), "--epochs", "2",
              "--max-seconds", "0.3", "--learning-rate", "0.001", "--save-every-steps", "3",
              "--ema-decay", "0.9"]  # fmt: skip
    run, clips = folder / "run", folder / "clips"
    done = commands.run(*common, "--batch-size", 6, "--output-dir", run, has_plain_figures=True)
    assert done.code == 0, done.said
    clips.mkdir()
    for number in range(60):
        soundfile.write(clips / f"{number}.wav", make_tone(200 + 40 * number, 0.3), 16_000)
    resume = ("--resume", "auto")
    return {
        "train": Way([*common, "--batch-size", "6", "--output-dir"], again=resume),
        "two": Way([*common, "--batch-size", "3", "--output-dir"], TWO, resume),
        "evaluate": Way(["evaluate", "--model", str(run), "--dataset", str(tone_folder),
                         "--output-dir"], again=("--overwrite",)),
        "predict": Way(["predict", str(run), str(clips), "--batch-size", "2", "--output"]),
    }  # fmt: skip


@pytest.fixture(scope="session")
def lab(
    commands: CommandServer,
    ways: dict[str, Way],
    num_cases: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> Lab:
    """Return the commands and their undisturbed results."""
    return Lab(commands, ways, tmp_path_factory.mktemp("whole"), num_cases)
