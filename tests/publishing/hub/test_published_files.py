"""What travels to the Hub: what belongs there, and nothing private."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from fake_run import PUBLISHED, REPO, count_commits, make_results, make_run, make_settings, read_all
from hub_server import HubServer, Token
from huggingface_hub import ModelCard, ModelCardData

from audio_cls.config import HubConfig
from audio_cls.errors import RunFolderError
from audio_cls.publishing.card.card import write_card
from audio_cls.publishing.hub.files import gather_files
from audio_cls.publishing.hub.push import push_run

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
    assert b"# distilhubert fine-tuned on GTZAN" in hub.files("models", REPO)["README.md"]
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


GROUPS = {
    "annabel": {"num_examples": 2, "accuracy": 0.0},
    "bobby": {"num_examples": 2, "accuracy": 1.0},
}


def _make_named_run(folder: Path) -> Path:
    """Make a run whose results, tables and lists name speakers and clips."""
    results = make_results()
    mistake = {"id": "jazz/00002.wav", "label": "jazz", "prediction": "rock", "confidence": 0.6}
    results["test"] |= {"by_group": GROUPS, "num_groups": 2, "confident_mistakes": [mistake]}
    results["samples"] = [{"file": "samples/1.wav", "label": "blues", "id": "blues/00001.wav"}]
    run = make_run(folder, results)
    (run / "clips.csv").write_text(
        "id,seconds,sampling_rate,group\nblues/00001.wav,1,8000,annabel\n"
    )
    (run / "splits" / "train.txt").write_text("rock/00009.wav\n")
    columns = "id,split,same_as,same_as_split,same_label\n"
    (run / "duplicates.csv").write_text(f"{columns}blues/00001.wav,test,rock/00009.wav,train,no\n")
    write_card(run)
    return run


def _push(hub: HubServer, run: Path, **settings: Any) -> dict[str, bytes]:  # noqa: ANN401
    push_run(run, HubConfig(**settings), REPO)
    files = hub.files("models", REPO)
    return {name: files[name] for name in files if name != "model.safetensors"}


def test_groups_are_numbered_and_clips_named_unless_told_otherwise(
    hub: HubServer, tmp_path: Path
) -> None:
    run = _make_named_run(tmp_path / "run")
    before = read_all(run)
    files = _push(hub, run)
    everything = b"\n".join(files.values())
    assert b"annabel" not in everything and b"bobby" not in everything and "clips.csv" not in files
    own = json.loads(files["results.json"])["test"]
    assert own["by_group"] == {"group 1": GROUPS["annabel"], "group 2": GROUPS["bobby"]}
    assert files["predictions.csv"] == before["predictions.csv"]
    assert files["splits/test.txt"] == before["splits/test.txt"]

    files = _push(hub, run, publish_ids="all")
    assert json.loads(files["results.json"])["test"]["by_group"] == GROUPS
    assert read_all(run) == before


def test_no_names_at_all_leave_one_number_a_clip_in_all_files(
    hub: HubServer, tmp_path: Path
) -> None:
    run = _make_named_run(tmp_path / "run")
    files = _push(hub, run, publish_ids="none")
    everything = b"\n".join(files.values())
    for name in (b"00001", b"00002", b"00003", b"00009", b"annabel", b"bobby"):
        assert name not in everything
    lists = [files[f"splits/{role}.txt"].decode().splitlines() for role in ("train", "test")]
    assert lists == [["clip 1"], ["clip 2", "clip 3"]]
    rows = list(csv.DictReader(io.StringIO(files["predictions.csv"].decode())))
    assert [(row["id"], row["label"]) for row in rows] == [("clip 2", "blues"), ("clip 3", "jazz")]
    assert b"clip 2,test,clip 1,train,no" in files["duplicates.csv"]
    assert b"clip 4,empty file" in files["bad_audio.csv"]
    results = json.loads(files["results.json"])
    assert results["test"]["confident_mistakes"][0]["id"] == "clip 3"
    assert results["samples"][0]["id"] == "clip 2"
    assert results["test"]["accuracy"] == make_results()["test"]["accuracy"]


def _write_log(run: Path, number: int, settings: dict[str, Any]) -> None:
    """Write an event file as `--report-to tensorboard` does: the settings, then a curve."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(run / "logs" / f"run-{number}", filename_suffix=".ann-laptop") as writer:
        writer.add_hparams(settings, {}, run_name=".")
        writer.add_text("note", str(settings))
        writer.add_scalar("train_loss", 0.25 * number, 3)


def _read_events(content: bytes, folder: Path) -> list[tuple[str, float]]:
    """Read the values of an event file with TensorBoard's own reader."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event

    path = folder / "events.out.tfevents.1"
    path.write_bytes(content)
    events = [Event.FromString(raw) for raw in RawEventFileLoader(str(path)).Load()]
    assert events[0].file_version == "brain.Event:2"
    return [(v.tag, v.simple_value) for event in events for v in event.summary.value]


def test_curves_are_published_on_request_without_settings_and_the_machines_name(
    hub: HubServer, run: Path, tmp_path: Path
) -> None:
    settings = {"data.test_groups": "annabel", "train.output_dir": str(run)}
    for number in (1, 2):
        _write_log(run, number, settings)
    assert not any("runs" in name for name in _push(hub, run))
    files = _push(hub, run, push_logs=True)
    curves = {name: content for name, content in files.items() if "tfevents" in name}
    assert set(curves) == {f"runs/events.out.tfevents.000{number}" for number in (1, 2)}
    read = [_read_events(content, tmp_path) for content in curves.values()]
    assert sorted(read) == [[("train_loss", 0.25)], [("train_loss", 0.5)]]
    for private in (b"annabel", b"ann-laptop", str(run).encode()):
        assert not any(private in content for content in curves.values())
    assert not any("tfevents" in name for name in _push(hub, run))  # what is not sent is not kept


def test_a_run_without_curves_is_a_warning(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    push_run(run, HubConfig(push_logs=True), REPO)
    assert "the run has no TensorBoard logs" in caplog.text


def test_the_code_that_a_model_was_trained_with_goes_along_and_no_other(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    config["pooled_head"] = {"code": ["modeling_mine.py"]}
    (run / "config.json").write_text(json.dumps(config))
    for name in ("modeling_mine.py", "forgotten.py"):
        (run / name).write_text("answer = 42")
    names = set(gather_files(run, REPO, HubConfig()))
    assert names == PUBLISHED | {"modeling_mine.py"}
