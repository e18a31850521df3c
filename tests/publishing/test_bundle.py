"""What travels to the Hub: what belongs there, and nothing private."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_run import PUBLISHED, REPO, count_commits, make_results, make_run, make_settings, read_all
from hub_server import HubServer, Token
from huggingface_hub import ModelCard, ModelCardData

from audio_cls.config import HubConfig
from audio_cls.errors import RunFolderError
from audio_cls.publishing.bundle import gather_files
from audio_cls.publishing.card import write_card
from audio_cls.publishing.hub import push_run

pytestmark = pytest.mark.usefixtures("logged_in")


def test_a_push_is_one_commit_of_the_public_files_and_leaves_the_run_as_it_was(
    hub: HubServer, run: Path
) -> None:
    before = read_all(run)
    assert push_run(run, HubConfig(), REPO) == f"{hub.url}/{REPO}"
    assert count_commits(hub) == 1
    files = hub.files("models", REPO)
    assert set(files) - {".gitattributes"} == PUBLISHED
    assert files["model.safetensors"] == before["model.safetensors"]
    assert read_all(run) == before


def test_the_published_card_names_the_repository_and_its_results(hub: HubServer, run: Path) -> None:
    push_run(run, HubConfig(), REPO)
    card = ModelCard(hub.files("models", REPO)["README.md"].decode())
    assert 'model="tester/run"' in card.text
    assert isinstance(card.data, ModelCardData) and card.data.eval_results
    assert card.data.model_name == "run"
    (first, *_) = card.data.eval_results
    assert first.metric_value == make_results()["test"]["accuracy"]
    assert first.source_url == "https://huggingface.co/tester/run/blob/main/results.json"


def test_a_card_edited_by_hand_is_published_as_it_is(hub: HubServer, run: Path) -> None:
    edited = "---\nlicense: mit\n---\n# Mine\n"
    (run / "README.md").write_text(edited)
    push_run(run, HubConfig(), REPO)
    assert hub.files("models", REPO)["README.md"].decode() == edited


def test_a_run_without_a_card_gets_one(hub: HubServer, run: Path) -> None:
    (run / "README.md").unlink()
    push_run(run, HubConfig(), REPO)
    assert b"# run" in hub.files("models", REPO)["README.md"]
    assert not (run / "README.md").exists()


def test_no_folder_of_this_machine_and_no_token_is_published(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "plain-but-secret-0123456789"
    hub.tokens[token] = Token("tester")
    monkeypatch.setenv("HF_TOKEN", token)
    results, settings = make_results(), make_settings()
    results["dataset"] |= {"id": "/home/ann/my clips", "revision": None}
    results["command"] = (
        f"HF_TOKEN={token} python /home/ann/train.py --dataset '/home/ann/my clips'"
    )
    results["labels"] = ["/m/04rlf", "jazz", "rock"]
    settings["data"]["dataset"] = "/home/ann/my clips"
    settings["record"]["note"] = f"read from /home/ann/cache with {token} and hf_{'a' * 34}"
    run = make_run(tmp_path / "secret-folder" / "run", results, settings)
    (run / "predictions.csv").write_text(
        "id,label,prediction,/m/04rlf\n/home/ann/my clips/a.wav,/m/04rlf,/m/04rlf,0.5\n"
    )
    (run / "splits" / "test.txt").write_text("/home/ann/my clips/a.wav\nC:\\clips\\b.wav\n")
    write_card(run)
    push_run(run, HubConfig(), REPO)
    files = hub.files("models", REPO)
    everything = b"\n".join(files.values()).decode()
    for private in ("/home", "home/ann", "secret-folder", token, "hf_a", str(tmp_path)):
        assert private not in everything
    assert "my clips" in everything
    assert json.loads(files["results.json"])["labels"] == ["/m/04rlf", "jazz", "rock"]
    assert files["predictions.csv"] == (
        b"id,label,prediction,/m/04rlf\na.wav,/m/04rlf,/m/04rlf,0.5\n"
    )
    assert files["splits/test.txt"] == b"a.wav\nb.wav\n"


def test_a_link_out_of_the_run_folder_is_not_followed(
    hub: HubServer, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "private.txt").write_text("private")
    (run / "splits" / "train.txt").symlink_to(tmp_path / "private.txt")
    push_run(run, HubConfig(), REPO)
    assert "splits/train.txt" not in hub.files("models", REPO)


def test_a_run_without_weights_is_not_published(hub: HubServer, run: Path) -> None:
    (run / "model.safetensors").unlink()
    with pytest.raises(RunFolderError, match="no weights"):
        push_run(run, HubConfig(), REPO)
    assert not hub.repos


def test_the_code_that_a_model_was_trained_with_goes_along_and_no_other(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    config["pooled_head"] = {"code": ["modeling_mine.py"]}
    (run / "config.json").write_text(json.dumps(config))
    for name in ("modeling_mine.py", "forgotten.py"):
        (run / name).write_text("answer = 42")
    names = set(gather_files(run, REPO))
    assert names == PUBLISHED | {"modeling_mine.py"}
