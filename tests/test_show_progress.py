"""Lines and bars of long work."""

from __future__ import annotations

import logging

import pytest

from audio_cls import progress
from audio_cls.progress import show_progress

logger = logging.getLogger("audio_cls.test_show_progress")


@pytest.mark.parametrize(("level", "lines"), [(logging.INFO, 3), (logging.WARNING, 0)])
def test_without_a_terminal_a_line_says_now_and_then_how_much_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, level: int, lines: int
) -> None:
    clock = iter(range(0, 1000, 12))  # an item takes 12 seconds
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with caplog.at_level(level, logger.name):
        assert list(show_progress("abcdefghij", 10, "Frozen part", logger)) == list("abcdefghij")
    assert len(caplog.messages) == lines
    if lines:
        # Nine seconds of ten items: the first look is 12 s after the start, so 36 s for 2 items.
        assert caplog.messages[0] == "Frozen part: 2 of 10, about 2 min 24 s left"
