"""What the loopback Hub tells: who you are, what there is, what is in it, and the files."""

from __future__ import annotations

import mimetypes
import re
from typing import Any
from urllib.parse import parse_qs, quote

from hub_cards import make_leaderboard, make_tags, read_card, read_results
from hub_http import Answer, Call, route, to_json, to_page
from hub_store import Blob, Commit, HubError, HubStore, Repo

LISTED = (
    *("id", "modelId", "author", "private", "gated", "disabled", "downloads", "likes", "tags"),
    *("createdAt", "lastModified", "library_name", "pipeline_tag"),
)


def open_repo(hub: HubStore, call: Call) -> Repo:
    """Find the repository a request names, if its token may see it."""
    kind = call.names.get("kind") or call.names.get("prefix", "").rstrip("/") or "models"
    return hub.find(kind, call.names["id"], call.token)


@route("GET", "/api/whoami-v2")
def whoami(hub: HubStore, call: Call) -> Answer:
    """Tell whose token it is."""
    if call.token is None:
        raise HubError(401, "Invalid username or password.")
    name, role = call.token.name, call.token.role
    orgs = [{"type": "org", "name": org, "fullname": org} for org in call.token.orgs]
    access = {"accessToken": {"displayName": f"{name}'s token", "role": role}}
    who = {"type": "user", "name": name, "fullname": name, "isPro": False, "orgs": orgs}
    return to_json({**who, "auth": {"type": "access_token", **access}})


def describe(repo: Repo, commit: Commit, *, with_sizes: bool = False) -> dict[str, Any]:
    """Make everything the Hub says of a repository at a commit."""
    card, oldest = read_card(commit.files), repo.history(commit)[-1]
    facts: dict[str, Any] = {
        "id": repo.id,
        "author": repo.namespace,
        "sha": commit.sha,
        "private": repo.private,
        "gated": repo.gated,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": make_tags(card, repo.kind),
        "createdAt": oldest.date,
        "lastModified": commit.date,
        "usedStorage": sum(len(data) for data in repo.lfs.values()),
        "siblings": [
            _describe_sibling(p, b, with_sizes=with_sizes) for p, b in sorted(commit.files.items())
        ],
    }
    if card:
        facts["cardData"] = card
    if repo.kind == "models":
        facts["modelId"] = repo.id
        names = ("library_name", "pipeline_tag", "model-index")
        facts |= {name: card[name] for name in names if name in card}
    return facts


def _describe_sibling(path: str, blob: Blob, *, with_sizes: bool) -> dict[str, Any]:
    if not with_sizes:
        return {"rfilename": path}
    entry = {"rfilename": path, "size": len(blob.data), "blobId": blob.git_oid}
    return entry | ({"lfs": _describe_lfs(blob, "sha256")} if blob.is_lfs else {})


def _describe_lfs(blob: Blob, oid_name: str) -> dict[str, Any]:
    return {oid_name: blob.sha256, "size": len(blob.data), "pointerSize": len(blob.pointer)}


def pick(repo: Repo, commit: Commit, names: list[str]) -> dict[str, Any]:
    """Make the answer to ?expand=...: the id and what was asked for, as far as there is any."""
    facts = describe(repo, commit)
    if "evalResults" in names:
        facts["evalResults"] = read_results(commit.files)
    return {name: facts[name] for name in ("id", *names) if name in facts}


@route("GET", "/api/{kind}")
def list_repos(hub: HubStore, call: Call) -> Answer:
    """List the repositories that fit all filters, as far as the token may see them."""
    seen = [
        repo
        for (kind, _), repo in sorted(hub.repos.items())
        if kind == call.names["kind"]
        and (not repo.private or (call.token and call.token.is_member(repo.namespace)))
    ]
    expand = call.query.get("expand", [])
    rows = []
    for repo in seen:
        commit = repo.resolve("main")
        facts = describe(repo, commit)
        if not _fits(facts, call):
            continue
        names = list(LISTED)
        names += ["sha", "siblings", "usedStorage"] if call.flag("full") else []
        names += ["cardData"] if call.flag("full") or call.flag("cardData") else []
        rows.append((facts, pick(repo, commit, expand or names)))
    if sort := call.value("sort"):
        is_rising = call.value("direction") == "1"
        rows.sort(key=lambda row: row[0].get(sort, 0), reverse=not is_rising)
    return to_page(hub, call, [row for _, row in rows], int(call.value("limit", "0")))


def _fits(facts: dict[str, Any], call: Call) -> bool:
    wanted = [tag for text in call.query.get("filter", []) for tag in text.split(",")]
    task = call.value("pipeline_tag")
    return (
        set(wanted) <= set(facts["tags"])
        and call.value("author", facts["author"]) == facts["author"]
        and call.value("search").lower() in facts["id"].lower()
        and (not task or task == facts.get("pipeline_tag"))
    )


@route("GET", "/api/datasets/{id}/leaderboard")
def leaderboard(hub: HubStore, call: Call) -> Answer:
    """Rank the models that report on a data set; it must have an eval.yaml."""
    repo = hub.find("datasets", call.names["id"], call.token)
    if "eval.yaml" not in repo.resolve("main").files:
        raise HubError(404, f"{repo.id} has no leaderboard: it is no benchmark")
    models = [m for (kind, _), m in sorted(hub.repos.items()) if kind == "models" and not m.private]
    is_strict = call.flag("base_model", default=True)
    return to_json(make_leaderboard(repo.id, models, base_model_only=is_strict))


@route("GET", "/api/{kind}/{id}/tree/{rev}")
@route("GET", "/api/{kind}/{id}/tree/{rev}/{path}")
def tree(hub: HubStore, call: Call) -> Answer:
    """List a folder of a commit, or all below it, page by page."""
    repo = open_repo(hub, call)
    commit = repo.resolve(call.names["rev"])
    root = call.names.get("path", "").strip("/")
    start = f"{root}/" if root else ""
    entries = {p: row for p, row in _list_entries(commit).items() if p.startswith(start)}
    if root and not entries:
        commit.blob(root)
        raise HubError(404, f"{root} is not a folder", "EntryNotFound")
    if not call.flag("recursive"):
        depth = root.count("/") + 1 if root else 0
        entries = {path: entry for path, entry in entries.items() if path.count("/") == depth}
    rows = [entries[path] for path in sorted(entries)]
    if call.flag("expand"):
        rows = [_add_last_commit(repo, commit, row) for row in rows]
    return to_page(hub, call, rows, int(call.value("limit", "0")))


@route("POST", "/api/{kind}/{id}/paths-info/{rev}")
def paths_info(hub: HubStore, call: Call) -> Answer:
    """Describe the named files and folders; what is not there is left out."""
    repo = open_repo(hub, call)
    commit = repo.resolve(call.names["rev"])
    is_form = "json" not in call.headers.get("Content-Type", "")
    form = parse_qs(call.body.decode()) if is_form else call.json()
    is_long = str(form.get("expand", "")).lower().strip("[]'") in ("true", "1")
    entries = _list_entries(commit)
    found = [entries[path] for path in form.get("paths", []) if path in entries]
    return to_json([_add_last_commit(repo, commit, row) for row in found] if is_long else found)


def _list_entries(commit: Commit) -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = {}
    for path, blob in commit.files.items():
        entry = {"type": "file", "oid": blob.git_oid, "size": len(blob.data), "path": path}
        entries[path] = entry | ({"lfs": _describe_lfs(blob, "oid")} if blob.is_lfs else {})
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            oid = Blob(f"{commit.sha} {folder}".encode()).git_oid
            entries[folder] = {"type": "directory", "oid": oid, "size": 0, "path": folder}
    return entries


def _add_last_commit(repo: Repo, commit: Commit, entry: dict[str, Any]) -> dict[str, Any]:
    last, path = commit, entry["path"]
    for older in repo.history(commit)[1:]:
        if _below(older, path) != _below(commit, path):
            break
        last = older
    return {**entry, "lastCommit": {"id": last.sha, "title": last.title, "date": last.date}}


def _below(commit: Commit, path: str) -> dict[str, str]:
    files = commit.files.items()
    return {p: blob.git_oid for p, blob in files if p == path or p.startswith(f"{path}/")}


@route("GET", "/api/{kind}/{id}/refs")
def refs(hub: HubStore, call: Call) -> Answer:
    """List branches, converted copies, tags and pull requests."""
    repo = open_repo(hub, call)
    groups: dict[str, list[dict[str, str]]] = {"branches": [], "converts": [], "tags": []}
    groups["pullRequests"] = []
    for name, sha in repo.branches.items():
        is_ref = re.match("refs/(convert|pr)/", name)
        group = {"convert": "converts", "pr": "pullRequests"}[is_ref[1]] if is_ref else "branches"
        short = name.removeprefix("refs/convert/")
        ref = name if is_ref else f"refs/heads/{name}"
        groups[group].append({"name": short, "ref": ref, "targetCommit": sha})
    for name, sha in repo.tags.items():
        groups["tags"].append({"name": name, "ref": f"refs/tags/{name}", "targetCommit": sha})
    return to_json(groups)


@route("GET", "/api/{kind}/{id}/commits/{rev}")
def commits(hub: HubStore, call: Call) -> Answer:
    """List a revision's commits, newest first."""
    repo = open_repo(hub, call)
    line = repo.history(repo.resolve(call.names["rev"]))
    rows = [
        {
            "id": commit.sha,
            "title": commit.title,
            "message": commit.description,
            "authors": [{"user": commit.author}],
            "date": commit.date,
        }
        for commit in line
    ]
    return to_page(hub, call, rows)


@route("GET", "/api/{kind}/{id}/discussions")
def discussions(hub: HubStore, call: Call) -> Answer:
    """List the pull requests, all open, newest first; their title is their first commit's."""
    repo = open_repo(hub, call)
    rows = []
    for name in repo.branches:
        if not name.startswith("refs/pr/"):
            continue
        commit = repo.resolve(name)
        rows.append(
            {
                "num": int(name.rpartition("/")[2]),
                "title": commit.title,
                "author": {"name": commit.author},
                "createdAt": commit.date,
                "status": "open",
                "isPullRequest": True,
                "repo": {"name": repo.id, "type": repo.kind[:-1]},
            }
        )
    author = call.value("author")
    rows = [row for row in rows[::-1] if not author or row["author"] == {"name": author}]
    return to_json({"count": len(rows), "start": 0, "discussions": rows})


@route("GET", "/api/{kind}/{id}/auth-check")
def auth_check(hub: HubStore, call: Call) -> Answer:
    """Tell whether the token may read the files."""
    hub.check_reader(open_repo(hub, call), call.token)
    return to_json({"ok": True})


@route("GET", "/api/{kind}/{id}/revision/{rev}")
@route("GET", "/api/{kind}/{id}")
def info(hub: HubStore, call: Call) -> Answer:
    """Describe a repository at a revision; a gated one, too, is described to everybody."""
    repo = open_repo(hub, call)
    commit = repo.resolve(call.names.get("rev", "main"))
    if expand := call.query.get("expand"):
        return to_json(pick(repo, commit, expand))
    return to_json(describe(repo, commit, with_sizes=call.flag("blobs")))


@route("GET", "/{prefix}{id}/resolve/{rev}/{path}")
def resolve(hub: HubStore, call: Call) -> Answer:
    """Send a file; a large one by sending the client to the storage host."""
    repo = open_repo(hub, call)
    hub.check_reader(repo, call.token)
    commit = repo.resolve(call.names["rev"])
    blob = commit.blob(call.names["path"])
    headers = {"X-Repo-Commit": commit.sha, "ETag": f'"{blob.etag}"', "Accept-Ranges": "bytes"}
    if not blob.is_lfs:
        return send_bytes(blob, call, headers)
    place = f"{hub.storage_url}/storage/{repo.kind}/{repo.id}/{blob.sha256}"
    name = quote(call.names["path"].rpartition("/")[2])
    headers |= {"Location": f"{place}?filename={name}", "X-Linked-Size": str(len(blob.data))}
    return Answer(302, b"", headers | {"X-Linked-ETag": headers["ETag"]})


@route("GET", "/storage/{kind}/{id}/{oid}")
def storage(hub: HubStore, call: Call) -> Answer:
    """Send a large file. The address is the permit, as with a signed one."""
    refuse_token(call)
    repo = hub.repos.get((call.names["kind"], call.names["id"]))
    if repo is None or call.names["oid"] not in repo.lfs:
        raise HubError(404, "No such object in storage")
    blob = Blob(repo.lfs[call.names["oid"]], is_lfs=True)
    return send_bytes(blob, call, {"ETag": f'"{call.names["oid"]}"', "Accept-Ranges": "bytes"})


def refuse_token(call: Call) -> None:
    """Refuse a bearer token at the storage host, which a token must never reach."""
    if "Authorization" in call.headers:
        raise HubError(400, "Only one auth mechanism allowed: the address is signed")


def send_bytes(blob: Blob, call: Call, headers: dict[str, str]) -> Answer:
    """Send a file or the range of it that was asked for."""
    data, size = blob.data, len(blob.data)
    kind = mimetypes.guess_type(call.names.get("path", ""))[0] or "application/octet-stream"
    headers = {**headers, "Content-Type": kind}
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", call.headers.get("Range", ""))
    if not asked or asked[1] + asked[2] == "":
        return Answer(200, data, headers)
    start = int(asked[1]) if asked[1] else max(0, size - int(asked[2]))
    stop = min(size, int(asked[2]) + 1) if asked[1] and asked[2] else size
    if start >= stop:
        return Answer(416, b"", {**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Answer(206, data[start:stop], headers)
