"""A request and an answer of the loopback Hub, the table of its addresses, and faults on demand.

The handlers stand in hub_reading.py and hub_writing.py; `route` enters each into the table and
`dispatch` finds it. Sockets are the business of hub_server.py.
"""

from __future__ import annotations

import json
import random
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from hub_store import HubError, HubStore, Token

WRITES = "POST|PUT|DELETE"
SLOTS = {
    "{kind}": "(?P<kind>models|datasets|spaces)",
    "{prefix}": "(?P<prefix>datasets/|spaces/|)",
    "{id}": "(?P<id>[^/]+(?:/[^/]+)?)",
    # A client quotes the slashes of a revision; a person may not.
    "{rev}": "(?P<rev>refs/[^/]+/[^/]+|[^/]+)",
    "{name}": "(?P<name>[^/]+)",
    "{oid}": "(?P<oid>[0-9a-f]{64})",
    "{path}": "(?P<path>.+)",
}


@dataclass(frozen=True)
class Call:
    """One request. `names` holds what the route's slots caught, unquoted."""

    method: str
    target: str
    headers: Message[str, str]
    body: bytes = b""
    names: Mapping[str, str] = field(default_factory=dict)
    token: Token | None = None

    @property
    def query(self) -> dict[str, list[str]]:
        """The query's values; `expand[]=x` reads as `expand=x`."""
        found = parse_qs(urlsplit(self.target).query, keep_blank_values=True)
        return {name.removesuffix("[]"): values for name, values in found.items()}

    def value(self, name: str, default: str = "") -> str:
        """The last value of a query field."""
        return self.query.get(name, [default])[-1]

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A query field as a yes or no."""
        return self.value(name, str(default)).lower() in ("true", "1")

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; empty when there is none."""
        try:
            found = json.loads(self.body or b"{}")
        except ValueError as error:
            raise HubError(400, f"The body is not JSON: {error}") from error
        if not isinstance(found, dict):
            raise HubError(400, "The body must be a JSON object")
        return found


@dataclass(frozen=True)
class Answer:
    """What goes back. The length is that of the body."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[[HubStore, Call], Answer]
ROUTES: list[tuple[str, re.Pattern[str], Handler]] = []


def route(method: str, pattern: str) -> Callable[[Handler], Handler]:
    """Enter a handler into the table; the first route that fits a request answers it."""
    for slot, expression in SLOTS.items():
        pattern = pattern.replace(slot, expression)

    def enter(handler: Handler) -> Handler:
        ROUTES.append((method, re.compile(pattern), handler))
        return handler

    return enter


def to_json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Answer with JSON; dates that YAML made become strings."""
    body = json.dumps(value, default=str).encode()
    return Answer(
        status, body, {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    )


def to_error(message: str, status: int, headers: Mapping[str, str] | None = None) -> Answer:
    """Answer that it can't be, in the body and in a header, which holds one line of ASCII."""
    line = " ".join(message.encode("ascii", "replace").decode().split())
    # The client of commit and validate-yaml reads "errors", all others read "error".
    body = {"error": message, "errors": [{"message": message}], "warnings": []}
    return to_json(body, status, {"X-Error-Message": line, **(headers or {})})


def to_page(hub: HubStore, call: Call, items: list[Any], size: int = 0) -> Answer:
    """Answer with one page of a list; a Link header points at the next."""
    start, size = int(call.value("cursor", "0")), min(size or hub.page_size, hub.page_size)
    headers = {"X-Total-Count": str(len(items))}
    if start + size < len(items):
        query = call.query | {"cursor": [str(start + size)]}
        path = urlsplit(call.target).path
        headers["Link"] = f'<{hub.url}{path}?{urlencode(query, doseq=True)}>; rel="next"'
    return to_json(items[start : start + size], headers=headers)


def dispatch(hub: HubStore, call: Call) -> Answer:
    """Answer a request: who asks, which route, and an error as the Hub words it."""
    try:
        return _find_route(hub, call)
    except HubError as error:
        return to_error(str(error), error.status, error.headers)


def _find_route(hub: HubStore, call: Call) -> Answer:
    path = urlsplit(call.target).path
    wanted = "GET" if call.method == "HEAD" else call.method
    is_known = False
    for method, pattern, handler in ROUTES:
        match = pattern.fullmatch(path)
        is_known = is_known or match is not None
        if match and method == wanted:
            names = {name: unquote(text) for name, text in match.groupdict().items()}
            token = None if path.startswith("/storage/") else read_token(hub, call)
            whole = Call(call.method, call.target, call.headers, call.body, names, token)
            return handler(hub, whole)
    raise HubError(405 if is_known else 404, f"No such address: {call.method} {path}")


def read_token(hub: HubStore, call: Call) -> Token | None:
    """Find whose bearer token came along; no token is fine, an unknown one is not."""
    scheme, _, text = call.headers.get("Authorization", "").partition(" ")
    if not scheme:
        return None
    if scheme != "Bearer" or text not in hub.tokens:
        raise HubError(401, "Invalid credentials in Authorization header")
    return hub.tokens[text]


@dataclass
class Fault:
    """What goes wrong with the requests that fit.

    Attributes:
        kind: "status" answers with `status` and does nothing; "drop" closes the connection in the
            middle of the request; "lose" does the work, then closes it without an answer; "cut"
            promises the whole body and sends half; "slow" waits `seconds` before it answers;
            "trickle" sends `seconds` bytes per second.
        method: The request's method, several as "POST|PUT", or "*" for any.
        path_part: What the address must contain.
        times: How many requests it hits; None for all.
        skip: How many fitting requests pass first.
        share: Which share of the fitting requests it hits, drawn from a generator seeded by `seed`.
        headers: What a "status" answer carries, such as Retry-After.
    """

    kind: str
    method: str = "*"
    path_part: str = ""
    times: int | None = 1
    skip: int = 0
    status: int = 503
    seconds: float = 0.0
    share: float = 1.0
    seed: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    def should_hit(self, method: str, target: str) -> bool:
        """Tell whether this request is hit, and count it."""
        is_fit = self.method == "*" or method in self.method.split("|")
        if not is_fit or self.path_part not in target or self.times == 0:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.rng.random() >= self.share:
            return False
        self.times = None if self.times is None else self.times - 1
        return True


class Faults:
    """The faults a server is under, the oldest first."""

    def __init__(self) -> None:
        self.active: list[Fault] = []
        self.lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        """Put the server under one more fault."""
        with self.lock:
            self.active.append(fault)
        return fault

    def take(self, method: str, target: str) -> Fault | None:
        """Find the first fault that hits a request, and count the hit."""
        with self.lock:
            hits = (fault for fault in self.active if fault.should_hit(method, target))
            return next(hits, None)

    def clear(self) -> None:
        """End all faults."""
        with self.lock:
            self.active.clear()
