"""scripts/publish.py and scripts/leaderboard.py as they are typed, on the loopback Hub."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
import yaml
from click.testing import CliRunner, Result
from hub_server import HubServer, Token

from audio_cls.cli.leaderboard import main as leaderboard
from audio_cls.cli.publish import main as publish
from audio_cls.command_names import format_command
from audio_cls.storage import cache

RESULTS = {
    "dataset": {"id": "marsyas/gtzan", "is_local": False, "revision": "0" * 40, "config": "all"},
    "model": {"id": "ann/base", "is_local": False, "revision": "1" * 40},
    "labels": ["a", "b"],
    "validation": {"accuracy": 0.8, "step": 30},
    "test": {"accuracy": 0.83, "accuracy_ci95": [0.72, 0.91], "num_examples": 60},
}


@pytest.fixture
def run(
    hub: HubServer, quick_retries: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Path]:
    """A small finished run, and a login on the loopback Hub."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(cache, "cache_root", lambda: tmp_path / "caches")
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("HF_TOKEN", hub.write_token)
    folder = tmp_path / "gtzan"
    (folder / "figures").mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(RESULTS))
    (folder / "run_config.yaml").write_text(yaml.safe_dump({"hub": {"hub_repo_id": "testers/own"}}))
    (folder / "model.safetensors").write_text("weights")
    (folder / "config.json").write_text("{}")
    (folder / "figures" / "old.png").write_text("picture")
    yield folder


def _type(command: object, *words: object) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])  # type: ignore[arg-type]


def test_a_run_is_published_where_it_was_trained_for_or_where_it_is_told(
    hub: HubServer, run: Path
) -> None:
    done = _type(publish, run)
    assert (done.exit_code, done.stdout) == (0, f"{hub.url}/testers/own\n"), done.output
    done = _type(publish, run, "--hub-repo-id", "mine", "--private")
    assert done.stdout == f"{hub.url}/tester/mine\n"
    assert hub.repos["models", "tester/mine"].private


def test_a_file_that_the_run_has_no_more_goes_in_the_same_commit(hub: HubServer, run: Path) -> None:
    _type(publish, run)
    hub.seed("models", "testers/own", {"notes.md": "mine", "figures/mine.pdf": "mine"})
    (run / "figures" / "old.png").unlink()
    (run / "figures" / "new.png").write_text("picture")
    num_commits = hub.count("POST", "/commit/", 200)
    assert _type(publish, run).exit_code == 0
    files = hub.files("models", "testers/own")
    assert hub.count("POST", "/commit/", 200) == num_commits + 1
    assert "figures/old.png" not in files
    assert {"figures/new.png", "notes.md", "figures/mine.pdf"} <= set(files)


def test_a_repository_that_is_not_ours_loses_no_file(hub: HubServer, run: Path) -> None:
    hub.seed("models", "tester/theirs", {"figures/a.png": "x", "model.safetensors": "old"})
    assert _type(publish, run, "--hub-repo-id", "tester/theirs").exit_code == 0
    assert "figures/a.png" in hub.files("models", "tester/theirs")


@pytest.mark.parametrize("path_part", ["whoami", "/api/repos/create", "/commit/"])
def test_an_outage_ends_with_one_and_says_how_to_go_on(
    path_part: str, hub: HubServer, run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub.fail(path_part=path_part, times=None)
    done = _type(publish, run, "--hub-repo-id", "tester/x", "--private")
    assert (done.exit_code, done.stdout) == (1, "")
    line = format_command("publish", run, "--hub-repo-id", "tester/x", "--private")
    assert caplog.records[-1].getMessage().endswith(line)


def test_texts_of_the_card_can_be_given_after_the_training(hub: HubServer, run: Path) -> None:
    words = ("--language", "en,de", "--citation", "@misc{me}", "--hub-repo-id", "tester/x")
    assert _type(publish, run, *words, "--license", "mit").exit_code == 0
    card = hub.files("models", "tester/x")["README.md"].decode()
    assert "language:\n- en\n- de\n" in card and "license: mit\n" in card
    assert "```bibtex\n@misc{me}\n```" in card and "(`--model-description`)" in card
    done = _type(publish, run, "--language", "English")
    assert done.exit_code == 2 and "--language English is not valid" in done.stderr


def test_a_refusal_ends_with_two_and_one_line(
    hub: HubServer, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", hub.read_token)
    done = _type(publish, run)
    assert done.exit_code == 2 and done.stderr.count("\n") == 1 and "write access" in done.stderr
    done = _type(publish, run / "figures")
    assert done.exit_code == 2 and "results.json" in done.stderr


def test_a_pull_request_reaches_a_repository_of_others_and_is_found_again(
    hub: HubServer, run: Path
) -> None:
    hub.seed("models", "ann/theirs", {"README.md": "# Theirs\n"})
    words = ("--hub-repo-id", "ann/theirs", "--create-pr")
    done = _type(publish, run, *words)
    assert done.stdout == f"{hub.url}/ann/theirs/discussions/1\n", done.output
    assert hub.files("models", "ann/theirs")["README.md"] == b"# Theirs\n"
    assert b"weights" in hub.files("models", "ann/theirs", "refs/pr/1").values()
    (run / "config.json").write_text('{"a": 1}')
    assert _type(publish, run, *words).stdout == done.stdout
    assert hub.files("models", "ann/theirs", "refs/pr/1")["config.json"] == b'{"a": 1}'
    assert "refs/pr/2" not in hub.repos["models", "ann/theirs"].branches


def test_a_lost_answer_makes_no_second_request(hub: HubServer, run: Path) -> None:
    hub.seed("models", "ann/theirs", {"README.md": "# Theirs\n"})
    hub.lose(method="POST", path_part="/commit/")
    done = _type(publish, run, "--hub-repo-id", "ann/theirs", "--create-pr")
    assert done.stdout == f"{hub.url}/ann/theirs/discussions/1\n"
    repo = hub.repos["models", "ann/theirs"]
    assert [name for name in repo.branches if name.startswith("refs/pr/")] == ["refs/pr/1"]
    assert (
        len(repo.history(repo.resolve("refs/pr/1"))) == len(repo.history(repo.resolve("main"))) + 1
    )


def test_a_request_of_somebody_else_is_left_alone(
    hub: HubServer, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.seed("models", "ann/theirs", {"README.md": "# Theirs\n"})
    hub.tokens["other-token"] = Token("bob")
    words = ("--hub-repo-id", "ann/theirs", "--create-pr")
    monkeypatch.setenv("HF_TOKEN", "other-token")
    assert _type(publish, run, *words).stdout.endswith("/discussions/1\n")
    monkeypatch.setenv("HF_TOKEN", hub.write_token)
    assert _type(publish, run, *words).stdout.endswith("/discussions/2\n")


def test_a_request_to_a_repository_that_is_not_there_is_refused(hub: HubServer, run: Path) -> None:
    done = _type(publish, run, "--hub-repo-id", "ann/none", "--create-pr")
    assert done.exit_code == 2 and "has no model 'ann/none'" in done.stderr


def test_the_standing_is_printed_in_every_form(hub: HubServer, run: Path, tmp_path: Path) -> None:
    hub.seed("datasets", "marsyas/gtzan", {"README.md": "# GTZAN\n"})
    hub.seed("models", "ann/base", {"README.md": "---\nlicense: mit\n---\n"})
    assert _type(publish, run).exit_code == 0
    words = ("--dataset", "marsyas/gtzan", "--mine", run)
    text = _type(leaderboard, *words)
    assert text.exit_code == 0 and "testers/own" in text.stdout and "0.8300 (0.720" in text.stdout
    rows = list(csv.DictReader(io.StringIO(_type(leaderboard, *words, "--csv").stdout)))
    assert [(row["rank"], row["model"], row["value"]) for row in rows] == [("1", "gtzan", "0.83")]
    assert rows[0]["remarks"] == "published as testers/own"
    content = json.loads(_type(leaderboard, *words, "--json").stdout)
    assert [row["is_mine"] for row in content["rows"]] == [True]
    page = _type(leaderboard, *words, "--html", tmp_path / "page.html")
    assert page.stdout == "" and "testers/own" in (tmp_path / "page.html").read_text()
    lost = _type(leaderboard, *words, "--html", tmp_path / "no" / "page.html")
    assert lost.exit_code == 2 and "cannot be written" in lost.stderr


def test_a_metric_that_the_run_lacks_is_refused(hub: HubServer, run: Path) -> None:
    hub.seed("datasets", "marsyas/gtzan", {"README.md": "# GTZAN\n"})
    done = _type(leaderboard, "--dataset", "marsyas/gtzan", "--mine", run, "--metric", "map")
    assert done.exit_code == 2 and "Give one of its metrics as --metric: accuracy." in done.stderr


def test_names_and_curves_are_chosen_on_the_line_and_repeated_after_an_outage(
    hub: HubServer, run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (run / "splits").mkdir()
    (run / "splits" / "test.txt").write_text("ann.wav\n")
    (run / "logs").mkdir()
    event = b"\x2a\x0d\x0a\x0b\x0a\x04loss\x15\x00\x00\x00\x3f"  # summary.value: tag, simple_value
    frame = len(event).to_bytes(8, "little") + bytes(4) + event + bytes(4)
    (run / "logs" / "events.out.tfevents.1.ann-laptop.2.0").write_bytes(frame)
    words = ("--publish-ids", "none", "--push-logs")
    hub.fail(path_part="/commit/", times=None)
    assert _type(publish, run, *words).exit_code == 1
    assert caplog.records[-1].getMessage().endswith("--push-logs --publish-ids none")
    hub.faults.active.clear()
    assert _type(publish, run, *words).exit_code == 0
    files = hub.files("models", "testers/own")
    assert files["splits/test.txt"] == b"clip 1\n"
    assert event in files["runs/events.out.tfevents.0001"]


def test_a_token_that_was_typed_is_not_repeated(run: Path) -> None:
    token = "hf_" + "x" * 34
    for words in (["--token", token], [f"--token={token}"]):
        done = _type(publish, run, *words)
        assert done.exit_code == 2 and token not in done.output


def test_mistakes_on_this_machine_are_reported_before_the_login_is_checked(
    run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    (tmp_path / "unfinished").mkdir()
    for words, text in (
        ([tmp_path / "nothing"], "'nothing' has no results.json"),
        ([tmp_path / "unfinished"], "unfinished' has no results.json"),
        ([run, "--hub-repo-id", "a/b/c"], "--hub-repo-id a/b/c is not valid"),
    ):
        done = _type(publish, *words)
        assert done.exit_code == 2 and text.removeprefix("'") in done.stderr, done.output
    (run / "model.safetensors").unlink()
    assert "has no weights" in _type(publish, run).stderr
