"""ONNX files in the model's repository, by the real client against a Hub on loopback."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest
from click.testing import CliRunner
from exported import RATE, make_clips, write_family
from fake_run import REPO, count_commits
from hub_server import HubServer
from huggingface_hub import HfApi

from audio_cls.cli.inference.export import main
from audio_cls.config import HubConfig
from audio_cls.errors import HubError
from audio_cls.export import export_model as exporting
from audio_cls.export.graph import list_attempts
from audio_cls.inference.classifier import Classifier
from audio_cls.inference.onnx import OnnxClassifier
from audio_cls.publishing.hub.push import push_run
from audio_cls.publishing.hub.push_onnx import check_onnx_target, push_onnx

pytestmark = pytest.mark.usefixtures("logged_in")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An export, as far as the upload reads it."""
    folder = tmp_path / "exported"
    (folder / "onnx").mkdir(parents=True)
    (folder / "onnx" / "model.onnx").write_bytes(b"float32" * 100)
    (folder / "onnx" / "model_quantized.onnx").write_bytes(b"int8" * 100)
    (folder / "README.md").write_text("# run in ONNX\n")
    return folder


def list_onnx(hub: HubServer) -> set[str]:
    """List the ONNX files in the repository."""
    return {name for name in hub.files("models", REPO) if name.startswith("onnx/")}


def test_files_are_added_to_the_repository_of_the_model(
    hub: HubServer, run: Path, out: Path
) -> None:
    push_run(run, HubConfig(), REPO)
    before = hub.files("models", REPO)
    assert check_onnx_target(str(run), REPO) == check_onnx_target(REPO, None) == REPO
    assert push_onnx(out, REPO) == f"{hub.url}/{REPO}/tree/main/onnx"
    held = hub.files("models", REPO)
    assert list_onnx(hub) == {
        "onnx/README.md", "onnx/model.onnx", "onnx/model_quantized.onnx"
    }  # fmt: skip
    assert {name: held[name] for name in before if name != ".gitattributes"} == {
        name: content for name, content in before.items() if name != ".gitattributes"
    }
    assert count_commits(hub) == 2
    (out / "onnx" / "model_quantized.onnx").unlink()  # an export without int8 replaces it
    push_onnx(out, REPO)
    assert list_onnx(hub) == {"onnx/README.md", "onnx/model.onnx"}


def test_other_weights_and_missing_repositories_are_refused_first(
    hub: HubServer, run: Path
) -> None:
    with pytest.raises(HubError, match=rf"no model '{REPO}'.*Publish the model first: .* publish"):
        check_onnx_target(str(run), REPO)
    push_run(run, HubConfig(), REPO)
    (run / "model.safetensors").write_text("others " * 100)
    with pytest.raises(HubError, match=r"other weights than .* Publish this run first"):
        check_onnx_target(str(run), REPO)
    with pytest.raises(HubError, match="neither your account"):
        check_onnx_target("somebody/model", None)


def test_publishing_other_weights_removes_their_onnx_files(
    hub: HubServer, run: Path, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    push_run(run, HubConfig(), REPO)
    push_onnx(out, REPO)
    (run / "summary.csv").write_text("epoch\n1\n")
    push_run(run, HubConfig(), REPO)  # the same weights
    assert "onnx/model.onnx" in list_onnx(hub)
    (run / "model.safetensors").write_text("others " * 100)
    push_run(run, HubConfig(), REPO)
    assert list_onnx(hub) == set()
    assert "are of other weights and are removed" in caplog.text


def test_an_outage_keeps_the_export_and_is_told(hub: HubServer, run: Path, out: Path) -> None:
    push_run(run, HubConfig(), REPO)
    hub.fail(method="POST", path_part="/commit/", status=503, times=2)
    push_onnx(out, REPO)  # tried again
    hub.fail(method="POST", path_part="/commit/", status=503, times=None)
    (out / "README.md").write_text("# other\n")
    with pytest.raises(HubError, match=r"cannot be reached.*The export in .* is complete"):
        push_onnx(out, REPO)


def test_a_model_of_the_hub_is_exported_into_its_repository(
    hub: HubServer, api: HfApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "list_attempts", lambda model: list_attempts(model)[1:])
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    run = write_family("hubert", tmp_path)
    api.create_repo(REPO)
    api.upload_folder(repo_id=REPO, folder_path=run)
    done = CliRunner().invoke(main, [REPO, str(tmp_path / "exported"), "--push"])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == f"{hub.url}/{REPO}/tree/main/onnx"
    assert f'from_pretrained("{REPO}")' in hub.files("models", REPO)["onnx/README.md"].decode()
    clip = (make_clips(1)[0], RATE)
    expected = Classifier.from_pretrained(run)(clip)
    assert OnnxClassifier.from_pretrained(REPO)(clip).scores == pytest.approx(
        expected.scores, abs=1e-4
    )
