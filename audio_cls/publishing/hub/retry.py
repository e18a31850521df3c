"""Retries of Hub requests: temporary failures are repeated, refusals are raised at once.

`is_outage` separates failures of the network and the Hub from those of the request.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from huggingface_hub import get_token
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError is not exported
    HfHubHTTPError,
    HTTPError,
    OfflineModeIsEnabled,
)
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported lazily
    parse_ratelimit_headers,
)

from audio_cls.errors import redact_tokens
from audio_cls.publishing.run_record import single_line

logger = logging.getLogger(__name__)

ATTEMPTS = 8  # with 30 % of all requests failing, 1 upload in 200 fails
MAX_WAIT = 30.0  # seconds between two attempts; the first wait is one second
MAX_RATE_LIMIT_WAIT = 330.0  # seconds; the Hub counts requests over windows of 300
TOO_MANY_REQUESTS = 429
# Temporary refusals: RFC 9110 section 15, RFC 6585, and the Hub's answers to simultaneous commits
# (409, 412).
PASSING_STATUS = frozenset({408, 409, 412, 425, TOO_MANY_REQUESTS})

# Errors of the client. HTTPError is that of httpx or httpx2, whichever the client uses;
# HfHubHTTPError, a missing token and offline mode are OSErrors.
Failure = (OSError, ValueError, HTTPError)
T = TypeVar("T")


def retry(act: Callable[[], T], *, attempts: int = ATTEMPTS) -> T:
    """Call `act` until it succeeds, with waits; raise an error at once if it is not temporary."""
    for attempt in range(1, attempts):
        try:
            return act()
        except Failure as error:
            if isinstance(error, OfflineModeIsEnabled) or not is_outage(error):
                raise
            wait = max(min(2.0 ** (attempt - 1), MAX_WAIT), read_retry_after(error))
            logger.info(
                "The Hub did not respond (%s); next attempt in %.0f s.", to_reason(error), wait
            )
            time.sleep(wait)
    return act()


def read_retry_after(error: BaseException) -> float:
    """Return the seconds that a refusal asks to wait: Retry-After or the rate limit's reset."""
    if not isinstance(error, HfHubHTTPError):
        return 0.0
    headers = error.response.headers
    limit, asked = parse_ratelimit_headers(headers), str(headers.get("retry-after", ""))
    if asked.isascii() and asked.isdigit():
        return min(float(asked), MAX_RATE_LIMIT_WAIT)
    if error.response.status_code == TOO_MANY_REQUESTS and limit is not None:
        return min(float(limit.reset_in_seconds), MAX_RATE_LIMIT_WAIT)
    return 0.0


def is_outage(error: BaseException) -> bool:
    """Return whether the network or the Hub failed, and not the request."""
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        return status >= 500 or status in PASSING_STATUS
    if is_malformed_token(error):
        return False
    # A 503 with HTML instead of JSON raises JSONDecodeError in the client.
    passing = (HTTPError, ConnectionError, TimeoutError, json.JSONDecodeError)
    return isinstance(error, passing)


def lacks_xet(error: BaseException) -> bool:
    """Return whether a server does not support the Xet client."""
    text = str(error)
    return "/xet-write-token/" in text and "404" in text


def is_malformed_token(error: BaseException) -> bool:
    """Return whether the token is invalid in an HTTP header: a line break, or not ASCII."""
    return type(error).__name__ in ("LocalProtocolError", "UnicodeEncodeError")


def list_secrets() -> tuple[str, ...]:
    """Return the token in use, which is removed from every text."""
    token = get_token()
    return (token,) if token else ()


def to_reason(error: BaseException) -> str:
    """Return an error as one line without tokens."""
    text = redact_tokens(str(error), list_secrets()) or type(error).__name__
    return single_line(text, 300).rstrip(".")
