"""Progress of long work: a bar on a terminal, else a line now and then.

Without a terminal the first line of a step comes after `FIRST_LINE_SECONDS`, so that short steps
have none, and the next ones at least every `LINE_SECONDS`. A thread shows them, so that they also
come while a single item takes minutes. The bar appears after `BAR_SECONDS`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from tqdm import tqdm

BAR_SECONDS = 2.0  # a step that is over by then has no bar
FIRST_LINE_SECONDS = 5.0
LINE_SECONDS = 30.0  # between two lines
REFRESH_SECONDS = 0.25  # between two looks of the thread
COUNTED = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}]"
# A name and a postfix do not fit into 80 columns.
WITH_POSTFIX = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"

T = TypeVar("T")


def make_bar(name: str | None, total: int, *, initial: int = 0, delay: float = 0.0) -> tqdm[Any]:
    """Make a bar on standard error that fits the terminal and is removed when it is closed.

    Args:
        name: What is done, such as "Decoding"; None for a bar with a postfix.
        total: Number of items.
        initial: Items that were done before.
        delay: The bar appears after this number of seconds.
    """
    return tqdm(
        total=total,
        desc=name,
        initial=initial,
        delay=delay,
        leave=False,
        dynamic_ncols=True,
        miniters=0,
        mininterval=REFRESH_SECONDS,
        bar_format=WITH_POSTFIX if name is None else COUNTED,
        file=sys.stderr,
    )


def close_bars() -> None:
    """Remove all bars from the terminal: what is written next starts on an empty line."""
    for bar in list(getattr(tqdm, "_instances", ())):
        with contextlib.suppress(Exception):
            bar.close()


class ProgressReport:
    """Context manager that shows the progress of the work inside.

    Nothing is shown where the logger shows no information: with --log quiet or json, and on all
    processes but the first.

    Example:
        with ProgressReport("Decoding", len(clips), logger) as report:
            for clip in clips:
                decode(clip)
                report.advance()
    """

    def __init__(
        self,
        name: str,
        total: int | None,
        logger: logging.Logger,
        count: Callable[[], int] | None = None,
    ) -> None:
        """Make the report.

        Args:
            name: What is done, such as "Evaluation".
            total: Number of items; None if it is not known, as while a library works that has
                bars: there are lines on a terminal, too, and no bar between those of the library.
            logger: The caller's logger.
            count: Returns the number of items done, instead of calls of `advance`.
        """
        self.name = name
        self.total = total
        self.logger = logger
        self.count = count
        self.done = 0
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None
        self._has_lines = False

    def advance(self, number: int = 1) -> None:
        """Count items as done."""
        self.done += number

    def __enter__(self) -> ProgressReport:
        """Start the thread."""
        self._started = time.monotonic()
        if self.logger.isEnabledFor(logging.INFO):
            has_bar = self.total is not None and sys.stderr.isatty()
            show = self._show_bar if has_bar else self._show_lines
            self._thread = threading.Thread(target=show, name="progress", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the bar; after lines, a last one has the time that the step took."""
        self._is_over.set()
        if self._thread is not None:
            self._thread.join()
        if self._has_lines and error is None:
            number = "done" if self.total is None else f"{self.total:,}"
            self.logger.info("%s: %s in %s", self.name, number, describe_seconds(self._seconds))

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._started

    def _read(self) -> int:
        """Return the number of items done, at most all."""
        done = self.done if self.count is None else self.count()
        return done if self.total is None else min(done, self.total)

    def _show_bar(self) -> None:
        """Keep a bar up to date, until the work is over. Runs in a thread."""
        assert self.total is not None
        with make_bar(self.name, self.total, delay=BAR_SECONDS) as bar:
            bar.smoothing = 0  # the mean speed: refreshes without progress distort tqdm's other one
            while not self._is_over.wait(REFRESH_SECONDS):
                bar.update(self._read() - bar.n)

    def _show_lines(self) -> None:
        """Log a line now and then, until the work is over. Runs in a thread."""
        wait = FIRST_LINE_SECONDS
        while not self._is_over.wait(wait):
            self.logger.info("%s", self.describe())
            self._has_lines, wait = True, LINE_SECONDS

    def describe(self) -> str:
        """Return a line: how many items are done, and how long the rest will take."""
        done, seconds = self._read(), self._seconds
        if self.total is None:
            return f"{self.name}: {describe_seconds(seconds)} so far"
        text = f"{self.name}: {done:,} of {self.total:,}"
        if not done:
            return text
        left = seconds / done * (self.total - done)
        return f"{text}, about {describe_seconds(left)} left"


def show_progress(items: Iterable[T], total: int, name: str, logger: logging.Logger) -> Iterator[T]:
    """Yield items one by one, and show how many are done and how long the rest will take.

    Args:
        items: What is worked on.
        total: How many they are.
        name: What is done, such as "Evaluation".
        logger: The caller's logger, see `ProgressReport`.
    """
    with ProgressReport(name, total, logger) as report:
        for item in items:
            yield item
            report.advance()


class SharedCounter:
    """Number of items that several processes have done: the size of a temporary file.

    A copy of the object in another process counts into the same file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, number: int) -> None:
        """Count items; an append of a few bytes is not mixed with others."""
        with contextlib.suppress(OSError), self.path.open("ab") as file:  # it is only a count
            file.write(bytes(number))

    def read(self) -> int:
        """Return the number of items that all processes have counted."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0


@contextmanager
def report_shared(name: str, total: int, logger: logging.Logger) -> Iterator[SharedCounter]:
    """Show the progress of work in several processes, which count in the counter; its file is new.

    Args:
        name: What is done, such as "Decoding".
        total: Number of items.
        logger: The caller's logger, see `ProgressReport`.
    """
    file, path = tempfile.mkstemp(prefix="audio_cls_count_")
    os.close(file)
    counter = SharedCounter(Path(path))
    try:
        with ProgressReport(name, total, logger, counter.read):
            yield counter
    finally:
        counter.path.unlink(missing_ok=True)


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
