"""Who may do what on the loopback Hub, and what it makes of cards: listings, leaderboards."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest
from hub_samples import CARD, upload
from hub_server import HubServer, Token
from huggingface_hub import HfApi, ModelCard
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

RESULT = "- {dataset: {id: marsyas/gtzan, task_id: genre}, value: %s}\n"


def test_missing_things_are_told_apart(hub: HubServer, api: HfApi, tmp_path: Path) -> None:
    hub.seed("models", "tester/run", {"a": "1"})
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("tester/nothing")
    with pytest.raises(RevisionNotFoundError):
        api.model_info("tester/run", revision="nothing")
    with pytest.raises(RemoteEntryNotFoundError):
        api.hf_hub_download("tester/run", "nothing", cache_dir=tmp_path)
    assert {entry.status for entry in hub.requests} == {404}
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("tester/nothing", token=False)
    assert hub.requests[-1].status == 401


def test_private_and_gated_repositories(hub: HubServer, api: HfApi, tmp_path: Path) -> None:
    hub.tokens["other"] = Token("somebody", "write")
    hub.seed("models", "tester/secret", {"a": "1"}, private=True)
    hub.seed("models", "owner/gated", {"a": "1"}, gated="manual")
    assert api.model_info("tester/secret").private
    assert [model.id for model in api.list_models(token="other")] == ["owner/gated"]
    for token in ("other", False):
        with pytest.raises(RepositoryNotFoundError):
            api.model_info("tester/secret", token=token)
        assert api.model_info("owner/gated", token=token).gated == "manual"
        with pytest.raises(GatedRepoError):
            api.hf_hub_download("owner/gated", "a", token=token, cache_dir=tmp_path)
    hub.repos["models", "owner/gated"].granted.add("somebody")
    assert api.hf_hub_download("owner/gated", "a", token="other", cache_dir=tmp_path)


def test_writing_needs_a_write_token_of_a_member(hub: HubServer, api: HfApi) -> None:
    hub.seed("models", "tester/run", {"a": "1"})
    hub.tokens["other"] = Token("somebody", "write")
    statuses: dict[str | bool, int] = {
        hub.read_token: 403,
        "other": 403,
        "made-up": 401,
        False: 401,
    }
    for token, status in statuses.items():
        with pytest.raises(HfHubHTTPError) as caught:
            upload(api, "a", b"2", token=token)
        assert caught.value.response.status_code == status
    with pytest.raises(HfHubHTTPError, match="403"):
        api.create_repo("elsewhere/run")
    assert hub.files("models", "tester/run")["a"] == b"1"


def test_cards_are_validated(hub: HubServer, api: HfApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url)
    ModelCard(CARD).validate()
    with pytest.raises(ValueError, match="license"):
        ModelCard(CARD.replace("apache-2.0", "apache2")).validate()
    api.create_repo("tester/run")
    bad = [
        (CARD.replace("name: GTZAN, ", ""), r"results\[0\]\.dataset\.name"),
        (CARD.replace("- name: run", "- kind: run"), r"model-index\[0\]\.name"),
        (CARD.replace(", value: 0.83", ""), r"metrics\[0\]\.value"),
        (CARD.replace("[audio-classification]", "[1]"), r"tags\[0\]"),
        ("---\nlicense: mit\nlicense: mit\n---\n", "duplicated mapping key"),
        ("---\na: [\n---\n", "Invalid YAML"),
        ("---\n- a\n---\n", "should be an object"),
    ]
    for text, message in bad:
        with pytest.raises(ValueError, match=message):
            upload(api, "README.md", text.encode())
    assert "README.md" not in hub.files("models", "tester/run")
    with pytest.warns(UserWarning, match="empty or missing yaml metadata"):
        upload(api, "README.md", b"# x")
    assert api.model_info("tester/run").card_data is None


def test_models_are_listed_by_data_set_page_by_page(hub: HubServer, api: HfApi) -> None:
    hub.page_size = 2
    for number in range(5):
        hub.seed("models", f"tester/run-{number}", {"README.md": CARD})
    hub.seed("models", "tester/other", {"README.md": CARD.replace("marsyas/gtzan", "a/b")})
    wanted = "dataset:marsyas/gtzan"
    assert len(list(api.list_models(filter=wanted))) == 5
    assert hub.count("GET", "/api/models?") == 3
    newest, *_ = api.list_models(filter=wanted, sort="last_modified", limit=1, cardData=True)
    assert newest.id == "tester/run-4"
    assert newest.card_data is not None
    assert newest.card_data.eval_results is not None
    assert newest.card_data.eval_results[0].metric_value == 0.83
    task = "audio-classification"
    assert len(list(api.list_models(author="tester", search="RUN", pipeline_tag=task))) == 5
    assert not list(api.list_models(author="nobody"))
    assert not list(api.list_datasets())


def test_the_leaderboard_ranks_reported_results(hub: HubServer, api: HfApi) -> None:
    hub.seed("datasets", "marsyas/gtzan", {"eval.yaml": "name: GTZAN\n"})
    hub.seed("datasets", "tester/plain", {"a": "1"})
    for name, value, card in (("low", 0.6, "---\n---\n"), ("tuned", 0.8, CARD), ("high", 0.7, "")):
        files = {"README.md": card, ".eval_results/gtzan.yaml": RESULT % value}
        hub.seed("models", f"tester/{name}", files)
    top = api.get_dataset_leaderboard("marsyas/gtzan")
    assert [(row.rank, row.model_id, row.value) for row in top] == [
        (1, "tester/high", 0.7),
        (2, "tester/low", 0.6),
    ]
    every = api.get_dataset_leaderboard("marsyas/gtzan", base_model_only=False)
    assert every[0].model_id == "tester/tuned"
    results = api.model_info("tester/tuned", expand=["evalResults"]).eval_results
    assert results is not None and results[0].value == 0.8
    with pytest.raises(HfHubHTTPError, match="404"):
        api.get_dataset_leaderboard("tester/plain")
