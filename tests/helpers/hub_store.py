"""The memory of the loopback Hub: repositories, commits, files and tokens, with no HTTP in it.

A repository is a set of commits and the branches and tags that point at them; a commit is a whole
tree, path -> `Blob`. Shas are derived from content and parent and dates from a counter, so the same
calls always give the same answers. Everything is held in memory and is lost when the test ends.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

KINDS = ("models", "datasets", "spaces")
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
# Always in large file storage, whatever their size: the patterns of a new repository on the Hub.
LFS_SUFFIXES = (
    *(".7z", ".arrow", ".bin", ".ckpt", ".gz", ".h5", ".npy", ".npz", ".onnx", ".parquet", ".pkl"),
    *(".pt", ".pth", ".safetensors", ".tar", ".zip", ".flac", ".mp3", ".ogg", ".wav"),
    *(".jpg", ".jpeg", ".png"),
)
GIT_ATTRIBUTES = "".join(f"*{s} filter=lfs diff=lfs merge=lfs -text\n" for s in LFS_SUFFIXES)


class HubError(Exception):
    """An answer that is not the wished one: status, X-Error-Code and message."""

    def __init__(
        self, status: int, message: str, code: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {}) | ({"X-Error-Code": code} if code else {})


@dataclass(frozen=True)
class Token:
    """Whose bearer token it is, and what it may do: role is read or write."""

    name: str
    role: str = "write"
    orgs: tuple[str, ...] = ()

    def is_member(self, namespace: str) -> bool:
        """Tell whether the namespace is the user's own or one of their organisations."""
        return namespace == self.name or namespace in self.orgs


@dataclass(frozen=True)
class Blob:
    """The bytes of one file, and whether git holds them or only a pointer to them."""

    data: bytes
    is_lfs: bool = False

    @cached_property
    def sha256(self) -> str:
        """The name of the bytes in large file storage."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def pointer(self) -> bytes:
        """The text git holds in place of a large file."""
        spec = "version https://git-lfs.github.com/spec/v1"
        return f"{spec}\noid sha256:{self.sha256}\nsize {len(self.data)}\n".encode()

    @cached_property
    def git_oid(self) -> str:
        """The id `git hash-object` gives."""
        data = self.pointer if self.is_lfs else self.data
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

    @property
    def etag(self) -> str:
        """What names the content in a download, and what a client compares to skip an upload."""
        return self.sha256 if self.is_lfs else self.git_oid


@dataclass(frozen=True)
class Commit:
    """One state of a repository."""

    sha: str
    parent: str | None
    title: str
    description: str
    author: str
    date: str
    files: Mapping[str, Blob]

    def blob(self, path: str) -> Blob:
        """Find a file, or answer EntryNotFound as the Hub does: with the commit's sha."""
        if path not in self.files:
            commit = {"X-Repo-Commit": self.sha}
            raise HubError(404, f"Entry not found: {path}", "EntryNotFound", commit)
        return self.files[path]


@dataclass
class Repo:
    """One repository. `gated` is False, "auto" or "manual"; `granted` names who was let in."""

    kind: str
    id: str
    clock: Iterator[int]
    private: bool = False
    gated: str | bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    lfs: dict[str, bytes] = field(default_factory=dict)
    parts: dict[tuple[str, int], bytes] = field(default_factory=dict)
    granted: set[str] = field(default_factory=set)

    @property
    def namespace(self) -> str:
        """The user or organisation it belongs to; empty for ids without one."""
        return self.id.rpartition("/")[0]

    @property
    def address(self) -> str:
        """Its path on the site: models have no prefix."""
        return self.id if self.kind == "models" else f"{self.kind}/{self.id}"

    def resolve(self, revision: str) -> Commit:
        """Find the commit of a branch, a tag, a sha or the first 7 or more letters of one."""
        name = re.sub("^refs/(heads|tags)/", "", revision)
        sha = self.branches.get(name) or self.tags.get(name)
        if sha is None and re.fullmatch("[0-9a-f]{7,40}", name):
            sha = next((known for known in self.commits if known.startswith(name)), None)
        if sha is None:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[sha]

    def history(self, commit: Commit) -> list[Commit]:
        """List a commit and its ancestors, newest first."""
        line = [commit]
        while line[-1].parent is not None:
            line.append(self.commits[line[-1].parent])
        return line

    def commit(
        self, branch: str, files: Mapping[str, Blob], *, title: str, author: str, note: str = ""
    ) -> Commit:
        """Put a tree on top of a branch, which begins here (with no parent) if it is new."""
        parent = self.branches.get(branch)
        tree = [f"{path} {blob.git_oid}" for path, blob in sorted(files.items())]
        text = "\n".join([self.kind, self.id, str(parent), title, note, *tree])
        sha = hashlib.sha1(text.encode()).hexdigest()
        date = (FIRST_DAY + timedelta(seconds=next(self.clock))).isoformat()
        made = Commit(sha, parent, title, note, author, date.replace("+00:00", ".000Z"), files)
        self.commits[sha] = made
        self.branches[branch] = sha
        self.lfs.update((blob.sha256, blob.data) for blob in files.values() if blob.is_lfs)
        return made


class HubStore:
    """All repositories and tokens, and who may see what.

    Attributes:
        tokens: Bearer token -> whose it is. A new store knows `write_token` and `read_token`, both
            of the user "tester" who is a member of the organisation "testers".
        lfs_threshold: Files of this many bytes and more go to large file storage.
        multipart_threshold: Large files above this many bytes are uploaded in parts.
        chunk_size: Bytes of a part.
        page_size: Entries on a page of a listing (models, tree, commits).
        has_paid: Whether accounts may create a gradio Space on a CPU; others get a 402.
    """

    write_token = "write-token"
    read_token = "read-token"

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.clock = itertools.count(1)
        self.repos: dict[tuple[str, str], Repo] = {}
        self.tokens = {
            self.write_token: Token("tester", "write", ("testers",)),
            self.read_token: Token("tester", "read", ("testers",)),
        }
        self.lfs_threshold = 10 * 2**20
        self.multipart_threshold = 64 * 2**20
        self.chunk_size = 16 * 2**20
        self.page_size = 1000
        self.has_paid = True
        self.url = ""
        self.storage_url = ""

    def needs_lfs(self, path: str, size: int, sample: bytes) -> bool:
        """Decide as the Hub does: large, of a listed kind, or not text in its first bytes."""
        return size >= self.lfs_threshold or path.lower().endswith(LFS_SUFFIXES) or b"\0" in sample

    def create(self, kind: str, repo_id: str, *, private: bool = False, author: str = "") -> Repo:
        """Make a repository whose main branch holds .gitattributes only, as on the Hub."""
        repo = Repo(kind, repo_id, self.clock, private)
        self.repos[kind, repo_id] = repo
        files = {".gitattributes": Blob(GIT_ATTRIBUTES.encode())}
        repo.commit("main", files, title="initial commit", author=author or repo.namespace)
        return repo

    def seed(
        self,
        kind: str,
        repo_id: str,
        files: Mapping[str, bytes | str | Path] | Path,
        *,
        branch: str = "main",
        private: bool | None = None,
        gated: str | bool | None = None,
    ) -> str:
        """Commit files without any HTTP; the repository and the branch are made when missing.

        Args:
            kind: models, datasets or spaces.
            repo_id: "owner/name"; the owner need not be a known user.
            files: Path in the repository -> content or a local file; or a folder, taken whole.
            branch: Its tree keeps what it held; a branch other than main begins empty, as
                "refs/convert/parquet" does.
            private: Whether only members of the owner's namespace see it; None leaves it.
            gated: "auto", "manual" or False; None leaves it.

        Returns:
            The sha of the commit, 40 hex letters.
        """
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is no kind of repository: use one of {', '.join(KINDS)}.")
        if isinstance(files, Path):
            found = (path for path in sorted(files.rglob("*")) if path.is_file())
            files = {path.relative_to(files).as_posix(): path for path in found}
        with self.lock:
            repo = self.repos.get((kind, repo_id)) or self.create(kind, repo_id)
            repo.private = repo.private if private is None else private
            repo.gated = repo.gated if gated is None else gated
            tree = dict(repo.resolve(branch).files) if branch in repo.branches else {}
            tree |= {path: self._make_blob(path, content) for path, content in files.items()}
            return repo.commit(branch, tree, title="Seed", author=repo.namespace).sha

    def _make_blob(self, path: str, content: bytes | str | Path) -> Blob:
        data = content.read_bytes() if isinstance(content, Path) else content
        data = data.encode() if isinstance(data, str) else data
        return Blob(data, self.needs_lfs(path, len(data), data[:512]))

    def files(self, kind: str, repo_id: str, revision: str = "main") -> dict[str, bytes]:
        """Read a whole tree back, for assertions."""
        with self.lock:
            tree = self.repos[kind, repo_id].resolve(revision).files
            return {path: blob.data for path, blob in tree.items()}

    def find(self, kind: str, repo_id: str, token: Token | None) -> Repo:
        """Find a repository, or deny that it exists: 401 to a stranger, 404 to a known user."""
        repo = self.repos.get((kind, repo_id))
        is_hidden = repo is not None and repo.private
        is_hidden = is_hidden and not (token and repo and token.is_member(repo.namespace))
        if repo is None or is_hidden:
            raise HubError(404 if token else 401, "Repository not found", "RepoNotFound")
        return repo

    def check_reader(self, repo: Repo, token: Token | None) -> None:
        """Refuse the files of a gated repository to who was not let in."""
        name = token.name if token else ""
        if not repo.gated or name in repo.granted or (token and token.is_member(repo.namespace)):
            return
        message = f"Access to {repo.kind[:-1]} {repo.id} is restricted. Ask for access first."
        raise HubError(403 if token else 401, message, "GatedRepo")

    def check_writer(self, namespace: str | None, token: Token | None) -> None:
        """Refuse writing without a write token of a member; None asks for the role only."""
        if token is None:
            raise HubError(401, "Invalid username or password.")
        if token.role != "write" or not (namespace is None or token.is_member(namespace)):
            where = f" in {namespace}" if namespace else ""
            raise HubError(403, f"Forbidden: {token.name}'s {token.role} token can't write{where}")
