"""A small Hugging Face Hub on loopback, for tests that must not reach the network.

    with HubServer() as hub:
        sha = hub.seed("datasets", "marsyas/gtzan", {"all/train/0000.parquet": data},
                       branch="refs/convert/parquet")
        api = HfApi(endpoint=hub.url, token=hub.write_token)
        hub.fail(method="POST", path_part="/commit/", status=503, times=2)

or by hand: `python tests/helpers/hub_server.py --seed-folder DIR --port 0`. It speaks what
huggingface_hub and datasets ask for with HF_HUB_DISABLE_XET=1, binds 127.0.0.1 only and keeps
everything in memory.
Large files are served under the name `localhost`, as the Hub's storage has another host name.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import sys
import threading
import traceback
from collections import deque
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import NamedTuple
from urllib.parse import unquote

import hub_reading  # noqa: F401 - enters its routes
import hub_uploads  # noqa: F401 - enters its routes
import hub_writing  # noqa: F401 - enters its routes
from hub_http import WRITES, Answer, Call, Fault, Faults, dispatch, to_error
from hub_store import KINDS, HubStore, Token

__all__ = ["Fault", "HubServer", "Logged", "Token", "main"]

MAX_BODY = 512 * 2**20  # bytes of one request
MAX_LOG = 100_000  # requests remembered
IDLE_SECONDS = 60  # after which a silent connection is closed


class Logged(NamedTuple):
    """One request that came in; status 0 means that it got no answer."""

    method: str
    path: str
    status: int


class BrokenBodyError(ConnectionError):
    """The request's body did not arrive as announced."""


class _Listener(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close waits for them
    request_queue_size = 64

    def __init__(self, hub: HubServer, port: int) -> None:
        self.hub = hub
        self.open_sockets: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep the traceback of a fault of our own; a client that hangs up is none."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            self.hub.crashes.append(traceback.format_exc())

    def close_all(self) -> None:
        """Hang up on every client, so that no thread waits for one."""
        for connection in list(self.open_sockets):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a body waits 40 ms behind its headers
    timeout = IDLE_SECONDS
    server: _Listener

    def setup(self) -> None:
        super().setup()
        self.server.open_sockets.add(self.connection)
        if self.server.hub.stopping.is_set():  # it came in while the others were hung up on
            self.connection.shutdown(socket.SHUT_RDWR)

    def finish(self) -> None:
        self.server.open_sockets.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing on standard error; `HubServer.requests` has it all."""

    def serve(self) -> None:
        """Read a request, let a fault have its way with it, and answer."""
        hub, target = self.server.hub, self.path
        fault = hub.faults.take(self.command, target)
        if fault and fault.kind == "drop":
            return self._hang_up(read_half=True)
        try:
            body = self._read_body()
        except BrokenBodyError:
            return self._hang_up()
        if fault and fault.kind == "slow":
            hub.stopping.wait(fault.seconds)
        if fault and fault.kind == "status":
            answer = to_error("A fault on demand", fault.status, fault.headers)
        else:
            with hub.lock:
                answer = dispatch(hub, Call(self.command, target, self.headers, body))
        if fault and fault.kind == "lose":
            return self._hang_up()
        hub.requests.append(Logged(self.command, target, answer.status))
        rate = fault.seconds if fault and fault.kind == "trickle" else 0.0
        return self._send(answer, is_cut=bool(fault and fault.kind == "cut"), bytes_per_second=rate)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = serve

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                pieces.append(self._read_exactly(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self._read_exactly(int(self.headers.get("Content-Length", "0")))

    def _read_exactly(self, size: int) -> bytes:
        if size > MAX_BODY:
            raise BrokenBodyError(f"{size} bytes are more than {MAX_BODY}")
        data = self.rfile.read(size)
        if len(data) < size:
            raise BrokenBodyError(f"{len(data)} bytes came of {size}")
        return data

    def _hang_up(self, *, read_half: bool = False) -> None:
        """Close the connection without an answer, if wished with half the body unread."""
        if read_half:
            self.rfile.read(int(self.headers.get("Content-Length", "0")) // 2)
        self.server.hub.requests.append(Logged(self.command, self.path, 0))
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, answer: Answer, *, is_cut: bool, bytes_per_second: float) -> None:
        body = b"" if self.command == "HEAD" else answer.body
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        body = body[: len(body) // 2] if is_cut else body
        size = max(1, round(bytes_per_second / 10)) if bytes_per_second else max(1, len(body))
        for start in range(0, len(body), size):
            self.wfile.write(body[start : start + size])
            if bytes_per_second:
                self.server.hub.stopping.wait(0.1)
        self.close_connection = self.close_connection or is_cut


class HubServer(HubStore):
    """A Hub that runs from `with HubServer() as hub:` to the end of the block.

    `hub.url` is the endpoint, `hub.tokens` knows who may what, `hub.seed(...)` fills it, and
    `hub.files(...)` reads it back; see `HubStore`.

    Attributes:
        faults: What goes wrong; `fail`, `fail_randomly`, `drop`, `lose`, `cut`, `slow`,
            `trickle` add to it.
        requests: Every request with the status it got, oldest first.
        crashes: Tracebacks of the server's own mistakes; leaving the block with one raises.
    """

    def __init__(self, *, port: int = 0) -> None:
        super().__init__()
        self.faults = Faults()
        self.requests: deque[Logged] = deque(maxlen=MAX_LOG)
        self.crashes: list[str] = []
        self.stopping = threading.Event()
        self._listener = _Listener(self, port)
        self.port = int(self._listener.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.storage_url = f"http://localhost:{self.port}"
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.02,))

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stopping.set()
        self._listener.shutdown()
        self._listener.close_all()
        self._listener.server_close()
        self._thread.join()
        if self.crashes and error is None:
            raise AssertionError("The loopback Hub failed:\n" + "\n".join(self.crashes))

    def count(self, method: str = "", path_part: str = "", status: int | None = None) -> int:
        """Count the requests that fit all that is given."""
        return sum(
            method in ("", entry.method)
            and path_part in entry.path
            and status in (None, entry.status)
            for entry in list(self.requests)
        )

    def fail(
        self,
        *,
        method: str = "*",
        path_part: str = "",
        status: int = 503,
        times: int | None = 1,
        headers: Mapping[str, str] | None = None,
    ) -> Fault:
        """Answer the next fitting requests with an error status."""
        fault = Fault("status", method, path_part, times, status=status, headers=headers or {})
        return self.faults.add(fault)

    def fail_randomly(
        self, share: float, *, seed: int = 0, status: int = 503, method: str = WRITES
    ) -> Fault:
        """Answer a share of all fitting requests, by default those that write, with an error."""
        fault = Fault("status", method, times=None, share=share, seed=seed, status=status)
        return self.faults.add(fault)

    def drop(self, *, method: str = "*", path_part: str = "", times: int | None = 1) -> Fault:
        """Close the connection in the middle of the next fitting requests."""
        return self.faults.add(Fault("drop", method, path_part, times))

    def lose(self, *, method: str = "*", path_part: str = "", times: int | None = 1) -> Fault:
        """Do what the next fitting requests ask, and close the connection without an answer."""
        return self.faults.add(Fault("lose", method, path_part, times))

    def cut(self, *, method: str = "GET", path_part: str = "", times: int | None = 1) -> Fault:
        """Send half of the next fitting answers."""
        return self.faults.add(Fault("cut", method, path_part, times))

    def slow(self, seconds: float, *, path_part: str = "", times: int | None = 1) -> Fault:
        """Wait before the next fitting answers; the end of the block ends the wait."""
        return self.faults.add(Fault("slow", "*", path_part, times, seconds=seconds))

    def trickle(
        self, bytes_per_second: float, *, path_part: str = "", times: int | None = 1
    ) -> Fault:
        """Send the next fitting answers slowly."""
        return self.faults.add(Fault("trickle", "*", path_part, times, seconds=bytes_per_second))

    def seed_folder(self, root: Path) -> list[str]:
        """Seed from a tree root/{models,datasets,spaces}/OWNER/NAME[@BRANCH]/...

        A branch's slashes are written %2F: gtzan@refs%2Fconvert%2Fparquet.

        Returns:
            "datasets/marsyas/gtzan@refs/convert/parquet <sha>" for each folder.
        """
        lines = []
        for kind in KINDS:
            for folder in sorted((root / kind).glob("*/*")):
                name, _, branch = folder.name.partition("@")
                repo_id, branch = f"{folder.parent.name}/{name}", unquote(branch) or "main"
                sha = self.seed(kind, repo_id, folder, branch=branch)
                lines.append(f"{kind}/{repo_id}@{branch} {sha}")
        return lines


def main(arguments: list[str] | None = None) -> None:
    """Serve a folder until interrupted."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument(
        "--seed-folder", type=Path, help="DIR/{models,datasets}/OWNER/NAME[@BRANCH]"
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    options = parser.parse_args(arguments)
    with HubServer(port=options.port) as hub:
        lines = hub.seed_folder(options.seed_folder) if options.seed_folder else []
        lines += [f"HF_ENDPOINT={hub.url} HF_TOKEN={hub.write_token} HF_HUB_DISABLE_XET=1"]
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
