"""Fixtures for tests against the loopback Hub; `pytest_plugins = ("hub_fixtures",)` loads them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from hub_server import HubServer
from huggingface_hub import HfApi


@pytest.fixture
def real_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let huggingface_hub reach loopback, without Xet, also where the suite runs offline."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


def use_hub(monkeypatch: pytest.MonkeyPatch, url: str, folder: Path) -> None:
    """Point `huggingface_hub` at a loopback Hub, with the file of a login in `folder`."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", url)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(folder / "token"))
    template = f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def hub(real_client: None) -> Iterator[HubServer]:
    """A loopback Hub with nothing in it."""
    with HubServer() as server:
        yield server


@pytest.fixture
def api(hub: HubServer) -> HfApi:
    """The real client, with a write token of the user "tester"."""
    return HfApi(endpoint=hub.url, token=hub.write_token)


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the waiting out of the client's retries; nothing else of them changes."""
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.01)))


@pytest.fixture(scope="module")
def one_hub() -> Iterator[HubServer]:
    """One server for the tests of a module; each seeds ids of its own."""
    with HubServer() as server:
        yield server


@pytest.fixture
def data_hub(
    one_hub: HubServer, real_client: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> HubServer:
    """Point `huggingface_hub` and `datasets` at the loopback Hub, without a login."""
    import datasets

    use_hub(monkeypatch, one_hub.url, tmp_path)
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", one_hub.url)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return one_hub
