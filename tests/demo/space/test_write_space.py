"""The Space folder: complete, in the Hub's format, and without private files."""

from __future__ import annotations

import configparser
import re
import runpy
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from hub_cards import check_card
from tiny_runs import write_quiet_checkpoint

from audio_cls.cli.inference.demo import main
from audio_cls.config import AudioConfig, ModelConfig
from audio_cls.demo import start
from audio_cls.demo.options import DemoOptions
from audio_cls.demo.space.front_matter import PYTHON_VERSION, SDK_VERSION, SpaceTexts, render_readme
from audio_cls.demo.space.write_space import REQUIREMENTS, render_requirements, write_space
from audio_cls.errors import RunFolderError
from audio_cls.models.checkpoint import open_checkpoint
from audio_cls.models.load import load_for_training

ROOT = Path(__file__).parents[3]
CARD = "---\nlicense: other\nlicense_name: my-terms\ntags: [a]\n---\n# Model\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a model, a card and files that must stay where they are."""
    root = tmp_path_factory.mktemp("runs")
    checkpoint = open_checkpoint(ModelConfig(model=str(write_quiet_checkpoint(root / "encoder"))))
    model = load_for_training(
        checkpoint, AudioConfig(max_seconds=1.0), ("cat", "dog"), is_multilabel=False
    )
    folder = root / "my run"
    model.save(folder)
    settings = {"data": {"dataset": "builtin:tiny_speech", "label_column": "language"}}
    (folder / "run_config.yaml").write_text(yaml.safe_dump(settings))
    (folder / "README.md").write_text(CARD)
    (folder / ".env").write_text("secret")
    (folder / "training_state.bin").write_text("optimizer")
    return folder


@pytest.fixture(scope="module")
def space(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spaces") / "space"
    options = DemoOptions(title="Cats & 'dogs'", max_seconds=60)
    write_space(folder, str(run), None, options, is_zero_gpu=False)
    return folder


def test_the_readme_has_the_keys_of_the_hub(space: Path) -> None:
    text = (space / "README.md").read_text("utf-8")
    data = yaml.safe_load(text.split("---")[1])
    assert data["sdk"] == "gradio" and data["sdk_version"] == SDK_VERSION
    assert data["python_version"] == "3.12" and "python_version: '3.12'" in text
    assert data["license"] == "other" and data["license_name"] == "my-terms"
    assert data["title"] == "Cats & 'dogs'" and len(data["short_description"]) <= 60
    assert "models" not in data  # a local model has no id
    assert "CC BY 3.0" in text
    assert check_card("spaces", text)[0] == []
    hub_id = render_readme(SpaceTexts("A", "ann/birds"), is_static=True)
    front = yaml.safe_load(hub_id.split("---")[1])
    assert front["models"] == ["ann/birds"] and front["sdk"] == "static"


def test_versions_are_those_that_are_tested() -> None:
    constraints = (ROOT / "constraints.txt").read_text()
    assert f"\ngradio=={SDK_VERSION}\n" in constraints
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert sorted(REQUIREMENTS) == sorted(setup["options"]["install_requires"].split())
    assert f">={PYTHON_VERSION}" >= setup["options"]["python_requires"]
    assert "torch>=2.8,<2.12\n" in render_requirements(is_zero_gpu=True)
    assert "gradio" not in render_requirements(is_zero_gpu=False)  # sdk_version installs it


def test_the_folder_has_the_model_the_package_and_the_examples_and_nothing_else(
    space: Path,
) -> None:
    assert {path.name for path in space.iterdir()} == {
        *("README.md", "app.py", "requirements.txt"),
        *("audio_cls", "examples", "model"),
    }
    names = {path.name for path in (space / "model").iterdir()}
    assert names == {"config.json", "model.safetensors", "preprocessor_config.json"}
    assert len(list((space / "examples").glob("*.wav"))) == 3
    package = {path.relative_to(space).as_posix() for path in space.rglob("*")}
    assert {"audio_cls/LICENSE", "audio_cls/NOTICE", "audio_cls/demo/page.py"} <= package
    assert "audio_cls/demo_data/tiny_speech/licences" in package
    assert not [name for name in package if re.search(r"__pycache__|\.parquet$|\.pyc$", name)]


def test_app_py_serves_the_model_of_the_folder(
    space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = []
    monkeypatch.setattr(start, "start_space", lambda *given: served.append(given))
    monkeypatch.setattr(sys, "path", [str(space), *sys.path])
    runpy.run_path(str(space / "app.py"), run_name="__main__")
    ((folder, model, revision, options),) = served
    assert folder == space and model == str(space / "model") and revision is None
    assert options.title == "Cats & 'dogs'" and options.max_seconds == 60


def test_a_folder_is_replaced_only_if_it_is_a_space_folder_and_asked_for(
    run: Path, space: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="is not a Space folder"):
        write_space(tmp_path, str(run), None, DemoOptions(overwrite=True), is_zero_gpu=False)
    with pytest.raises(RunFolderError, match="Replace it with --overwrite"):
        write_space(space, str(run), None, DemoOptions(), is_zero_gpu=False)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_options_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    for words, text in (
        (["--push-space", "a/b"], "need --space or --static"),
        (["--space", str(tmp_path), "--dataset", "clips"], "for the local page only"),
        (["--space", "a", "--static", "b"], "exclude each other"),
        (["--int8"], "need --static"),
    ):
        done = CliRunner().invoke(main, ["run", *words])
        assert done.exit_code == 2 and text in " ".join(done.output.split())
