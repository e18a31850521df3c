"""Code of a model's repository is run only with the flag and a pinned commit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
import yaml
from click.testing import CliRunner
from hub_server import HubServer
from remote_code import write_remote_model
from tiny_models import write_tiny_checkpoint
from tiny_runs import make_config, set_up

from audio_cls.cli.evaluate import main as evaluate
from audio_cls.cli.inference.predict import main as predict
from audio_cls.cli.options.config_options import settings_command
from audio_cls.config import AudioConfig, ModelConfig, RunConfig
from audio_cls.errors import ModelError, SettingError
from audio_cls.models.audio_model import AudioModel
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.load import load_for_inference, load_for_training
from audio_cls.models.probe import make_probe_noise
from audio_cls.publishing.hub.files import list_code_files
from audio_cls.training.loop import train
from audio_cls.workflows import evaluate as workflow

AUDIO = AudioConfig(max_seconds=1.0)
LABELS = ["high", "low", "middle"]


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """Return the file that exists once the code was run."""
    return tmp_path / "mark.txt"


@pytest.fixture
def folder(tmp_path: Path, mark: Path) -> Path:
    """Return a checkpoint with code of its own."""
    return write_remote_model(tmp_path / "mine", mark)


def load(model: object, revision: str | None = None, *, trust: bool = True) -> AudioModel:
    """Load a checkpoint for three labels."""
    cfg = ModelConfig(model=str(model), model_revision=revision, trust_remote_code=trust)
    return load_for_training(open_checkpoint(cfg), AUDIO, LABELS)


def score(audio_model: AudioModel) -> torch.Tensor:
    """Return the logits of half a second of noise."""
    audio_model.model.train(mode=False)
    with torch.inference_mode():
        logits: torch.Tensor = audio_model.model(
            **audio_model.processor([make_probe_noise(8_000)])
        ).logits
    return logits


@pytest.fixture
def seeded(data_hub: HubServer, folder: Path, tmp_path: Path) -> tuple[str, str]:
    """Put the checkpoint on the loopback Hub; return its id and its commit."""
    repo_id = f"ann/{tmp_path.name}"
    files: dict[str, Any] = {file.name: file.read_bytes() for file in folder.iterdir()}
    data_hub.seed("models", repo_id, files)
    sha = huggingface_hub.HfApi(endpoint=data_hub.url).model_info(repo_id).sha
    assert sha
    return repo_id, sha


def test_code_is_not_run_unasked(folder: Path, mark: Path) -> None:
    with pytest.raises(ModelError, match=r"not run without permission.* add --trust-remote-code"):
        load(folder, trust=False)
    with pytest.raises(ModelError, match="not run without permission"):
        load_for_inference(folder)
    assert not mark.exists()


def test_code_of_a_repository_is_not_run_unasked(seeded: tuple[str, str], mark: Path) -> None:
    repo_id, sha = seeded
    for revision in (None, sha):
        with pytest.raises(ModelError, match="not run without permission"):
            load(repo_id, revision, trust=False)
    assert not mark.exists()


@pytest.mark.parametrize("revision", [None, "main", "v1.0", "89abcdef"])
def test_code_that_no_commit_pins_is_refused(revision: str | None) -> None:
    with pytest.raises(SettingError, match=r"--model-revision is .*: give the commit whose code"):
        ModelConfig(model="ann/mine", model_revision=revision, trust_remote_code=True)


def test_trusted_code_of_a_folder_trains_and_is_saved_with_the_run(
    folder: Path, mark: Path, tone_folder: Path, tmp_path: Path
) -> None:
    cfg = make_config(tone_folder, folder, tmp_path / "run", trust_remote_code=True)
    train(set_up(cfg))
    assert mark.exists()
    run = tmp_path / "run"
    assert {file.name for file in run.glob("*.py")} == {
        *("configuration_mine.py", "modeling_mine.py", "helper_mine.py")
    }
    settings = yaml.safe_load((run / "run_config.yaml").read_text())
    assert settings["model"]["trust_remote_code"] is True
    config = json.loads((run / "config.json").read_text())
    assert set(list_code_files(config)) == {file.name for file in run.glob("*.py")}
    mark.unlink()
    clip = str(next(tone_folder.rglob("*.wav")))
    answer = CliRunner().invoke(predict, [str(run), clip])
    assert answer.exit_code == 2
    assert "add --trust-remote-code" in answer.output
    assert not mark.exists()
    answer = CliRunner().invoke(predict, [str(run), clip, "--trust-remote-code"])
    assert answer.exit_code == 0, answer.output
    row = json.loads(next(line for line in answer.output.splitlines() if line.startswith("{")))
    assert row["label"] in LABELS
    assert torch.isfinite(score(load_for_inference(run, trust_remote_code=True))).all()


def test_a_pinned_repository_is_loaded_at_its_commit(
    data_hub: HubServer, seeded: tuple[str, str], tmp_path: Path
) -> None:
    repo_id, sha = seeded
    data_hub.seed("models", repo_id, {"modeling_mine.py": "raise SystemExit('not what was read')"})
    audio_model = load(repo_id, sha)
    assert audio_model.processor.input_spec.sampling_rate == 16_000
    assert audio_model.revision == sha
    audio_model.save(tmp_path / "run")
    again = load_for_inference(tmp_path / "run", trust_remote_code=True)
    assert torch.allclose(score(again), score(audio_model), atol=1e-6)


def test_code_from_another_repository_is_refused(folder: Path, mark: Path) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["auto_map"]["AutoModel"] = "eve/other--modeling_mine.MineModel"
    path.write_text(json.dumps(config))
    with pytest.raises(ModelError, match="uses code of another repository, eve/other"):
        load(folder)
    assert not mark.exists()


def test_code_without_a_model_to_take_is_refused(folder: Path) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    del config["auto_map"]["AutoModel"]
    path.write_text(json.dumps(config))
    with pytest.raises(ModelError, match="which transformers' AutoModel does not support"):
        load(folder)


def test_trust_without_effect_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load(write_tiny_checkpoint("hubert", tmp_path / "hubert"))
    assert "--trust-remote-code has no effect" in caplog.text


def test_a_preset_cannot_allow_code(tmp_path: Path, folder: Path) -> None:
    seen: list[bool] = []

    @settings_command()
    def command(cfg: RunConfig) -> None:
        seen.append(cfg.model.trust_remote_code)

    preset = tmp_path / "run_config.yaml"
    tree = {"data": {"dataset": "x"}, "model": {"model": str(folder), "trust_remote_code": True}}
    preset.write_text(yaml.safe_dump(tree))
    answer = CliRunner().invoke(command, ["--preset", str(preset)])
    assert answer.exit_code == 2
    assert "a preset cannot allow that" in answer.output
    for flag in ("--trust-remote-code", "--no-trust-remote-code"):
        answer = CliRunner().invoke(command, ["--preset", str(preset), flag])
        assert answer.exit_code == 0, answer.output
    assert seen == [True, False]


def test_evaluation_passes_what_was_typed_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[bool] = []
    monkeypatch.setattr(
        workflow, "run_evaluation", lambda request, *_: seen.append(request.trust_remote_code)
    )
    for flags in ([], ["--trust-remote-code"]):
        line = ["--model", "x", "--output-dir", "y", *flags]
        assert CliRunner().invoke(evaluate, line).exit_code == 0
    assert seen == [False, True]
