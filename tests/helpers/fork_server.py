"""A process that has imported the libraries once and forks a child for each command it is given.

Import takes 9 s of a processor, which is more than a small command does. A child behaves as
`audio-cls ARGUMENTS`: a session of its own, its own output files, a normal end of the interpreter.
Requests and answers are JSON lines on standard input and output; see `forked_commands.py`.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import resource
import select
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

PRELOADED = (
    "audio_cls.cli.main", "audio_cls.cli.train", "audio_cls.cli.evaluate", "audio_cls.cli.publish",
    "audio_cls.cli.inference.predict", "audio_cls.cli.inspect", "audio_cls.workflows.train",
    "audio_cls.workflows.evaluate", "matplotlib.pyplot", "sklearn.linear_model", "accelerate",
    "transformers.models.hubert.modeling_hubert", "torch.distributed.launcher.api",
)  # fmt: skip
CAPABILITIES = 0x20080522  # version 3 of Linux's interface
OVERRIDE = 0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH


def obey_permissions() -> None:
    """Let the mode of files bind also the superuser, in this process and its children."""
    if os.geteuid() != 0:
        return
    library = ctypes.CDLL(None, use_errno=True)
    header, data = (ctypes.c_uint32 * 2)(CAPABILITIES, 0), (ctypes.c_uint32 * 6)()
    if library.capget(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    for place in (0, 1, 2):  # effective, permitted, inheritable
        data[place] &= ~OVERRIDE
    library.prctl(24, 1)  # PR_CAPBSET_DROP: also for programs that it starts
    library.prctl(24, 2)
    if library.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def use_folders(environment: dict[str, str]) -> None:
    """Take the settings that libraries have read from the environment at import."""
    os.environ.update(environment)
    tempfile.tempdir = None
    import datasets
    from huggingface_hub import constants

    if "HF_HOME" in environment:
        home = Path(environment["HF_HOME"])
        datasets.config.HF_DATASETS_CACHE = home / "datasets"
        datasets.config.HF_MODULES_CACHE = str(home / "modules")
        constants.HF_HUB_CACHE = constants.HUGGINGFACE_HUB_CACHE = str(home / "hub")
        constants.HF_TOKEN_PATH = str(home / "token")
        constants.HF_HOME = str(home)
    if "HF_ENDPOINT" in environment:
        url = environment["HF_ENDPOINT"]
        constants.ENDPOINT = datasets.config.HF_ENDPOINT = url
        constants.HUGGINGFACE_CO_URL_TEMPLATE = (
            f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        )
        constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = False


def run_child(request: dict[str, Any]) -> None:
    """Become the command; returns or raises SystemExit as the program does."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        file = os.open(request.get(name, os.devnull), flags, 0o666)
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["cwd"])
    use_folders(request.get("env", {}))
    for name, value in request.get("limits", {}).items():
        resource.setrlimit(getattr(resource, name), (value, value))
    if request.get("obeys_permissions"):
        obey_permissions()
    if request.get("has_plain_figures"):
        draw_no_figures()
    sys.argv = ["audio-cls", *request["words"]]
    find_function(request.get("function", "audio_cls.cli.start:main"))()


def draw_no_figures() -> None:
    """Write an empty file instead of each figure: drawing is half of the time of a small run."""
    from matplotlib.figure import Figure

    def save(_: Figure, file: Any, **__: Any) -> None:  # noqa: ANN401
        write = file.write if hasattr(file, "write") else Path(file).write_bytes
        write(b"")

    Figure.savefig = save  # type: ignore[method-assign]


def launch_two() -> None:
    """Train in two processes as `accelerate launch --multi_gpu --num_processes 2` starts them."""
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ.update(ACCELERATE_MIXED_PRECISION="no", ACCELERATE_USE_CPU="true")
    config = LaunchConfig(
        1, 1, 2, run_id=str(os.getpid()), rdzv_backend="c10d", rdzv_endpoint="localhost:0",
        max_restarts=0, monitor_interval=0.5, start_method="fork",
    )  # fmt: skip
    elastic_launch(config, train_here)()


def train_here() -> None:
    """Run the command `train` in this process."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # not the handler of the launcher
    from audio_cls.cli.train import main

    main(sys.argv[2:])


def find_function(name: str) -> Callable[[], None]:
    """Import a function by MODULE:NAME."""
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)  # type: ignore[no-any-return]


def answer(**values: object) -> None:
    """Write one JSON line to the client."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def reap() -> None:
    """Report the children that have ended."""
    while True:
        try:
            pid, status, used = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        code = os.waitstatus_to_exitcode(status)
        answer(ended=pid, code=code, cpu=used.ru_utime + used.ru_stime, rss_kb=used.ru_maxrss)


def serve() -> None:
    """Fork until standard input ends; in a child, return from here is the end of the program."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the client
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    answer(ready=os.getpid(), tasks=len(os.listdir("/proc/self/task")))
    rest = b""
    while True:
        ready, _, _ = select.select([0, reader], [], [])
        if reader in ready:
            os.read(reader, 4096)
        reap()
        if 0 not in ready:
            continue
        received = os.read(0, 2**16)
        if not received:
            return
        *lines, rest = (rest + received).split(b"\n")
        for line in lines:
            pid = os.fork()
            if pid == 0:
                os.close(reader), os.close(writer)
                return run_child(json.loads(line))
            answer(started=pid)


def main() -> None:
    """Import everything, then serve."""
    for name in PRELOADED:
        importlib.import_module(name)
    import torch

    torch.set_num_threads(1)
    serve()


if __name__ == "__main__":
    main()
