"""Tests of audio_cls.models.contamination."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hub_datasets import load, make_dataset, write_clips
from hub_server import HubServer

from audio_cls.config import ModelConfig
from audio_cls.data.loaded_dataset import LoadedDataset
from audio_cls.models.contamination import is_same_dataset, warn_if_pretrained_on


def make_source(name: str, *, is_local: bool = False) -> LoadedDataset:
    """Make a source that has a name and nothing else."""
    return make_dataset({}, id=name, name=name, is_local=is_local)


@pytest.mark.parametrize(
    ("listed", "name", "is_local", "same"),
    [
        ("marsyas/gtzan", "marsyas/gtzan", False, True),
        ("gtzan", "sanchit-gandhi/gtzan", False, True),
        ("marsyas/gtzan", "mteb/gtzan-genre", False, True),
        ("google/speech_commands", "mteb/speech-commands-mini", False, True),
        ("marsyas/gtzan", "gtzan", True, True),
        ("marsyas/gtzan", "my_gtzan", True, False),
        ("librispeech_asr", "marsyas/gtzan", False, False),
        ("ami", "me/family", False, False),
    ],
)
def test_copies_of_a_data_set_are_recognised(
    listed: str, name: str, *, is_local: bool, same: bool
) -> None:
    assert is_same_dataset(listed, make_source(name, is_local=is_local)) is same


@pytest.mark.parametrize("datasets", ["[librispeech_asr, marsyas/gtzan]", "marsyas/gtzan"])
def test_a_model_trained_on_the_data_set_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, datasets: str
) -> None:
    (tmp_path / "README.md").write_text(f"---\ndatasets: {datasets}\n---\n# A model\n")
    warn_if_pretrained_on(make_source("sanchit-gandhi/gtzan"), ModelConfig(model=str(tmp_path)))
    assert "lists 'marsyas/gtzan' in its training data" in caplog.text


def test_a_hub_model_trained_on_the_data_set_is_warned_of(
    data_hub: HubServer, caplog: pytest.LogCaptureFixture
) -> None:
    data_hub.seed("models", "trained/model", {"README.md": "---\ndatasets: [esc50]\n---\n"})
    warn_if_pretrained_on(make_source("ashraq/esc50"), ModelConfig(model="trained/model"))
    assert "The card of 'trained/model' lists 'esc50'" in caplog.text


@pytest.mark.parametrize(
    ("card", "settings"),
    [
        ("---\ndatasets: [other/set]\n---\n", {}),
        ("# No header\n", {}),
        ("---\ndatasets: [unclosed\n---\n", {}),
        (None, {}),
        ("---\ndatasets: [marsyas/gtzan]\n---\n", {"from_scratch": True}),
    ],
)
def test_without_a_card_there_is_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, card: str | None, settings: dict[str, Any]
) -> None:
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    warn_if_pretrained_on(
        make_source("marsyas/gtzan"), ModelConfig(model=str(tmp_path), **settings)
    )
    assert not caplog.records


def test_a_model_that_is_nowhere_is_no_warning(
    data_hub: HubServer, caplog: pytest.LogCaptureFixture
) -> None:
    warn_if_pretrained_on(make_source("marsyas/gtzan"), ModelConfig(model="no/model"))
    assert not caplog.records


def test_the_source_of_a_real_folder_can_be_compared(tmp_path: Path) -> None:
    write_clips(tmp_path / "gtzan", ["a/1.wav", "b/2.wav"])
    assert is_same_dataset("marsyas/gtzan", load(tmp_path / "gtzan"))
