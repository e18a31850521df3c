"""What passes by itself and what does not: failures of the Hub, told apart and waited for.

Comes in: a call of the client. Goes out: its answer, after as many attempts as it takes, or its
error, which `is_outage` sorts: the network and the Hub's state, or what was asked.
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

ATTEMPTS = 8  # with 30 % of all requests failing, 1 push in 200 is left for later
MAX_WAIT = 30.0  # seconds between two attempts; they begin at one
MAX_RATE_LIMIT_WAIT = 330.0  # seconds; the Hub counts requests over windows of 300
TOO_MANY_REQUESTS = 429
# Refused now, and likely to be taken a moment later: RFC 9110 section 15, RFC 6585, and the Hub's
# answers to two commits at once (409, 412).
PASSING_STATUS = frozenset({408, 409, 412, 425, TOO_MANY_REQUESTS})

# What the client raises. HTTPError is that of httpx or httpx2, whichever this client works with;
# HfHubHTTPError, a missing token and offline mode are OSErrors.
Failure = (OSError, ValueError, HTTPError)
T = TypeVar("T")


def retry(act: Callable[[], T], *, attempts: int = ATTEMPTS) -> T:
    """Call `act` until it succeeds, with waits; what will not pass by itself is raised at once."""
    for attempt in range(1, attempts):
        try:
            return act()
        except Failure as error:
            if isinstance(error, OfflineModeIsEnabled) or not is_outage(error):
                raise
            wait = max(min(2.0 ** (attempt - 1), MAX_WAIT), read_retry_after(error))
            logger.info("The Hub did not answer (%s); again in %.0f s.", to_reason(error), wait)
            time.sleep(wait)
    return act()


def read_retry_after(error: BaseException) -> float:
    """Return how many seconds a refusal asks to wait, by Retry-After or the rate limit's reset."""
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
    """Return whether a failure lies in the network or the Hub's state and not in what was asked."""
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        return status >= 500 or status in PASSING_STATUS
    if is_malformed_token(error):
        return False
    # A 503 with a page instead of JSON ends in a JSONDecodeError within the client.
    passing = (HTTPError, ConnectionError, TimeoutError, json.JSONDecodeError)
    return isinstance(error, passing)


def lacks_xet(error: BaseException) -> bool:
    """Return whether a server answered the Xet client that it knows no such storage."""
    text = str(error)
    return "/xet-write-token/" in text and "404" in text


def is_malformed_token(error: BaseException) -> bool:
    """Return whether no header can hold the token: a line break in it, or a letter beyond ASCII."""
    return type(error).__name__ in ("LocalProtocolError", "UnicodeEncodeError")


def list_secrets() -> tuple[str, ...]:
    """Return the token in use, so that it can be taken out of every text."""
    token = get_token()
    return (token,) if token else ()


def to_reason(error: BaseException) -> str:
    """Shorten an error to one line without tokens."""
    text = redact_tokens(str(error), list_secrets()) or type(error).__name__
    return single_line(text, 300).rstrip(".")
