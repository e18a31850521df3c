"""A token is used and never repeated: not in the run or its curves, nor in what is pushed."""

from __future__ import annotations

import logging
import runpy
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fake_run import read_all
from hub_server import HubServer, Token
from tiny_runs import write_quiet_checkpoint

ROOT = Path(__file__).parents[3]
TOKEN = "plain-and-secret-0123456789"  # of no form by which it could be known
HOST = "ann-laptop"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny HuBERT."""
    return write_quiet_checkpoint(tmp_path_factory.mktemp("hubert"))


def _train(*words: object) -> Result:
    main = runpy.run_path(str(ROOT / "scripts" / "train.py"))["main"]
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture(params=["env", "file"])
def login(
    request: pytest.FixtureRequest, hub: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Give the token by the environment, then by the file of `hf auth login`."""
    hub.tokens[TOKEN] = Token("tester")
    monkeypatch.setattr(socket, "gethostname", lambda: HOST)
    monkeypatch.delenv("HF_TOKEN")
    if request.param == "env":
        monkeypatch.setenv("HF_TOKEN", TOKEN)
    else:
        (tmp_path / "token").write_text(TOKEN)


@pytest.mark.usefixtures("logged_in", "login")
def test_no_file_log_or_error_holds_the_token(
    hub: HubServer,
    tone_folder: Path,
    checkpoint: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("tensorboard")
    words = (
        "--dataset", tone_folder, "--model", checkpoint, "--max-seconds", 0.3, "--epochs", 2,
        "--max-train-samples", 8, "--max-eval-samples", 3, "--report-to", "tensorboard",
        "--output-dir", tmp_path / "run", "--push-to-hub", "--push-logs",
    )  # fmt: skip
    hub.fail(path_part="/commit/", times=None)
    with caplog.at_level(logging.DEBUG):
        lost = _train(*words)
        hub.faults.active.clear()
        done = _train(*words, "--overwrite")
    assert lost.exit_code == done.exit_code == 0, (lost.output, done.output)
    assert "publish it later" in lost.stderr + caplog.text
    run, pushed = read_all(tmp_path / "run"), hub.files("models", "tester/run")
    assert any("tfevents" in name and HOST in name for name in run)
    curves = [name for name in pushed if "tfevents" in name]
    assert curves == ["runs/events.out.tfevents.0001"] and b"validation_loss" in pushed[curves[0]]
    told = (lost.output + done.output + caplog.text).encode()
    for text in (told, *run.values(), *pushed.values()):
        assert TOKEN.encode() not in text
    for private in (HOST, str(tmp_path), str(Path.home())):
        assert not any(private.encode() in content for content in pushed.values()), private
        assert not any(private in name for name in pushed)


def test_a_token_typed_as_a_flag_is_refused_unrepeated(tmp_path: Path) -> None:
    token = "hf_" + "x" * 34
    for words in (["--token", token], [f"--hub-token={token}"], ["--push-to-hub", token]):
        result = _train("--output-dir", tmp_path / "run", *words)
        assert result.exit_code == 2 and token not in result.output
    assert not (tmp_path / "run").exists()
