"""Cases of the fault tests: a command with folders of its own, and what it must give."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forked_commands import Command, CommandServer

TWO = "fork_server:launch_two"
DOCUMENTED = (".lock",)  # what a killed command may leave besides its results


@dataclass
class Way:
    """A command: its words, what it writes, and how it is repeated after a kill."""

    words: list[str]
    function: str = "audio_cls.cli.start:main"
    again: tuple[str, ...] = ()


@dataclass
class Case:
    """A folder of its own for one case: caches, temporary files, output."""

    server: CommandServer
    root: Path
    way: Way

    @property
    def target(self) -> Path:
        """Return the run folder, or the folder with the output."""
        return self.root / "out" / ("rows.csv" if self.way.words[0] == "predict" else "run")

    def start(self, *more: str, **how: Any) -> Command:  # noqa: ANN401
        """Start the command; `how` are keys of a request, see `fork_server.run_child`."""
        for name in ("hf", "tmp", "out"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        environment = {"HF_HOME": str(self.root / "hf"), "TMPDIR": str(self.root / "tmp")}
        request = {"function": self.way.function, "has_plain_figures": True, **how}
        request["env"] = {**environment, **how.get("env", {})}
        return self.server.start(*self.way.words, self.target, *more, **request)

    def check_again(self, right: dict[str, bytes], *more: str, reference: Case) -> None:
        """Run the command again as its message advises: the right result, and nothing else."""
        if self.way.words[0] == "predict" and self.read() == right:
            return  # a finished output is not written again
        again = self.start(*(more or self.way.again))
        assert again.wait() == 0, f"again: {again.code} {again.said[-2500:]}"
        assert self.read() == right, "another result"
        extra = self.list_files("out") - reference.list_files("out")
        assert not {path for path in extra if Path(path).name not in DOCUMENTED}, extra
        assert not self.list_files("tmp"), self.list_files("tmp")
        assert not again.wait_for_left(), "processes are left"

    def read(self) -> dict[str, bytes]:
        """Read what must be the same: weights, predictions, metrics of the test."""
        out = self.target.parent if self.target.suffix else self.target
        names = ("model.safetensors", "predictions.csv", "rows.csv")
        found = {name: (out / name).read_bytes() for name in names if (out / name).is_file()}
        if (out / "results.json").is_file():
            results = json.loads((out / "results.json").read_text())
            found["test"] = json.dumps(results["test"], sort_keys=True).encode()
        return found

    def list_files(self, *folders: str) -> set[str]:
        """List the files below some folders of the case."""
        found = itertools.chain(*((self.root / folder).rglob("*") for folder in folders))
        return {str(path.relative_to(self.root)) for path in found if path.is_file()}


@dataclass
class Lab:
    """The commands, and their results when nothing disturbs them."""

    server: CommandServer
    ways: dict[str, Way]
    folder: Path
    num_cases: int  # of each test
    done: dict[str, tuple[Case, float]] = field(default_factory=dict)

    def make_case(self, name: str, root: Path) -> Case:
        """Return a case of a command."""
        return Case(self.server, root, self.ways[name])

    def whole(self, name: str) -> tuple[Case, float]:
        """Return the undisturbed case of a command, and its seconds; it is run once."""
        if name not in self.done:
            case = self.make_case(name, self.folder / name)
            begun = time.monotonic()
            command = case.start()
            assert command.wait() == 0, command.said
            self.done[name] = case, time.monotonic() - begun
        return self.done[name]


def check_refusal(command: Command, *words: str) -> None:
    """Check that a command that failed said why in lines, without a traceback."""
    assert command.code in (1, 2), f"exit code {command.code}: {command.said[-2500:]}"
    assert "Traceback" not in command.said, command.said[-3500:]
    assert not words or any(word in command.said for word in words), command.said[-1500:]


def count_survivors(name: str, cases: dict[str, Callable[[], None]]) -> None:
    """Run cases; print how many survived, and fail with the errors of those that did not."""
    lost = []
    for title, run in cases.items():
        try:
            run()
        except (AssertionError, TimeoutError) as error:
            lost.append(f"{title}: {error}")
    print(f"\n{name}: {len(cases)} tried, {len(cases) - len(lost)} survived")  # noqa: T201
    assert not lost, "\n\n".join(lost)
