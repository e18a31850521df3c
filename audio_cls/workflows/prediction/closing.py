"""Closing lines of a prediction: counts, files that were written, how to continue."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from audio_cls.errors import count_of
from audio_cls.inference.files.find_files import FoundFiles
from audio_cls.inference.files.report import Report, describe_scores
from audio_cls.inference.files.resumable_output import ResumableOutput
from audio_cls.text_table import NO_BREAK, wrap_text
from audio_cls.workflows.prediction.event_output import EventFiles
from audio_cls.workflows.prediction.request import PredictRequest

if TYPE_CHECKING:
    from audio_cls.inference.base_classifier import BaseClassifier

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def closing_line(
    report: Report, found: FoundFiles, classifier: BaseClassifier, *, has_scores: bool
) -> Iterator[None]:
    """Log the counts after the body, also when it is interrupted.

    There are no counts where the reader of a pipe has ended: they would not be those of its rows.
    """
    is_multilabel, temperature = classifier.is_multilabel, classifier.temperature
    kind = describe_scores(is_multilabel=is_multilabel, temperature=temperature)
    is_shown = True
    try:
        yield
    except BrokenPipeError:
        is_shown = False
        raise
    finally:
        counts = report.describe(found.num_hidden)
        if is_shown:
            _log(f"{counts}; {kind}" if has_scores else counts)


@contextlib.contextmanager
def continue_hint(output: ResumableOutput, num_files: int) -> Iterator[None]:
    """Log after Ctrl-C in the body how much is done, and that the same command continues.

    Args:
        output: What the body writes.
        num_files: All files.
    """
    try:
        yield
    except KeyboardInterrupt:
        partial = str(output.targets[0].partial).replace(" ", NO_BREAK)
        number = count_of(num_files, "file")
        _log(f"{output.num_done:,} of {number} are in {partial}; the same command continues.")
        raise


def log_written(request: PredictRequest, files: EventFiles) -> None:
    """Log which files a finished call has written.

    Args:
        request: With the names of the output files.
        files: Label files and segments of this call.
    """
    for path in (request.output, request.embeddings):
        if path is not None:
            logger.info("Wrote %s", path)
    if request.labels_format is not None:
        folder = request.output_dir
        place = "next to the recordings" if folder is None else f"in {folder}"
        logger.info("Wrote %s %s", count_of(files.num_labels, "label file"), place)
    if request.cut_segments is not None:
        segments = count_of(files.num_segments, "segment")
        logger.info("Wrote %s in %s", segments, request.cut_segments)


def _log(text: str) -> None:
    """Log a text in lines of at most 80 columns."""
    logger.info("%s", "\n".join(wrap_text(text)))
