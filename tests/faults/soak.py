"""Soak test: small runs, evaluations, predictions and uploads under random faults, for hours.

    python tests/faults/soak.py --minutes 110 --folder /tmp/soak

Each cycle draws a command and a fault, runs it, runs it again as its message advises, and compares
the result with that of an undisturbed one. `audio-cls predict --watch` runs all the time. A line of
cycles.jsonl per cycle; summary.json at the end, or at SIGTERM. Exit code 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

import psutil  # noqa: E402
import soundfile  # noqa: E402
from forked_commands import Command, CommandServer  # noqa: E402
from hub_server import HubServer  # noqa: E402
from tones import make_tone  # noqa: E402

BOTH = ("none", "SIGKILL", "SIGTERM", "SIGINT", "cache deleted")
FAULTS = (*BOTH, "cache read-only", "output read-only")
HUB_FAULTS = (*BOTH, "status", "drop", "cut", "lose")
COMMANDS = ("train", "train", "evaluate", "predict", "push", "from hub")
SHARE = 0.25  # of one core
DATASET, MODEL = "tester/tiny", "tester/model"


def list_files(folder: Path) -> list[Path]:
    """List all files below a folder, whatever is removed meanwhile."""
    return [Path(root) / name for root, _, names in os.walk(folder) for name in names]


def count_bytes(files: list[Path]) -> int:
    """Add up sizes."""
    total = 0
    for file in files:
        with contextlib.suppress(OSError):
            total += file.stat().st_size
    return total


class Soak:
    """The folder, the processes that live long, and what the undisturbed commands gave."""

    def __init__(self, folder: Path, server: CommandServer, hub: HubServer, seed: int) -> None:
        self.folder, self.server, self.hub = folder, server, hub
        self.rng = random.Random(seed)
        self.clips, self.model = folder / "clips", folder / "reference"
        self.home = folder / "hf"
        self.cpu, self.started = 0.0, time.monotonic()
        self.words: dict[str, list[object]] = {
            "train": ["train", "--preset", "demo", "--epochs", 2, "--save-every-steps", 4],
            "evaluate": ["evaluate", "--model", self.model, "--dataset", "builtin:tiny_speech"],
            "predict": ["predict", self.model, self.clips],
            "from hub": ["evaluate", "--model", MODEL, "--dataset", DATASET],
            "push": ["publish", self.model],
        }
        self.right: dict[str, str] = {}
        self.seconds: dict[str, float] = {}
        self.last_said: list[str] = []

    def prepare(self) -> None:
        """Run each command undisturbed; its result is the right one."""
        for number in range(40):
            self.add_clip(self.clips / f"{number:02d}.wav", 200 + 20 * number)
        self.hub.seed("datasets", DATASET, ROOT / "audio_cls" / "demo_data" / "tiny_speech")
        train = self.run("train", self.model)
        if train.code != 0:
            raise SystemExit(train.said)
        files = ("config.json", "model.safetensors", "preprocessor_config.json", "results.json")
        self.hub.seed("models", MODEL, {name: self.model / name for name in files})
        for name in ("train", "evaluate", "predict", "from hub", "push"):
            target = self.folder / f"right-{name.replace(' ', '-')}"
            done = self.run(name, target)
            if done.code != 0:
                raise SystemExit(f"{name}: {done.code} {done.said}")
            self.right[name], self.seconds[name] = self.read(name, target), self.wall
        (self.folder / "watched").mkdir()
        self.watch = self.server.start(
            "predict", self.model, "--watch", self.folder / "watched", "--output",
            self.folder / "watched.csv",
        )  # fmt: skip

    def add_clip(self, path: Path, hz: float) -> None:
        """Write a tone; a watcher sees it whole."""
        path.parent.mkdir(exist_ok=True)
        partial = self.folder / "partial.wav"
        soundfile.write(partial, make_tone(hz, 0.5), 16_000)
        partial.replace(path)

    def start(self, name: str, target: Path, *more: object, **how: Any) -> Command:  # noqa: ANN401
        """Start a command that writes to a target: a folder, a file, or a repository."""
        option = {"predict": "--output", "push": "--hub-repo-id"}.get(name, "--output-dir")
        place = f"tester/{target.name}" if name == "push" else target
        return self.server.start(*self.words[name], option, place, *more, **how)

    def run(self, name: str, target: Path, *more: object, **how: Any) -> Command:  # noqa: ANN401
        """Run it to its end."""
        begun = time.monotonic()
        command = self.start(name, target, *more, **how)
        command.wait(600)
        self.wall = time.monotonic() - begun
        self.cpu += command.cpu
        self.last_said.append(command.said)
        return command

    def read(self, name: str, target: Path) -> str:
        """Return the hash of a result; empty if there is none."""
        if name == "push":
            repo = self.hub.repos.get(("models", f"tester/{target.name}"))
            files = self.hub.files("models", repo.id) if repo else {}
            parts = [files[key] for key in ("config.json", "model.safetensors") if key in files]
            parts = [*parts, "\n".join(sorted(files)).encode()] if parts else []
        elif name == "predict":
            parts = [target.read_bytes()] if target.is_file() else []
        else:
            names = ["predictions.csv"] + ["model.safetensors"] * (name == "train")
            parts = [(target / item).read_bytes() for item in names if (target / item).is_file()]
            if not (target / "results.json").is_file():
                parts = []
        return hashlib.sha256(b"\0".join(parts)).hexdigest() if parts else ""

    def run_with_fault(self, name: str, fault: str, target: Path) -> Command:
        """Run a command under a fault."""
        after = self.rng.uniform(0, self.seconds[name])
        caches = self.home / self.rng.choice(["datasets/audio_cls", "datasets", ""])
        how: dict[str, Any] = {}
        locked: list[Path] = []
        if fault == "cache read-only":
            locked = [folder for folder in (caches, *caches.glob("*")) if folder.is_dir()]
        elif fault == "output read-only":
            locked = [target if name != "predict" and target.is_dir() else target.parent]
        elif fault in ("status", "drop", "cut", "lose"):
            found = self.hub.fail_randomly(0.2, seed=self.rng.randrange(10**6), method="*")
            found.kind, found.status = fault, self.rng.choice([401, 403, 404, 429, 500, 503])
        modes = [(folder, folder.stat().st_mode) for folder in locked]
        for folder, _ in modes:
            folder.chmod(0o555)
        how["obeys_permissions"] = bool(locked)
        command = self.start(name, target, **how)
        if fault.startswith("SIG"):
            command.kill(getattr(signal, fault), after)
        elif fault == "cache deleted":
            command.ended.wait(after)
            shutil.rmtree(caches, ignore_errors=True)
        command.wait(600)
        self.cpu += command.cpu
        for folder, mode in modes:
            folder.chmod(mode)
        self.hub.faults.clear()
        self.last_said.append(command.said)
        return command

    def cycle(self, number: int) -> dict[str, Any]:
        """Do one cycle; return what was seen."""
        name = COMMANDS[number % len(COMMANDS)]
        fault = self.rng.choice(HUB_FAULTS if name in ("push", "from hub") else FAULTS)
        target = self.folder / "out" / f"{name.replace(' ', '-')}-{number}"
        target.parent.mkdir(exist_ok=True)
        self.last_said.clear()
        first = self.run_with_fault(name, fault, target)
        problems = [f"left processes {left}"] if (left := first.wait_for_left()) else []
        if "Traceback" in first.said:
            problems.append("traceback")
        if first.code == 0 and name != "push" and self.read(name, target) != self.right[name]:
            problems.append("wrong at once")
        half = self.read(name, target)
        if half not in ("", self.right[name]) and name not in ("train", "push"):
            problems.append("half a result")
        codes = [first.code]
        if first.code != 0 or name == "push":
            known = {"train": ["--resume", "auto"], "push": [], "predict": []}
            more = known.get(name, ["--overwrite"])
            codes.append(self.run(name, target, *more).code)
        is_right = self.read(name, target) == self.right[name]
        row = {"cycle": number, "command": name, "fault": fault, "codes": codes, "right": is_right,
               "problems": problems, **self.measure(target)}  # fmt: skip
        if problems or not is_right:
            kept = self.folder / "lost" / str(number)
            kept.mkdir(parents=True)
            (kept / "said.txt").write_text("\n=====\n".join(self.last_said))
            if target.is_dir():
                shutil.copytree(target, kept / "target")
        self.remove(name, target)
        return row

    def remove(self, name: str, target: Path) -> None:
        """Remove a result."""
        if name == "push":
            self.hub.repos.pop(("models", f"tester/{target.name}"), None)
        for path in target.parent.glob(f"{target.name}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def measure(self, target: Path) -> dict[str, Any]:
        """Return the sizes of everything that could grow."""
        caches = self.home / "datasets" / "audio_cls"
        temporary = list_files(self.folder / "tmp")
        outputs = list_files(target.parent)
        hidden = [path for path in outputs if re.search(r"\.partial|/\.removed", str(path))]
        row: dict[str, Any] = {
            "seconds": round(time.monotonic() - self.started), "cpu": round(self.cpu, 1),
            "temporary_files": len(temporary), "temporary_bytes": count_bytes(temporary),
            "cache_bytes": count_bytes(list_files(caches)),
            "locks": len(list_files(caches / "locks")),
            "hub_cache_bytes": count_bytes(list_files(self.home / "hub")),
            "home_bytes": count_bytes(list_files(self.home)),
            "partial_files": sorted(path.name for path in hidden),
        }  # fmt: skip
        driver = psutil.Process()
        long_lived = {"driver": driver.pid, "server": self.server.pid, "watch": self.watch.pid}
        for key, pid in long_lived.items():
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                row[f"{key}_rss_mb"] = round(process.memory_info().rss / 2**20, 1)
                row[f"{key}_files"] = process.num_fds()
                row[f"{key}_threads"] = process.num_threads()
        row["children"] = len(psutil.Process(self.server.pid).children(recursive=True)) - 1
        return row

    def check_watch(self, number: int) -> str:
        """Give the watcher a clip per cycle; return what is wrong with its rows at the end."""
        expected = sorted(path.name for path in (self.folder / "watched").iterdir())
        if self.watch.ended.is_set():
            return f"the watcher ended: {self.watch.code} {self.watch.said[-300:]}"
        with contextlib.suppress(OSError), (self.folder / "watched.csv").open(newline="") as file:
            rows = sorted(Path(row["file"]).name for row in csv.DictReader(file))
            late = set(expected) - set(rows)
            if len(rows) != len(set(rows)) or len(late) > 1:
                return f"the watcher has {len(rows)} rows, {len(late)} are missing"
        self.add_clip(self.folder / "watched" / f"{number}.wav", 300 + number)
        return ""


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Compare the first tenth of the cycles with the last, in means."""
    tenth = max(1, len(rows) // 10)
    summary: dict[str, Any] = {
        "cycles": len(rows), "right": sum(row["right"] for row in rows),
        "problems": sum(bool(row["problems"]) for row in rows), "growth": {},
    }  # fmt: skip
    by_fault: dict[str, list[int]] = {}
    for row in rows:
        count = by_fault.setdefault(f"{row['command']}, {row['fault']}", [0, 0])
        count[0] += 1
        count[1] += row["right"] and not row["problems"]
    summary["tried_and_right"] = dict(sorted(by_fault.items()))
    for key in rows[0] if rows else ():
        values = [row[key] for row in rows if isinstance(row.get(key), int | float)]
        if len(values) == len(rows) and key not in ("cycle", "seconds", "cpu", "right"):
            first, last = (sum(part) / tenth for part in (values[:tenth], values[-tenth:]))
            summary["growth"][key] = [round(first, 1), round(last, 1), round(last - first, 1)]
    return summary


def main() -> None:
    """Run cycles until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=110)
    parser.add_argument("--folder", type=Path, required=True, help="a folder that does not exist")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = options.folder.absolute()
    (folder / "tmp").mkdir(parents=True)
    os.nice(10)
    is_over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: is_over.set())
    rows: list[dict[str, Any]] = []
    with HubServer() as hub, (folder / "cycles.jsonl").open("w") as log:
        environment = {
            "HF_HOME": str(folder / "hf"), "TMPDIR": str(folder / "tmp"), "HF_ENDPOINT": hub.url,
            "HF_TOKEN": hub.write_token, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0",
        }  # fmt: skip
        with CommandServer(folder / "said", environment) as server:
            soak = Soak(folder, server, hub, options.seed)
            soak.prepare()
            while not is_over.is_set() and time.monotonic() - soak.started < 60 * options.minutes:
                row = soak.cycle(len(rows))
                if wrong := soak.check_watch(len(rows)):
                    row["problems"].append(wrong)
                rows.append(row)
                log.write(json.dumps(row) + "\n")
                log.flush()
                for file in (folder / "said").glob("*.*"):
                    if file not in (soak.watch.out, soak.watch.err) and file.name != "server.err":
                        file.unlink()
                rest = soak.cpu / SHARE - (time.monotonic() - soak.started)
                is_over.wait(max(0.0, rest))
    summary = summarise(rows)
    (folder / "summary.json").write_text(json.dumps(summary, indent=1))
    sys.stdout.write(json.dumps(summary, indent=1) + "\n")
    sys.exit(0 if summary["right"] == len(rows) and not summary["problems"] else 1)


if __name__ == "__main__":
    main()
