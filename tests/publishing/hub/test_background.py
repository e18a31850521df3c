"""The best model so far is published during training; a failure does not stop the training."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest
from fake_run import REPO, count_commits, make_run, read_all
from hub_server import HubServer
from tiny_runs import make_config, set_up, write_quiet_checkpoint

from audio_cls.config import HubConfig, RunConfig
from audio_cls.errors import SettingError
from audio_cls.publishing.hub.background import DRAFT, BackgroundUploader, upload_during_training
from audio_cls.publishing.hub.push import push_run
from audio_cls.training.loop import train

pytestmark = pytest.mark.usefixtures("logged_in")
EARLY = {"README.md", "config.json", "model.safetensors", "preprocessor_config.json"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny HuBERT."""
    return write_quiet_checkpoint(tmp_path_factory.mktemp("hubert"))


def _make_config(tone_folder: Path, checkpoint: Path, run: Path, strategy: str) -> RunConfig:
    options = {"hub_strategy": strategy, "push_to_hub": True, "epochs": 3, "max_eval_samples": 3}
    return make_config(tone_folder, checkpoint, run, max_train_samples=8, **options)


@pytest.mark.parametrize(("strategy", "num_calls"), [("end", 0), ("best", 1), ("every-save", 3)])
def test_each_strategy_publishes_when_it_says(
    strategy: str,
    num_calls: int,
    tone_folder: Path,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []
    enqueue = BackgroundUploader.enqueue
    monkeypatch.setattr(
        BackgroundUploader, "enqueue", lambda self: (calls.append(1), enqueue(self))
    )
    cfg = _make_config(tone_folder, checkpoint, tmp_path / "run", strategy)
    with upload_during_training(tmp_path / "run", cfg.hub, REPO) as callbacks:
        run = set_up(cfg, callbacks)
        run.validate = lambda model: {
            "accuracy": 0.5,
            "loss": 1.0,
        }  # the first epoch stays the best
        train(run)
    assert len(calls) == num_calls
    assert not list((tmp_path / "run").glob(f"{DRAFT}*"))


def test_what_arrives_is_the_best_model_and_says_that_it_is_early(
    hub: HubServer, tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run")
    uploader = BackgroundUploader(run, HubConfig(), REPO)
    uploader.enqueue()
    before = (run / "model.safetensors").read_bytes()
    (run / "model.safetensors").write_text("the next epoch's")
    _wait_for(hub, 1)
    uploader.close()
    files = hub.files("models", REPO)
    assert set(files) - {".gitattributes"} == EARLY | {"run_config.yaml"}
    assert files["model.safetensors"] == before
    assert b"still in training" in files["README.md"]
    assert push_run(run, HubConfig(), REPO)
    files = hub.files("models", REPO)
    assert files["model.safetensors"] == b"the next epoch's" and "results.json" in files


def test_a_finished_run_keeps_its_model_and_results_until_the_new_one_has_ended(
    hub: HubServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = make_run(tmp_path / "old"), make_run(tmp_path / "new")
    push_run(old, HubConfig(), REPO)
    before = hub.files("models", REPO)
    (new / "model.safetensors").write_text("the new weights")
    uploader = BackgroundUploader(new, HubConfig(), REPO)
    uploader.enqueue()
    end = time.monotonic() + 60
    while "training continues" not in caplog.text:
        assert uploader.thread.is_alive() and time.monotonic() < end
    uploader.close()
    assert hub.files("models", REPO) == before
    assert f"'{REPO}' has a finished run" in caplog.text
    assert push_run(new, HubConfig(), REPO)
    assert hub.files("models", REPO)["model.safetensors"] == b"the new weights"


def test_nothing_is_sent_to_a_finished_run_while_training_and_that_is_told_before(
    hub: HubServer,
    tone_folder: Path,
    checkpoint: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    push_run(make_run(tmp_path / "old"), HubConfig(), REPO)
    num_commits = count_commits(hub)
    cfg = _make_config(tone_folder, checkpoint, tmp_path / "run", "best")
    with upload_during_training(tmp_path / "run", cfg.hub, REPO) as callbacks:
        assert callbacks is None
        assert f"'{REPO}' has a finished run" in caplog.text
        train(set_up(cfg, callbacks))
    assert count_commits(hub) == num_commits


def test_files_of_others_stay_beside_a_model_that_still_trains(
    hub: HubServer, tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run")
    hub.seed("models", REPO, {"notes.md": "mine", "splits/readme/x.txt": "mine"})
    uploader = BackgroundUploader(run, HubConfig(), REPO)
    uploader.enqueue()
    _wait_for(hub, 1)
    uploader.close()
    kept = {".gitattributes", "notes.md", "splits/readme/x.txt", "run_config.yaml"}
    assert set(hub.files("models", REPO)) == EARLY | kept


def test_only_the_newest_copy_waits_its_turn(hub: HubServer, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    hub.slow(0.5, path_part="/api/repos/create")
    uploader = BackgroundUploader(run, HubConfig(), REPO)
    for number in range(5):
        (run / "model.safetensors").write_text(f"weights {number}")
        uploader.enqueue()
        if number == 0:
            while uploader.waiting is not None:
                pass  # the first is on its way
    _wait_for(hub, 2)
    uploader.close()
    assert count_commits(hub) == 2
    assert hub.files("models", REPO)["model.safetensors"] == b"weights 4"
    assert not list(run.glob(f"{DRAFT}*"))


@pytest.mark.parametrize("status", [503, 403])
def test_a_hub_that_fails_does_not_stop_the_training(
    status: int,
    hub: HubServer,
    tone_folder: Path,
    checkpoint: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hub.fail(path_part="/api/repos/create", status=status, times=None)
    cfg, path = (
        _make_config(tone_folder, checkpoint, tmp_path / "run", "every-save"),
        tmp_path / "run",
    )
    with (
        caplog.at_level(logging.WARNING, "audio_cls"),
        upload_during_training(path, cfg.hub, REPO) as callbacks,
    ):
        run = set_up(cfg, callbacks)
        train(run)
    assert run.state.step == run.num_steps
    told = [r.getMessage() for r in caplog.records if "training continues" in r.getMessage()]
    assert told and not any(hub.write_token in text for text in told)


def test_copies_of_a_run_that_was_killed_are_cleared(hub: HubServer, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    before = read_all(run)
    (run / f"{DRAFT}abc").mkdir()
    (run / f"{DRAFT}abc" / "model.safetensors").write_text("half")
    BackgroundUploader(run, HubConfig(), REPO).close()
    assert read_all(run) == before


def test_a_pull_request_is_sent_once() -> None:
    with pytest.raises(SettingError, match="give one of them"):
        HubConfig(create_pr=True, hub_strategy="best")


def _wait_for(hub: HubServer, num_commits: int) -> None:
    """Wait until the Hub has answered that many commits."""
    deadline = time.monotonic() + 20
    while count_commits(hub) < num_commits and time.monotonic() < deadline:
        time.sleep(0.01)
    assert count_commits(hub) >= num_commits
