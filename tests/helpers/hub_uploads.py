"""How files reach the loopback Hub before a commit names them: preupload and the LFS protocol.

A client asks `preupload` which files are large, `lfs_batch` where those go, puts their bytes there
(whole, or in parts that `complete` joins) and has `verify` confirm them.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from fnmatch import fnmatch
from typing import Any
from urllib.parse import unquote

from hub_http import Answer, Call, route, to_json
from hub_reading import open_repo, refuse_token
from hub_store import HubError, HubStore, Repo
from hub_writing import open_for_commit


@route("POST", "/api/{kind}/{id}/preupload/{rev}")
def preupload(hub: HubStore, call: Call) -> Answer:
    """Say of each file whether it goes to git or to large file storage, and what is there now."""
    repo = open_for_commit(hub, call)
    files = repo.resolve(call.names["rev"]).files
    asked = call.json()
    ignore = files[".gitignore"].data.decode() if ".gitignore" in files else ""
    ignore = asked.get("gitIgnore", ignore)
    rows = []
    for item in asked.get("files", []):
        path, sample = item["path"], base64.b64decode(item.get("sample", ""))
        mode = "lfs" if hub.needs_lfs(path, item["size"], sample) else "regular"
        row = {"path": path, "uploadMode": mode, "shouldIgnore": should_ignore(path, ignore)}
        rows.append(row | ({"oid": files[path].etag} if path in files else {}))
    return to_json({"files": rows})


def should_ignore(path: str, ignore: str) -> bool:
    """Apply a .gitignore: names, globs, folders ("out/") and exceptions ("!keep"), no "**"."""
    is_ignored = False
    for line in ignore.splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        glob = pattern.removeprefix("!").rstrip("/")
        parts = path.split("/")
        places = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        places += [] if "/" in glob else parts
        places = places[:-1] if pattern.endswith("/") and "/" not in path else places
        if any(fnmatch(place, glob.lstrip("/")) for place in places):
            is_ignored = not pattern.startswith("!")
    return is_ignored


@route("POST", r"/{prefix}{id}\.git/info/lfs/objects/batch")
def lfs_batch(hub: HubStore, call: Call) -> Answer:
    """Say where each large object goes: nowhere if it is there, in one piece, or in parts."""
    hub.check_writer(None, call.token)
    repo, asked = open_repo(hub, call), call.json()
    ref = unquote(str((asked.get("ref") or {}).get("name", "")))
    if ref and not ref.startswith("refs/pr/"):  # a commit; a new pull request names none
        hub.check_writer(repo.namespace, call.token)
    if asked.get("operation") != "upload":
        raise HubError(400, "Only uploads go through this address")
    can_part = "multipart" in asked.get("transfers", [])
    rows: list[dict[str, Any]] = []
    for item in asked.get("objects", []):
        row = {"oid": item["oid"], "size": item["size"]}
        if item["oid"] not in repo.lfs:
            is_long = can_part and item["size"] > hub.multipart_threshold
            row["actions"] = _make_actions(hub, repo, row, in_parts=is_long)
        rows.append(row)
    return to_json({"transfer": "multipart" if can_part else "basic", "objects": rows})


def _make_actions(
    hub: HubStore, repo: Repo, item: Mapping[str, Any], *, in_parts: bool
) -> dict[str, Any]:
    place = f"{hub.storage_url}/storage/{repo.kind}/{repo.id}/{item['oid']}"
    verify = {"href": f"{hub.url}/{repo.address}.git/info/lfs/objects/verify"}
    if not in_parts:
        return {"upload": {"href": place}, "verify": verify}
    count = -(-item["size"] // hub.chunk_size)
    header = {f"{number:05}": f"{place}/part/{number}" for number in range(1, count + 1)}
    header["chunk_size"] = str(hub.chunk_size)
    href = f"{hub.url}/storage/{repo.kind}/{repo.id}/{item['oid']}/complete"
    return {"upload": {"href": href, "header": header}, "verify": verify}


def _open_storage(hub: HubStore, call: Call) -> Repo:
    refuse_token(call)
    repo = hub.repos.get((call.names["kind"], call.names["id"]))
    if repo is None:
        raise HubError(404, "No such place in storage")
    return repo


def _store(repo: Repo, oid: str, data: bytes) -> None:
    if hashlib.sha256(data).hexdigest() != oid:
        raise HubError(400, f"These {len(data)} bytes have another sha256 than {oid}")
    repo.lfs[oid] = data


@route("PUT", "/storage/{kind}/{id}/{oid}")
def put_object(hub: HubStore, call: Call) -> Answer:
    """Take a large object in one piece."""
    _store(_open_storage(hub, call), call.names["oid"], call.body)
    return Answer(200, b"", {"ETag": f'"{call.names["oid"]}"'})


@route("PUT", "/storage/{kind}/{id}/{oid}/part/{name}")
def put_part(hub: HubStore, call: Call) -> Answer:
    """Take one part of a large object; the etag that goes back must come along at the end."""
    repo = _open_storage(hub, call)
    repo.parts[call.names["oid"], int(call.names["name"])] = call.body
    return Answer(200, b"", {"ETag": _name_part(call.body)})


def _name_part(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()[:32]}"'


@route("POST", "/storage/{kind}/{id}/{oid}/complete")
def complete(hub: HubStore, call: Call) -> Answer:
    """Join the parts of a large object."""
    repo, oid, pieces = _open_storage(hub, call), call.names["oid"], []
    for part in call.json().get("parts", []):
        data = repo.parts.get((oid, part["partNumber"]))
        if data is None or part["etag"] != _name_part(data):
            raise HubError(400, f"Part {part['partNumber']} is missing or has another etag")
        pieces.append(data)
    _store(repo, oid, b"".join(pieces))
    repo.parts = {key: data for key, data in repo.parts.items() if key[0] != oid}
    return to_json({"success": True})


@route("POST", r"/{prefix}{id}\.git/info/lfs/objects/verify")
def verify(hub: HubStore, call: Call) -> Answer:
    """Confirm that a large object has arrived whole."""
    hub.check_writer(None, call.token)
    repo, asked = open_repo(hub, call), call.json()
    if len(repo.lfs.get(asked["oid"], b"")) != asked["size"]:
        raise HubError(404, f"Object {asked['oid']} has not arrived")
    return to_json({"success": True})
