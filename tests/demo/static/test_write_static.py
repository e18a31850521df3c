"""The folder of the static page: complete, and only for models that transformers.js knows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from exported import LABELS, export_quickly, write_family
from hub_cards import check_card

from audio_cls.demo.options import DemoOptions
from audio_cls.demo.static import write_static as module
from audio_cls.demo.static.write_static import PAGE, write_static
from audio_cls.errors import ModelError


@pytest.fixture
def quick_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Export by one exporter without comparisons, and take no npm packages."""
    monkeypatch.setattr(
        module, "export_model", lambda request, _: export_quickly(Path(request.model), request.out)
    )

    def write(target: Path, source: Path | None) -> None:
        target.mkdir()

    monkeypatch.setattr(module, "write_npm_files", write)


def write(tmp_path: Path, family: str, **settings: Any) -> Path:  # noqa: ANN401
    """Write the static page of a tiny model of a family."""
    run = write_family(family, tmp_path, **settings)
    options = DemoOptions(title="Pets", max_seconds=60)
    write_static(tmp_path / "page", str(run), None, options)
    return tmp_path / "page"


@pytest.mark.usefixtures("quick_export")
def test_the_page_has_the_settings_of_the_model(tmp_path: Path) -> None:
    entry = {"temperature": 1.5, "thresholds": {"cat": 0.4, "dog": 0.5, "owl": 0.6}}
    folder = write(tmp_path, "hubert", entry=entry, is_multilabel=True, hop_seconds=0.25)
    settings = json.loads((folder / "settings.json").read_text("utf-8"))
    assert settings["labels"] == list(LABELS) and settings["title"] == "Pets"
    assert (settings["window"], settings["hop"]) == (16_000, 4_000)
    assert settings["temperature"] == 1.5 and settings["dtype"] == "fp32"
    assert settings["thresholds"] == pytest.approx([0.432831, 0.5, 0.567169], abs=1e-6)
    assert settings["max_seconds"] == 60 and settings["examples"] == []
    card = (folder / "README.md").read_text("utf-8")
    data = yaml.safe_load(card.split("---")[1])
    assert data["sdk"] == "static" and data["app_file"] == "index.html"
    assert check_card("spaces", card)[0] == []
    assert (folder / "model" / "onnx" / "model.onnx").is_file()
    assert (folder / "model" / "preprocessor_config.json").is_file()


@pytest.mark.usefixtures("quick_export")
def test_a_family_that_transformers_js_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot classify audio with .* \(whisper\).*--space"):
        write(tmp_path, "whisper")
    assert not (tmp_path / "page").exists()


def test_the_page_names_no_other_server_and_only_files_that_are_there() -> None:
    names = {path.name for path in PAGE.iterdir()}
    for path in PAGE.iterdir():
        text = path.read_text("utf-8")
        assert "//" not in re.sub(r"^\s*//.*|\s// .*|  // .*", "", text, flags=re.MULTILINE), path
        for name in re.findall(r"(?:src|href)=\"([\w.]+)\"", text):
            assert name in names
