"""What the loopback Hub takes: repositories, branches, tags, settings, cards and commits."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from hub_cards import check_card
from hub_http import Answer, Call, route, to_error, to_json
from hub_reading import open_repo
from hub_store import Blob, Commit, HubError, HubStore, Repo

KIND_OF_TYPE = {"model": "models", "dataset": "datasets", "space": "spaces"}


def open_to_write(hub: HubStore, call: Call) -> Repo:
    """Find the repository a request names, if its token may write there."""
    hub.check_writer(None, call.token)
    repo = open_repo(hub, call)
    hub.check_writer(repo.namespace, call.token)
    return repo


def _read_repo_name(hub: HubStore, call: Call) -> tuple[str, str]:
    asked = call.json()
    kind = KIND_OF_TYPE.get(asked.get("type") or "model", "")
    if not kind or not asked.get("name"):
        raise HubError(400, '"name" is required and "type" must be model, dataset or space')
    hub.check_writer(None, call.token)
    owner = asked.get("organization") or (call.token.name if call.token else "")
    hub.check_writer(owner, call.token)
    return kind, f"{owner}/{asked['name']}"


@route("POST", "/api/repos/create")
def create_repo(hub: HubStore, call: Call) -> Answer:
    """Make a repository; where it is already, 409 with its address, which exist_ok reads."""
    kind, repo_id = _read_repo_name(hub, call)
    asked = call.json()
    is_free = asked.get("sdk") == "static" or str(asked.get("hardware")).startswith("zero-")
    if kind == "spaces" and not hub.has_paid and not is_free:  # also where the Space exists
        message = "Static Spaces are free for everyone, but hosting Gradio and Docker Spaces on"
        raise HubError(402, f"{message} free cpu-basic requires a PRO subscription")
    if (kind, repo_id) in hub.repos:
        address = hub.repos[kind, repo_id].address
        message = f"You already created this {kind[:-1]} repo: {repo_id}"
        return to_json({"error": message, "url": f"{hub.url}/{address}"}, 409)
    is_private = asked.get("visibility") == "private" or asked.get("private") is True
    author = call.token.name if call.token else ""
    repo = hub.create(kind, repo_id, private=is_private, author=author)
    return to_json({"url": f"{hub.url}/{repo.address}", "name": repo_id, "id": repo_id})


@route("DELETE", "/api/repos/delete")
def delete_repo(hub: HubStore, call: Call) -> Answer:
    """Forget a repository."""
    kind, repo_id = _read_repo_name(hub, call)
    hub.find(kind, repo_id, call.token)
    del hub.repos[kind, repo_id]
    return to_json({})


@route("PUT", "/api/{kind}/{id}/settings")
def change_settings(hub: HubStore, call: Call) -> Answer:
    """Set visibility and gating."""
    repo, asked = open_to_write(hub, call), call.json()
    if "visibility" in asked:
        repo.private = asked["visibility"] == "private"
    repo.private = asked.get("private", repo.private)
    repo.gated = asked.get("gated", repo.gated)
    return to_json({"private": repo.private, "gated": repo.gated})


@route("POST", "/api/{kind}/{id}/branch/{rev}")
def create_branch(hub: HubStore, call: Call) -> Answer:
    """Begin a branch at a revision, main by default."""
    repo, name = open_to_write(hub, call), call.names["rev"]
    if name in repo.branches:
        raise HubError(409, f"Reference already exists: {name}")
    repo.branches[name] = repo.resolve(call.json().get("startingPoint", "main")).sha
    return to_json({})


@route("DELETE", "/api/{kind}/{id}/branch/{rev}")
def delete_branch(hub: HubStore, call: Call) -> Answer:
    """Forget a branch; main stays."""
    repo, name = open_to_write(hub, call), call.names["rev"]
    if name == "main":
        raise HubError(403, "The main branch can't be deleted")
    if repo.branches.pop(name, None) is None:
        raise HubError(404, f"Invalid rev id: {name}", "RevisionNotFound")
    return to_json({})


@route("POST", "/api/{kind}/{id}/tag/{rev}")
def create_tag(hub: HubStore, call: Call) -> Answer:
    """Name a revision."""
    repo, name = open_to_write(hub, call), str(call.json().get("tag"))
    if name in repo.tags:
        raise HubError(409, f"Tag reference exists already: {name}")
    repo.tags[name] = repo.resolve(call.names["rev"]).sha
    return to_json({})


@route("DELETE", "/api/{kind}/{id}/tag/{rev}")
def delete_tag(hub: HubStore, call: Call) -> Answer:
    """Forget a tag."""
    repo, name = open_to_write(hub, call), call.names["rev"]
    if repo.tags.pop(name, None) is None:
        raise HubError(404, f"Invalid rev id: {name}", "RevisionNotFound")
    return to_json({})


@route("POST", "/api/validate-yaml")
def validate_card(hub: HubStore, call: Call) -> Answer:
    """Judge a README before any file is sent."""
    asked = call.json()
    kind = KIND_OF_TYPE.get(asked.get("repoType", "model"), "models")
    errors, warnings = check_card(str(asked.get("content", "")), kind)
    answer = {
        "errors": [{"message": message} for message in errors],
        "warnings": [{"message": message} for message in warnings],
    }
    return to_json(answer, 400 if errors else 200)


def open_for_commit(hub: HubStore, call: Call) -> Repo:
    """A pull request, new or one's own, needs a write token only, a commit a member's."""
    repo, branch = open_repo(hub, call), call.names.get("rev", "")
    is_own = False
    if branch.startswith("refs/pr/") and branch in repo.branches and call.token:
        is_own = repo.resolve(branch).author == call.token.name
    if not (is_own or call.flag("create_pr")):
        return open_to_write(hub, call)
    hub.check_writer(None, call.token)
    return repo


@route("POST", "/api/{kind}/{id}/commit/{rev}")
def commit(hub: HubStore, call: Call) -> Answer:
    """Put a commit on a branch, or on a new pull request."""
    repo = open_for_commit(hub, call)
    try:
        lines = [json.loads(line) for line in call.body.split(b"\n") if line.strip()]
        header, changes = lines[0]["value"], lines[1:]
    except (ValueError, LookupError) as error:
        raise HubError(400, f"The commit is not newline-delimited JSON: {error!r}") from error
    branch = call.names["rev"]
    if branch not in repo.branches:
        raise HubError(404, f"Invalid rev id: {branch}", "RevisionNotFound")
    parent, url = repo.resolve(branch), f"{hub.url}/{repo.address}"
    expected = header.get("parentCommit")
    if call.flag("create_pr"):
        parent = repo.resolve(expected or branch)
    elif expected and not parent.sha.startswith(expected):
        return to_error("A commit has happened since. Please refresh and try again.", 412)
    files = _apply(repo, parent, changes)
    _check_readme(repo, files)
    answer: dict[str, Any] = {"success": True}
    if call.flag("create_pr"):
        number = 1 + sum(name.startswith("refs/pr/") for name in repo.branches)
        branch = f"refs/pr/{number}"
        repo.branches[branch] = parent.sha
        answer["pullRequestUrl"] = f"{url}/discussions/{number}"
    author = call.token.name if call.token else ""
    title, note = str(header.get("summary", "")), str(header.get("description", ""))
    made = repo.commit(branch, files, title=title, author=author, note=note)
    return to_json({**answer, "commitUrl": f"{url}/commit/{made.sha}", "commitOid": made.sha})


def _apply(repo: Repo, parent: Commit, changes: list[dict[str, Any]]) -> dict[str, Blob]:
    files = dict(parent.files)
    for change in changes:
        key, value = change["key"], change["value"]
        path = str(value["path"]).rstrip("/")
        if key == "file":
            files[path] = Blob(_decode(value))
        elif key == "lfsFile":
            if value["oid"] not in repo.lfs:
                raise HubError(400, f"LFS pointer pointed to a file that does not exist: {path}")
            files[path] = Blob(repo.lfs[value["oid"]], is_lfs=True)
        elif key in ("deletedFile", "deletedFolder"):
            is_file = key == "deletedFile"
            gone = [p for p in files if p == path or (not is_file and p.startswith(f"{path}/"))]
            if not gone:
                message = (
                    f"A {'file' if is_file else 'folder'} with this name doesn't exist: {path}"
                )
                raise HubError(404, message, "EntryNotFound")
            files = {p: blob for p, blob in files.items() if p not in gone}
        else:
            raise HubError(400, f"Unknown operation {key!r}")
    return files


def _decode(value: Mapping[str, Any]) -> bytes:
    text = str(value.get("content", ""))
    if value.get("encoding") != "base64":
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise HubError(400, f"{value['path']} is not base64: {error}") from error


def _check_readme(repo: Repo, files: Mapping[str, Blob]) -> None:
    """Refuse a broken card also where the client skipped validate-yaml."""
    if "README.md" not in files:
        return
    errors, _ = check_card(files["README.md"].data.decode(errors="replace"), repo.kind)
    if errors:
        raise HubError(400, "Invalid metadata in README.md: " + "; ".join(errors))
