"""The launch configurations in examples/, started as far as CPUs allow."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from click.testing import CliRunner
from safetensors.torch import load_file
from tiny_models import write_tiny_checkpoint
from tiny_runs import QUIET

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*/*.yaml"))
KINDS = {  # of processes, and how many
    "one": ("NO", 1), "one_gpu": ("NO", 1), "cpu": ("MULTI_GPU", 2), "ddp": ("MULTI_GPU", 2),
    "fsdp": ("FSDP", 2), "deepspeed": ("DEEPSPEED", 2), "machine": ("MULTI_GPU", 2),
}  # fmt: skip
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--config_file"]


def _start(*words: object) -> subprocess.Popen[str]:
    """Start a launcher in a process group of its own."""
    return subprocess.Popen(
        [*LAUNCH, *map(str, words)], cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def _finish(*processes: subprocess.Popen[str]) -> None:
    """Wait for launchers; none is left behind, and what a failed one said is shown."""
    try:
        outputs = [process.communicate(timeout=120)[0] for process in processes]
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output[-3000:]


def _find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def common(tone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """Return the flags that all runs share: steps of 8 clips, 4 of them."""
    # Layer norm and a mask: the padding of another batch changes nothing.
    checkpoint = tmp_path_factory.mktemp("checkpoint")
    write_tiny_checkpoint("hubert", checkpoint, feat_extract_norm="layer", **QUIET)
    return (
        "--dataset", tone_folder, "--model", checkpoint, "--max-seconds", 0.5, "--max-steps", 4,
        "--effective-batch-size", 8, "--learning-rate", 1e-3, "--save-every-steps", 2,
        "--keep-checkpoints", 2, "--batch-size", 2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def alone(common: tuple[object, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run of one process."""
    path = tmp_path_factory.mktemp("alone") / "run"
    main = runpy.run_path(str(ROOT / "scripts" / "train.py"))["main"]
    result = CliRunner().invoke(main, [*map(str, common), "--output-dir", str(path)])
    assert result.exit_code == 0, result.output
    return path


def _assert_alike(one: Path, other: Path) -> None:
    """Compare losses to 1e-5, predictions and whole weights."""
    rows = [list(csv.DictReader((run / "summary.csv").open())) for run in (one, other)]
    for left, right in zip(*rows, strict=True):
        assert float(left["train_loss"]) == pytest.approx(float(right["train_loss"]), rel=1e-5)
    rows = [list(csv.DictReader((run / "predictions.csv").open())) for run in (one, other)]
    assert [(r["id"], r["prediction"]) for r in rows[0]] == [
        (r["id"], r["prediction"]) for r in rows[1]
    ]
    weights = [load_file(run / "model.safetensors") for run in (one, other)]
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        assert torch.allclose(value, weights[1][name], atol=1e-4), name


@pytest.mark.long
def test_two_machines_train_like_one_process(
    common: tuple[object, ...], alone: Path, tmp_path: Path
) -> None:
    port = _find_port()
    config = ROOT / "examples" / "multi_node" / "machine.yaml"
    machines = [
        _start(
            config, "--machine_rank", rank, "--main_process_ip", "127.0.0.1",
            "--main_process_port", port, "scripts/train.py", *common, "--output-dir",
            tmp_path / "run",
        )
        for rank in (0, 1)
    ]  # fmt: skip
    _finish(*machines)
    _assert_alike(alone, tmp_path / "run")


@pytest.mark.long
def test_two_processes_on_a_cpu_train_like_one(
    common: tuple[object, ...], alone: Path, tmp_path: Path
) -> None:
    config = ROOT / "examples" / "accelerate" / "cpu.yaml"
    port = ("--main_process_port", _find_port())
    _finish(_start(config, *port, "scripts/train.py", *common, "--output-dir", tmp_path / "run"))
    _assert_alike(alone, tmp_path / "run")
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    assert results["hardware"]["num_processes"] == 2


@pytest.mark.long
def test_a_sharded_model_trains_like_a_whole_one_resumes_and_is_saved_whole(
    common: tuple[object, ...], alone: Path, tmp_path: Path
) -> None:
    config = ROOT / "examples" / "multi_gpu" / "fsdp.yaml"
    command = [
        config, "--mixed_precision", "no", "--main_process_port", _find_port(),
        "tests/helpers/fsdp_on_cpu.py", *common, "--output-dir", tmp_path / "run",
    ]  # fmt: skip
    _finish(_start(*command))
    _assert_alike(alone, tmp_path / "run")
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-4")
    (tmp_path / "run" / "model.safetensors").unlink()
    _finish(_start(*command, "--resume", "auto"))
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_launch_configuration_is_one_that_accelerate_reads(path: Path) -> None:
    config = load_config_from_file(str(path))
    kind = str(config.distributed_type).rpartition(".")[2]
    assert (kind, config.num_processes) == KINDS[path.stem]
    readme = (path.parent / "README.md").read_text("utf-8")
    assert f"examples/{path.parent.name}/{path.name}" in readme


def test_the_options_of_deepspeed_and_fsdp_are_accelerate_s_own() -> None:
    from accelerate.commands.launch import launch_command_parser

    options = {option for action in launch_command_parser()._actions
               for option in action.option_strings}  # fmt: skip
    checked = 0
    for path in EXAMPLES:
        tree = yaml.safe_load(path.read_text("utf-8"))
        for part in ("deepspeed_config", "fsdp_config"):
            for name in tree.get(part, {}):
                assert f"--{name}" in options, (path.name, name)
                checked += 1
    assert checked > 8
