"""The push, by the real client against a Hub on loopback: whole, once, and nothing private."""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest
from fake_run import PUBLISHED, REPO, count_commits, read_all
from hub_server import HubServer
from huggingface_hub import HfApi

from audio_cls.command_names import format_command
from audio_cls.config import HubConfig
from audio_cls.errors import HubError
from audio_cls.publishing.hub.preflight import check_hub, make_repo_id
from audio_cls.publishing.hub.push import push_run
from audio_cls.publishing.hub.source_metadata import add_languages, add_license
from audio_cls.runs.results import DatasetDescription, ModelDescription

pytestmark = pytest.mark.usefixtures("logged_in")


def test_what_was_pushed_comes_back_whole(api: HfApi, run: Path, tmp_path: Path) -> None:
    push_run(run, HubConfig(), REPO)
    for name in ("results.json", "model.safetensors", "predictions.csv"):
        copy = api.hf_hub_download(REPO, name, cache_dir=tmp_path / "cache")
        assert Path(copy).read_bytes() == (run / name).read_bytes()


def test_publishing_twice_makes_no_second_commit(hub: HubServer, run: Path) -> None:
    urls = {push_run(run, HubConfig(), REPO) for _ in range(2)}
    assert len(urls) == 1 and count_commits(hub) == 1
    (run / "summary.csv").write_text("epoch\n1\n")
    push_run(run, HubConfig(), REPO)
    assert count_commits(hub) == 2


@pytest.mark.parametrize("path_part", ["/api/repos/create", "/api/validate-yaml", "/commit/"])
@pytest.mark.parametrize("status", [500, 503, 429, 409, 412])
def test_what_the_client_does_not_retry_is_tried_again(
    path_part: str, status: int, hub: HubServer, run: Path
) -> None:
    if path_part == "/api/repos/create" and status == 409:
        pytest.skip("409 there means that the repository exists")
    hub.fail(method="POST", path_part=path_part, status=status, times=3)
    assert push_run(run, HubConfig(), REPO)
    assert count_commits(hub) == 1


@pytest.mark.parametrize("path_part", ["/api/repos/create", "/api/validate-yaml", "/commit/"])
def test_a_dropped_connection_is_tried_again(path_part: str, hub: HubServer, run: Path) -> None:
    hub.drop(method="POST", path_part=path_part, times=2)
    assert push_run(run, HubConfig(), REPO)
    assert count_commits(hub) == 1


@pytest.mark.parametrize("kind", ["status", "drop"])
@pytest.mark.parametrize("path_part", ["/storage/", "/objects/verify", "/objects/batch"])
def test_a_file_that_the_client_gives_up_on_is_an_outage_and_is_tried_again(
    path_part: str, kind: str, hub: HubServer, run: Path
) -> None:
    fault = hub.fail(path_part=path_part, times=None)
    fault.kind = kind
    if "verify" not in path_part:  # bytes that arrived need no second proof
        assert push_run(run, HubConfig(), REPO) is None and count_commits(hub) == 0
    fault.times = 12  # the client tries six times
    assert push_run(run, HubConfig(), REPO) and count_commits(hub) == 1


def test_a_lost_answer_makes_no_second_commit(hub: HubServer, run: Path) -> None:
    hub.lose(method="POST", path_part="/api/repos/create")
    hub.lose(method="POST", path_part="/commit/")
    assert push_run(run, HubConfig(), REPO)
    assert hub.count("POST", "/commit/") == 1


def test_an_outage_costs_nothing_and_one_line_says_how_to_go_on(
    hub: HubServer, run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = read_all(run)
    hub.fail(path_part="/commit/", status=503, times=None)
    with caplog.at_level(logging.WARNING, "audio_cls"):
        assert push_run(run, HubConfig(), REPO) is None
    lines = [r.getMessage() for r in caplog.records if r.name.startswith("audio_cls")]
    assert len(lines) == 1 and "\n" not in lines[0]
    assert lines[0].endswith(format_command("publish", run, "--hub-repo-id", REPO))
    assert read_all(run) == before and count_commits(hub) == 0
    hub.faults.active.clear()
    assert push_run(run, HubConfig(), REPO) and count_commits(hub) == 1


def test_no_network_at_all_is_an_outage(
    run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    assert push_run(run, HubConfig(), REPO) is None
    with pytest.raises(HubError, match=r"cannot be reached .*publish the run later"):
        check_hub(HubConfig(), "run")


def test_offline_mode_is_not_waited_for(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    begin = time.monotonic()
    assert push_run(run, HubConfig(), REPO) is None
    assert time.monotonic() - begin < 2


def test_a_refused_card_says_what_to_mend(hub: HubServer, run: Path) -> None:
    (run / "README.md").write_text("---\nlicense: [nonsense\n---\n")
    with pytest.raises(HubError, match=r"refuses the model card.*Fix README\.md"):
        push_run(run, HubConfig(), REPO)
    assert count_commits(hub) == 0


@pytest.mark.parametrize(
    ("token", "says"),
    [
        ("read-token", "write access"),
        ("wrong", "hf auth login"),
        ("two\nlines", "hf auth login"),
        ("\N{KEY}", "hf auth login"),
        (None, "hf auth login"),
    ],
)
def test_a_token_that_cannot_write_is_refused_in_words(
    token: str | None, says: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if token is None:
        monkeypatch.delenv("HF_TOKEN")
    else:
        monkeypatch.setenv("HF_TOKEN", token)
    acts: list[Callable[[], object]] = [
        lambda: check_hub(HubConfig(), "run"),
        lambda: push_run(run, HubConfig(), REPO),
    ]
    for act in acts:
        with pytest.raises(HubError, match=says) as caught:
            act()
        assert "\n" not in str(caught.value)
        assert token is None or token not in str(caught.value)


def test_private_is_private_or_refused(hub: HubServer, run: Path) -> None:
    push_run(run, HubConfig(private=True), "tester/hidden")
    assert hub.repos["models", "tester/hidden"].private
    push_run(run, HubConfig(), REPO)
    with pytest.raises(HubError, match="is public"):
        push_run(run, HubConfig(private=True), REPO)


@pytest.mark.parametrize(
    ("given", "run_name", "repo_id"),
    [
        (None, "gtzan-distilhubert", "tester/gtzan-distilhubert"),
        (None, "a: b # yaml", "tester/a-b-yaml"),
        (None, "..", "tester/audio-classifier"),
        (None, "x" * 200, "tester/" + "x" * 96),
        (None, "run..1.git", "tester/run-1"),
        (None, "\N{GUITAR}", "tester/audio-classifier"),
        ("named", "run", "tester/named"),
        ("testers/named", "run", "testers/named"),
    ],
)
def test_the_repository_is_named_before_training(
    given: str | None, run_name: str, repo_id: str, hub: HubServer
) -> None:
    assert check_hub(HubConfig(hub_repo_id=given), run_name) == repo_id
    assert not hub.repos


@pytest.mark.parametrize("given", ["a/b/c", "../x", "a--b", "x y", "", "ann/run"])
def test_an_impossible_repository_is_refused_before_training(given: str) -> None:
    with pytest.raises(HubError, match=r"Give|Try"):
        check_hub(HubConfig(hub_repo_id=given), "run")


def test_an_unknown_licence_is_refused_before_training() -> None:
    with pytest.raises(HubError, match="--license nonsense is not a licence id"):
        check_hub(HubConfig(license="nonsense"), "run")
    assert check_hub(HubConfig(license="cc-by-4.0"), "run") == REPO
    assert check_hub(HubConfig(license="My own: terms"), "run") == REPO


def test_a_grant_for_another_repository_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(name: str) -> dict[str, object]:
        grant = {"entity": {"type": "model", "name": name}, "permissions": ["repo.write"]}
        token = {"role": "fineGrained", "fineGrained": {"scoped": [grant]}}
        return {"name": "tester", "orgs": [], "auth": {"accessToken": token}}

    for name, is_enough in ((REPO, True), ("tester", True), ("tester/other", False)):
        who = answer(name)
        monkeypatch.setattr("huggingface_hub.HfApi.whoami", lambda self, who=who: who)
        if is_enough:
            assert check_hub(HubConfig(), "run") == REPO
        else:
            with pytest.raises(HubError, match="has no write access"):
                check_hub(HubConfig(), "run")


def test_the_languages_of_a_data_set_are_recorded(hub: HubServer) -> None:
    hub.seed("datasets", "ann/en", {"README.md": "---\nlanguage: en\n---\n"})
    hub.seed("datasets", "ann/two", {"README.md": "---\nlanguage: [de, fr]\n---\n"})
    for name, codes in (("ann/en", ["en"]), ("ann/two", ["de", "fr"]), ("ann/none", [])):
        source = DatasetDescription(id=name, is_local=False)
        assert add_languages(source).language == codes


def test_the_licence_of_a_base_model_is_recorded_and_a_folders_is_not(hub: HubServer) -> None:
    hub.seed("models", "ann/base", {"README.md": "---\nlicense: mit\n---\n"})
    model = ModelDescription(id="ann/base", is_local=False, num_parameters=3)
    assert add_license(model) == replace(model, license="mit")
    assert add_license(replace(model, is_local=True)).license is None
    for name in ("/home/ann/base", "ann/none"):
        assert add_license(replace(model, id=name)).license is None


def test_names_are_cut_to_what_the_hub_allows() -> None:
    assert make_repo_id(None, "ann", "-" * 5 + "a" * 95 + "---b") == "ann/" + "a" * 95
    with pytest.raises(HubError, match=r"Try --hub-repo-id ann/lr-1-my-model$"):
        make_repo_id("lr=1 (my model)", "ann", "run")


def test_with_xet_on_a_hub_without_it_gets_the_files_all_the_same(
    hub: HubServer, run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("hf_xet")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", False)
    with caplog.at_level(logging.INFO, "audio_cls"):
        assert push_run(run, HubConfig(), REPO)
    assert set(hub.files("models", REPO)) - {".gitattributes"} == PUBLISHED
    assert hub.count("GET", "/xet-write-token/", 404) and count_commits(hub) == 1
    told = [r.getMessage() for r in caplog.records if r.name.startswith("audio_cls")]
    assert told == [
        "This Hub has no Xet storage: large files use LFS (HF_HUB_DISABLE_XET=1).",
        f"Published 12 files (0.0 MB) of '{run}': {hub.url}/{REPO}",
    ]


@pytest.mark.parametrize(
    ("held_at", "seen_before"),
    [("/preupload/", "/api/validate-yaml"), ("/commit/", "/preupload/")],
)
def test_a_killed_push_run_again_completes(
    held_at: str, seen_before: str, hub: HubServer, run: Path
) -> None:
    hub.slow(60, path_part=held_at)
    before = read_all(run)
    process = multiprocessing.get_context("fork").Process(
        target=push_run, args=(run, HubConfig(), REPO)
    )
    process.start()
    deadline = time.monotonic() + 60
    while not hub.count("POST", seen_before) and time.monotonic() < deadline:
        assert process.is_alive()
        time.sleep(0.02)
    process.kill()
    process.join()
    hub.faults.active.clear()
    assert not set(hub.files("models", REPO)) & PUBLISHED
    assert push_run(run, HubConfig(), REPO)
    assert set(hub.files("models", REPO)) - {".gitattributes"} == PUBLISHED
    assert read_all(run) == before
