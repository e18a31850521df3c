"""Warnings of one run: logged once, and kept for results.json and the model card.

A warning is for what is allowed but doubtful, such as a test split that was cut from the training
split. What cannot be right is an error instead, see `audio_cls.errors`.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
from collections.abc import Iterable, Iterator

from audio_cls.errors import list_names

# Texts of the run that is in progress; None outside of a run, where warnings are only logged.
_collected: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar(
    "collected", default=None
)
_is_muted: contextvars.ContextVar[bool] = contextvars.ContextVar("is_muted", default=False)


def collect_warnings() -> list[str]:
    """Start the list of a new run, and return it: `warn` appends to it from now on."""
    texts: list[str] = []
    _collected.set(texts)
    return texts


@contextlib.contextmanager
def mute_warnings() -> Iterator[None]:
    """Ignore warnings within the block, such as those of settings that are only tried."""
    token = _is_muted.set(True)
    try:
        yield
    finally:
        _is_muted.reset(token)


def warn(logger: logging.Logger, text: str, names: Iterable[object] = ()) -> None:
    """Log a warning, and keep it for results.json and the card; a text counts once per run.

    Args:
        logger: The caller's logger.
        text: Whole sentences in plain words. It is published with the run, so that it may hold
            numbers, settings, split, column and class names, but no file, group or clip names.
        names: Files, groups or clips that it is about. They are logged, but not kept.

    >>> texts = collect_warnings()
    >>> warn(logging.getLogger("doctest"), "2 clips are silent.", names=["a.wav", "b.wav"])
    >>> texts
    ['2 clips are silent.']
    """
    if _is_muted.get():
        return
    texts = _collected.get()
    if texts is not None:
        if text in texts:
            return
        texts.append(text)
    listed = list_names(names)
    logger.warning("%s", f"{text} ({listed})" if listed else text)
