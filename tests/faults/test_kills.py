"""Signals at random moments of every command; then the same command again gives the same result.

The moments are uniform over the time of an undisturbed command with empty caches: preparation,
training, checkpoints, evaluation, figures and card. AUDIO_CLS_FAULTS is the number of moments.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from fake_run import PUBLISHED, make_run
from fault_cases import Case, Lab
from forked_commands import Command, CommandServer
from hub_server import HubServer

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
ALLOWED = {  # exit codes; 0 where it had ended, -N where the interpreter was ending
    signal.SIGKILL: (-9, 0),
    signal.SIGTERM: (143, 3, 0, -15),
    signal.SIGINT: (130, 3, 0, -2),
}


def check_whole_or_absent(case: Case, right: dict[str, bytes]) -> None:
    """Check that no file that looks complete is not: each is absent or the right one."""
    for name, content in case.read().items():
        if name != "model.safetensors":  # the best so far, while it trains
            assert content == right[name], f"{name} is half written"


@pytest.mark.parametrize("name", ["train", "two", "evaluate", "predict"])
def test_a_signal_at_a_random_moment_then_the_same_command_gives_the_same_result(
    name: str,
    lab: Lab,
    tmp_path: Path,
) -> None:
    reference, seconds = lab.whole(name)
    right, lost = reference.read(), []
    assert len(right) >= (1 if name == "predict" else 2)
    rng = random.Random(name)
    for number in range(lab.num_cases):
        moment, kind = rng.uniform(0, seconds), SIGNALS[number % 3]
        case = lab.make_case(name, tmp_path / str(number))
        try:
            _disturb(case, kind, moment, is_launcher=name == "two")
            check_whole_or_absent(case, right)
            case.check_again(right, reference=reference)
            shutil.rmtree(case.root)
        except AssertionError as error:
            lost.append(f"{number}: {kind.name} after {moment:.2f} of {seconds:.2f} s: {error}")
    print(f"\n{name}: {lab.num_cases} tried, {lab.num_cases - len(lost)} survived")  # noqa: T201
    assert not lost, "\n\n".join(lost)


def _disturb(case: Case, kind: signal.Signals, moment: float, *, is_launcher: bool) -> None:
    """Start the command and send it a signal; check its end."""
    command = case.start()
    command.kill(kind, moment)
    begun = time.monotonic()
    code = command.wait(90)
    left = command.wait_for_left(60)
    assert time.monotonic() - begun < 60, "it did not end in a minute"
    assert not left, f"processes are left: {left}"
    assert is_launcher or code in ALLOWED[kind], f"exit code {code}: {command.said[-2000:]}"
    if kind != signal.SIGKILL and not is_launcher:
        assert "Traceback" not in command.said, command.said[-3000:]


def test_a_push_is_whole_or_absent_after_a_signal(
    commands: CommandServer, num_cases: int, tmp_path: Path
) -> None:
    rng, lost = random.Random("push"), []
    run = make_run(tmp_path / "run")
    with HubServer() as hub:
        environment = {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.write_token, "HF_HUB_OFFLINE": "0",
                       "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1,localhost",
                       "HF_HOME": str(tmp_path / "hf"), "TMPDIR": str(tmp_path)}  # fmt: skip

        def publish(name: str) -> Command:
            return commands.start(
                "publish", run, "--hub-repo-id", f"tester/{name}", env=environment
            )

        begun = time.monotonic()
        first = publish("whole")
        assert first.wait() == 0, first.said
        seconds = time.monotonic() - begun
        right = hub.files("models", "tester/whole")
        assert set(right) >= PUBLISHED
        for number in range(num_cases):
            repo = f"tester/run-{number}"
            command, kind = publish(f"run-{number}"), SIGNALS[number % 3]
            command.kill(kind, rng.uniform(0, seconds))
            code = command.wait(60)
            known = ("models", repo) in hub.repos
            files = hub.files("models", repo) if known else {}
            if set(files) & PUBLISHED and not set(right) <= set(files):
                lost.append(f"{number}: half an upload, {sorted(files)}")
            if code not in ALLOWED[kind] or (
                kind != signal.SIGKILL and "Traceback" in command.said
            ):
                lost.append(f"{number}: {kind.name}, exit code {code}: {command.said[-2000:]}")
            again = publish(f"run-{number}")
            if again.wait() != 0 or set(hub.files("models", repo)) != set(right):
                lost.append(f"{number}: {again.said}")
    print(f"\npush: {num_cases} tried, {num_cases - len(lost)} survived")  # noqa: T201
    assert not lost, "\n\n".join(lost)


@pytest.mark.parametrize("rank", [0, 1])
def test_the_end_of_one_process_ends_the_others_in_a_minute_with_its_error(
    rank: int, lab: Lab, tmp_path: Path
) -> None:
    reference, seconds = lab.whole("two")
    rng = random.Random(rank)
    for number in range(max(1, lab.num_cases // 2)):
        case = lab.make_case("two", tmp_path / str(number))
        command = case.start()
        time.sleep(rng.uniform(0.2, seconds))
        children = [pid for pid in command.find_left() if pid != command.pid]
        if len(children) < 2:
            command.wait()
            continue  # it had ended, or had not begun
        os.kill(sorted(children)[rank], signal.SIGKILL)
        begun = time.monotonic()
        command.wait(60)
        assert not command.wait_for_left(max(0.0, 60 - time.monotonic() + begun))
        # Fork as the way to start may name the process that lost its connection first.
        said = command.said
        assert command.code != 0 and ("Signal 9" in said or "is lost" in said), said[-3000:]
        again = case.start("--resume", "auto")
        assert again.wait() == 0, again.said[-2000:]
        assert case.read() == reference.read()
