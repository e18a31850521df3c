"""A finished run, and a login on the loopback Hub."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_run import make_run
from hub_fixtures import use_hub
from hub_server import HubServer

from audio_cls.publishing.card.card import write_card
from audio_cls.publishing.eval_results import write_eval_results


@pytest.fixture
def logged_in(
    hub: HubServer, quick_retries: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Point the client at the loopback Hub, as a user who may write; no login of this machine."""
    use_hub(monkeypatch, hub.url, tmp_path)
    monkeypatch.setenv("HF_TOKEN", hub.write_token)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run with its card and its evaluation results."""
    folder = make_run(tmp_path / "runs" / "gtzan-distilhubert")
    write_card(folder)
    write_eval_results(folder)
    return folder
