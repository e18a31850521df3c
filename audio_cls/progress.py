"""Progress of long work: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

LINE_SECONDS = 30.0  # between two lines where there is no terminal
T = TypeVar("T")


def show_progress(items: Iterable[T], total: int, name: str, logger: logging.Logger) -> Iterator[T]:
    """Yield items one by one, and show how many are done and how long the rest will take.

    Nothing is shown where the logger shows no information: with --log quiet or json, and on all
    processes but the first.

    Args:
        items: What is worked on.
        total: How many they are.
        name: What is done, such as "Evaluation".
        logger: The caller's logger.
    """
    if not logger.isEnabledFor(logging.INFO):
        yield from items
        return
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=name, leave=False, delay=2)
        return
    started = shown = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if now - shown >= LINE_SECONDS and done:
            left = (now - started) / done * (total - done)
            logger.info("%s: %d of %d, about %s left", name, done, total, describe_seconds(left))
            shown = now
        yield item


def describe_seconds(seconds: float) -> str:
    """Write a duration.

    >>> describe_seconds(3725), describe_seconds(59.6), describe_seconds(12)
    ('1 h 02 min', '1 min 00 s', '12 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
