"""Faults on demand: what the real client survives, and what it does not."""

from __future__ import annotations

import time
from pathlib import Path

import huggingface_hub
import pytest
from hub_samples import make_bytes, upload
from hub_server import HubServer
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    HfHubHTTPError,
)


def test_downloads_survive_cuts_drops_and_the_storage_host(
    hub: HubServer,
    api: HfApi,
    tmp_path: Path,
    quick_retries: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 2**18)
    data = make_bytes(3 * 2**20)
    hub.seed("models", "tester/run", {"model.safetensors": data, "a.txt": "abc"})
    hub.cut(path_part="/storage/")
    hub.drop(path_part="/storage/")
    path = api.hf_hub_download("tester/run", "model.safetensors", cache_dir=tmp_path)
    assert Path(path).read_bytes() == data
    assert hub.count("GET", "/storage/", 206) >= 1
    hub.cut(path_part="a.txt", times=2)
    assert Path(api.hf_hub_download("tester/run", "a.txt", cache_dir=tmp_path)).read_text() == "abc"


def test_uploads_survive_what_the_client_retries(
    hub: HubServer, api: HfApi, quick_retries: None
) -> None:
    api.create_repo("tester/run")
    hub.fail(method="POST", path_part="/preupload/", times=2)
    hub.fail(method="PUT", path_part="/storage/", status=500)
    hub.drop(method="PUT", path_part="/storage/")
    hub.drop(method="POST", path_part="/objects/batch")
    data = make_bytes(11 * 2**20)
    upload(api, "a.bin", data)
    assert hub.files("models", "tester/run")["a.bin"] == data
    assert hub.count(status=503) == 2 and hub.count(status=500) == 1 and hub.count(status=0) == 2


def test_a_commit_fails_as_often_as_asked(hub: HubServer, api: HfApi) -> None:
    api.create_repo("tester/run")
    hub.fail(method="POST", path_part="/commit/", status=503, times=2)
    for _ in range(2):
        with pytest.raises(HfHubHTTPError, match="503"):
            upload(api, "a", b"1")
    upload(api, "a", b"1")
    assert [e.status for e in hub.requests if "/commit/" in e.path] == [503, 503, 200]


def test_a_lost_answer_has_done_its_work(hub: HubServer, api: HfApi) -> None:
    api.create_repo("tester/run")
    hub.lose(method="POST", path_part="/commit/")
    with pytest.raises(Exception, match="disconnected"):
        upload(api, "a", b"1")
    assert hub.files("models", "tester/run")["a"] == b"1"


def test_a_random_share_of_writes_fails_the_same_way_each_time(hub: HubServer, api: HfApi) -> None:
    lines = []
    for _ in range(2):
        hub.requests.clear()
        fault = hub.fail_randomly(0.5, seed=3)
        for number in range(12):
            try:
                api.create_repo(f"tester/run-{number}", exist_ok=True)
            except HfHubHTTPError:
                continue
        lines.append([entry.status == 503 for entry in hub.requests if entry.method == "POST"])
        hub.faults.active.remove(fault)
    assert lines[0] == lines[1] and 2 < sum(lines[0]) < 10


def test_a_slow_answer_is_slow_but_never_holds_up_the_end(api: HfApi, hub: HubServer) -> None:
    hub.seed("models", "tester/run", {"a": "1"})
    hub.slow(0.3, path_part="/api/models")
    begin = time.monotonic()
    assert api.repo_exists("tester/run")
    assert time.monotonic() - begin >= 0.3
    hub.slow(60, path_part="/api/models")
    with pytest.raises(Exception, match="timed out"):
        api.model_info("tester/run", timeout=0.2)
