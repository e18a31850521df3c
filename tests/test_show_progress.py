"""Lines and bars of long work."""

from __future__ import annotations

import io
import logging
import multiprocessing
import sys
import time

import pytest

from audio_cls import progress
from audio_cls.progress import ProgressReport, close_bars, make_bar, report_shared, show_progress

logger = logging.getLogger("audio_cls.test_show_progress")


class Terminal(io.StringIO):
    """Standard error that says that it is a terminal."""

    def isatty(self) -> bool:
        """Return True."""
        return True


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the first line come after 0.1 s, and the bar at once."""
    monkeypatch.setattr(progress, "FIRST_LINE_SECONDS", 0.1)
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.2)
    monkeypatch.setattr(progress, "BAR_SECONDS", 0.0)
    monkeypatch.setattr(progress, "REFRESH_SECONDS", 0.02)


@pytest.mark.usefixtures("fast")
def test_without_a_terminal_lines_come_while_a_single_item_takes_long(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def work() -> range:
        time.sleep(0.4)
        return range(10)

    with caplog.at_level(logging.INFO, logger.name), ProgressReport("Decoding", 10, logger) as it:
        it.advance(len(work()))
    assert caplog.messages[:2] == ["Decoding: 0 of 10"] * 2
    assert caplog.messages[-1] == "Decoding: 10 in 0 s"


def test_a_line_says_how_much_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 72.0, 72.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    logger.setLevel(logging.CRITICAL)  # no thread
    with ProgressReport("Frozen layers", 1000, logger) as report:
        report.advance(250)
        assert report.describe() == "Frozen layers: 250 of 1,000, about 3 min 36 s left"
        report.total = None
        assert report.describe() == "Frozen layers: 1 min 12 s so far"
    logger.setLevel(logging.NOTSET)


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_a_short_step_and_a_quiet_logger_show_nothing(
    caplog: pytest.LogCaptureFixture, seconds: float
) -> None:
    level = logging.WARNING if seconds else logging.INFO
    with caplog.at_level(level, logger.name):
        assert list(show_progress("abc", 3, "Evaluation", logger)) == list("abc")
        with ProgressReport("Evaluation", 3, logger):
            time.sleep(seconds)
    assert caplog.messages == []


@pytest.mark.usefixtures("fast")
def test_on_a_terminal_a_bar_shows_the_count_and_is_removed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with caplog.at_level(logging.INFO, logger.name), ProgressReport("Decoding", 4, logger) as it:
        it.advance(2)
        time.sleep(0.2)
    text = terminal.getvalue()
    assert "Decoding:  50%|" in text
    assert "2/4 [" in text
    assert text.rpartition("\r")[0].rpartition("\r")[2].strip() == ""  # the bar is overwritten
    assert caplog.messages == []


@pytest.mark.usefixtures("fast")
def test_the_speed_of_a_bar_is_the_mean_also_where_items_take_longer_than_a_refresh(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    bars = []
    monkeypatch.setattr(
        progress, "make_bar", lambda *a, **b: bars.append(make_bar(*a, **b)) or bars[0]
    )
    with caplog.at_level(logging.INFO, logger.name), ProgressReport("Decoding", 9, logger) as it:
        for _ in range(2):
            time.sleep(0.1)
            it.advance(2)
        time.sleep(0.1)
        shown = bars[0].format_dict
    speed = shown["rate"] or shown["n"] / shown["elapsed"]
    assert shown["n"] == 4 and speed < 4 / 0.3


def test_open_bars_are_removed_before_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    bar = make_bar("Decoding", 4)
    bar.update()
    close_bars()
    shown = len(terminal.getvalue())
    bar.update()
    assert len(terminal.getvalue()) == shown


def _count(counter: progress.SharedCounter) -> None:
    """Count in another process."""
    for _ in range(50):
        counter.add(2)


def test_several_processes_count_together(caplog: pytest.LogCaptureFixture) -> None:
    context = multiprocessing.get_context("spawn")
    with report_shared("Decoding", 200, logger) as counter:
        children = [context.Process(target=_count, args=(counter,)) for _ in range(2)]
        for child in children:
            child.start()
        for child in children:
            child.join()
        assert counter.read() == 200
    assert not counter.path.exists()
