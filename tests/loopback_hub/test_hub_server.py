"""The loopback Hub, judged by its real clients, huggingface_hub and datasets: files in and out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_samples import CARD, PARQUET, make_bytes, upload
from hub_server import HubServer
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import (
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile


def make_folder(root: Path, large_bytes: int) -> Path:
    root.mkdir()
    (root / "README.md").write_text(CARD)
    (root / "config.json").write_text("{}")
    (root / "model.safetensors").write_bytes(make_bytes(large_bytes))
    (root / "figures").mkdir()
    (root / "figures/confusion.png").write_bytes(make_bytes(300))
    return root


def read_folder(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file() and ".cache" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def test_whoami_tells_name_and_role(hub: HubServer, api: HfApi) -> None:
    assert api.whoami()["name"] == "tester"
    with pytest.raises(HfHubHTTPError) as caught:
        api.whoami(token="made-up")
    assert caught.value.response.status_code == 401


def test_a_repository_is_created_once_configured_and_deleted(hub: HubServer, api: HfApi) -> None:
    url = api.create_repo("tester/run")
    assert url.repo_id == "tester/run"
    assert api.create_repo("tester/run", exist_ok=True) == url
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_repo("tester/run")
    assert api.create_repo("testers/sounds", repo_type="dataset").repo_type == "dataset"
    assert api.create_repo("demo", repo_type="space", space_sdk="gradio").repo_id == "tester/demo"
    api.update_repo_settings("tester/run", private=True, gated="auto")
    assert api.model_info("tester/run").private is True
    assert api.repo_exists("tester/run") and not api.repo_exists("tester/run", token=False)
    api.delete_repo("tester/run")
    assert not api.repo_exists("tester/run")


def test_a_gradio_space_of_a_free_account_needs_payment(hub: HubServer, api: HfApi) -> None:
    hub.has_paid = False
    api.create_repo("tester/page", repo_type="space", space_sdk="static")
    api.create_repo("tester/gpu", repo_type="space", space_sdk="gradio", space_hardware="zero-a10g")
    for name in ("tester/new", "tester/page"):
        with pytest.raises(HfHubHTTPError) as caught:
            api.create_repo(name, repo_type="space", space_sdk="gradio")
        assert caught.value.response.status_code == 402


@pytest.mark.parametrize("num_parts", [0, 4])
def test_a_folder_is_uploaded_and_comes_back_the_same(
    hub: HubServer, api: HfApi, tmp_path: Path, num_parts: int
) -> None:
    if num_parts:
        hub.multipart_threshold, hub.chunk_size = 2**20, 3 * 2**20 + 5
    folder = make_folder(tmp_path / "run", large_bytes=11 * 2**20)
    api.create_repo("tester/run")
    done = api.upload_folder(repo_id="tester/run", folder_path=folder)
    held = hub.files("models", "tester/run")
    assert {path: held[path] for path in read_folder(folder)} == read_folder(folder)
    assert hub.count("PUT", "/part/", 200) == num_parts
    assert hub.count("POST", "/verify", 200) == 2
    assert done.oid == api.model_info("tester/run").sha
    back = api.snapshot_download("tester/run", local_dir=tmp_path / "back")
    assert read_folder(Path(back)) == held


def test_the_same_folder_twice_makes_one_commit(hub: HubServer, api: HfApi, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "run", large_bytes=1000)
    api.create_repo("tester/run")
    first = api.upload_folder(repo_id="tester/run", folder_path=folder)
    second = api.upload_folder(repo_id="tester/run", folder_path=folder)
    assert second.oid == first.oid
    assert hub.count("POST", "/commit/") == 1
    assert hub.count("PUT") == 2


def test_gitignore_and_deletions_are_heard(hub: HubServer, api: HfApi) -> None:
    api.create_repo("tester/run")
    files = {".gitignore": b"logs/\n*.tmp\n!keep.tmp\n", "logs/a": b"1", "b.tmp": b"2"}
    files |= {"keep.tmp": b"3", "old/x": b"4", "y": b"5"}
    added = [CommitOperationAdd(path, data) for path, data in files.items()]
    api.create_commit("tester/run", added, commit_message="a")
    assert set(hub.files("models", "tester/run")) >= {".gitignore", "keep.tmp", "old/x", "y"}
    assert not {"logs/a", "b.tmp"} & set(hub.files("models", "tester/run"))
    gone = [CommitOperationDelete("old/"), CommitOperationDelete("y")]
    api.create_commit("tester/run", gone, commit_message="b")
    assert set(hub.files("models", "tester/run")) == {".gitattributes", ".gitignore", "keep.tmp"}
    with pytest.raises(RemoteEntryNotFoundError):
        api.delete_file("y", "tester/run")


def test_a_commit_on_a_stale_parent_is_a_conflict(hub: HubServer, api: HfApi) -> None:
    api.create_repo("tester/run")
    parent = api.model_info("tester/run").sha
    upload(api, "a", b"1", parent_commit=parent)
    with pytest.raises(HfHubHTTPError) as caught:
        upload(api, "a", b"2", parent_commit=parent)
    assert caught.value.response.status_code == 412
    assert hub.files("models", "tester/run")["a"] == b"1"


def test_branches_tags_commits_and_pull_requests(hub: HubServer, api: HfApi) -> None:
    old = hub.seed("models", "tester/run", {"a": "1"})
    api.create_branch("tester/run", branch="try/it")
    api.create_tag("tester/run", tag="v1", revision=old)
    done = upload(api, "a", b"2", revision="try/it")
    asked = upload(api, "a", b"3", create_pr=True)
    refs = api.list_repo_refs("tester/run", include_pull_requests=True)
    heads = {ref.name: ref.target_commit for ref in refs.branches}
    assert heads == {"main": old, "try/it": done.oid}
    assert [(ref.name, ref.target_commit) for ref in refs.tags] == [("v1", old)]
    assert (asked.pr_num, asked.pr_revision) == (1, "refs/pr/1")
    line = api.list_repo_commits("tester/run", revision="try/it")
    assert [commit.commit_id for commit in line][:2] == [done.oid, old]
    wanted = {"v1": b"1", "try/it": b"2", "refs/pr/1": b"3", old[:9]: b"1"}
    assert {r: hub.files("models", "tester/run", r)["a"] for r in wanted} == wanted
    api.delete_branch("tester/run", branch="try/it")
    api.delete_tag("tester/run", tag="v1")
    with pytest.raises(RevisionNotFoundError):
        api.model_info("tester/run", revision="try/it")


def test_the_parquet_branch_is_listed_pinned_and_pages(hub: HubServer, api: HfApi) -> None:
    hub.page_size = 3
    hub.seed("datasets", "marsyas/gtzan", {"README.md": "# x", "gtzan.py": "pass"})
    files = {f"all/train/{number:04}.parquet": make_bytes(100 + number) for number in range(5)}
    sha = hub.seed("datasets", "marsyas/gtzan", files, branch=PARQUET)
    assert hub.seed("datasets", "marsyas/again", files) != sha
    tree = list(
        api.list_repo_tree("marsyas/gtzan", repo_type="dataset", revision=PARQUET, recursive=True)
    )
    assert [entry.path for entry in tree] == ["all", "all/train", *files]
    lfs = [entry.lfs for entry in tree if isinstance(entry, RepoFile)]
    assert [entry and entry.size for entry in lfs] == [100, 101, 102, 103, 104]
    top = list(api.list_repo_tree("marsyas/gtzan", repo_type="dataset", revision=PARQUET))
    assert [entry.path for entry in top] == ["all"]
    info = api.dataset_info("marsyas/gtzan", revision=PARQUET, files_metadata=True)
    assert info.sha == sha
    sizes = {sibling.rfilename: sibling.size for sibling in info.siblings or []}
    assert sizes["all/train/0001.parquet"] == 101
    assert api.list_repo_refs("marsyas/gtzan", repo_type="dataset").converts[0].ref == PARQUET
    with pytest.raises(RemoteEntryNotFoundError):
        list(api.list_repo_tree("marsyas/gtzan", "none", repo_type="dataset"))
    paths = ["all/train/0002.parquet", "all", "none"]
    found = api.get_paths_info(
        "marsyas/gtzan", paths, repo_type="dataset", revision=sha, expand=True
    )
    assert [entry.path for entry in found] == paths[:2]
    assert found[0].last_commit is not None and found[0].last_commit.oid == sha


def test_seeds_are_deterministic(hub: HubServer) -> None:
    shas = []
    for _ in range(2):
        with HubServer() as other:
            other.seed("models", "a/b", {"x": "1"})
            shas.append(other.seed("models", "a/b", {"x": "2"}))
    assert shas[0] == shas[1] and len(shas[0]) == 40


LOAD = """
import sys
from datasets import load_dataset
sha = sys.argv[1]
assert load_dataset("tester/sounds", split="train")["label"] == [0, 1, 2]
at = f"hf://datasets/marsyas/gtzan@{sha}/all/train/*.parquet"
table = load_dataset("parquet", data_files={"train": at})["train"]
assert table["label"] == [0, 1, 2], table
at = "hf://datasets/marsyas/gtzan@refs%2Fconvert%2Fparquet/all/train/*.parquet"
assert load_dataset("parquet", data_files=at, split="train").num_rows == 3
streamed = load_dataset("tester/sounds", split="train", streaming=True)
assert [row["label"] for row in streamed] == [0, 1, 2]
try:
    load_dataset("marsyas/gtzan")
except RuntimeError as error:
    assert "gtzan.py" in str(error)
else:
    raise AssertionError("a script repository was loaded")
"""


def make_environment(hub: HubServer, home: Path) -> dict[str, str]:
    names = {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.write_token, "HF_HOME": str(home)}
    flags = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **names, **flags, "NO_PROXY": "127.0.0.1,localhost"}


def test_datasets_loads_parquet_by_id_and_by_pinned_files(hub: HubServer, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.table({"label": [0, 1, 2]}), tmp_path / "x.parquet")
    made = tmp_path / "x.parquet"
    hub.seed("datasets", "tester/sounds", {"data/train-00000-of-00001.parquet": made})
    hub.seed("datasets", "marsyas/gtzan", {"gtzan.py": "pass"})
    files = {"all/train/0000.parquet": made}
    sha = hub.seed("datasets", "marsyas/gtzan", files, branch=PARQUET)
    command = [sys.executable, "-c", LOAD, sha]
    done = subprocess.run(
        command,
        env=make_environment(hub, tmp_path / "home"),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_a_folder_is_served_by_hand(real_client: None, tmp_path: Path) -> None:
    folder = tmp_path / "datasets/marsyas/gtzan@refs%2Fconvert%2Fparquet/all/train"
    folder.mkdir(parents=True)
    (folder / "0000.parquet").write_bytes(b"PAR1")
    script = Path(__file__).parents[1] / "helpers/hub_server.py"
    command = [sys.executable, str(script), "--seed-folder", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            seeded, line = server.stdout.readline().split(), server.stdout.readline()
            assert seeded[0] == "datasets/marsyas/gtzan@refs/convert/parquet"
            endpoint = line.split()[0].removeprefix("HF_ENDPOINT=")
            info = HfApi(endpoint=endpoint, token=False).dataset_info(
                "marsyas/gtzan", revision=PARQUET
            )
            assert info.sha == seeded[1]
        finally:
            server.terminate()
