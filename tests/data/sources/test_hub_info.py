"""A data set that the Hub gave once is read again when the Hub cannot be reached."""

from __future__ import annotations

import logging

import datasets
import huggingface_hub
import pytest
from hub_datasets import load, seed_main, seed_script
from hub_layouts import COMMON_VOICE, GTZAN_FILE, LAYOUTS, VOICE_CARD
from hub_server import HubServer

from audio_cls.data.clips.decode_cache import decode_clips
from audio_cls.errors import DatasetError


def go_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the Hub off as HF_HUB_OFFLINE=1 does: its client refuses every request."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def seed(hub: HubServer, name: str) -> None:
    """Put one of each kind of repository on the Hub."""
    if name == "off/script":
        seed_script({"all/train/0000.parquet": GTZAN_FILE})(hub, name)
    elif name == "off/files":
        LAYOUTS["me/plain-files"](hub, name)
    else:
        seed_main({**VOICE_CARD, **COMMON_VOICE})(hub, name)


@pytest.mark.parametrize(
    ("name", "config"),
    [("off/script", None), ("off/files", None), ("off/voices", "en"), ("off/voices", "all")],
)
def test_what_was_read_once_is_read_again_without_the_hub(
    data_hub: HubServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    config: str | None,
) -> None:
    seed(data_hub, name)
    first = load(name, dataset_config=config)
    go_offline(monkeypatch)
    with caplog.at_level(logging.WARNING):
        again = load(name, dataset_config=config)
    said = [line for line in caplog.messages if "cannot be reached" in line]
    assert len(said) == 1 and "read from the cache, revision" in said[0]
    assert (again.revision, again.content_key) == (first.revision, first.content_key)
    assert again.license == first.license
    assert list(again.splits) == list(first.splits)
    for split, table in first.splits.items():
        assert again.splits[split].features == table.features
        assert again.splits[split].to_dict() == table.to_dict()
        decoded = decode_clips(again.splits[split], again.audio_column, 16_000, f"{name}/{config}")
        assert decoded["error"][:] == [None] * len(table)


def test_a_newer_commit_is_read_as_soon_as_the_hub_answers(
    data_hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed_main({"train.parquet": GTZAN_FILE})(data_hub, "off/newer")
    first = load("off/newer").revision
    seed_main({"train.parquet": GTZAN_FILE, "notes.md": "new"})(data_hub, "off/newer")
    second = load("off/newer").revision
    assert first != second
    go_offline(monkeypatch)
    assert load("off/newer").revision == second


def test_what_one_hub_said_is_not_said_of_another(
    data_hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed_main({"train.parquet": GTZAN_FILE})(data_hub, "off/here")
    load("off/here")
    go_offline(monkeypatch)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DatasetError, match="Hub cannot be reached"):
        load("off/here")


def test_what_was_never_read_cannot_be_read_without_the_hub(
    data_hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed_main({"train.parquet": GTZAN_FILE})(data_hub, "off/never")
    go_offline(monkeypatch)
    with pytest.raises(DatasetError, match=r"Hub cannot be reached.*Check the network"):
        load("off/never")
