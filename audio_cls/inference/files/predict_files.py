"""Prediction for many files: files -> rows -> output, with counts, embeddings and events."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from audio_cls.audio.files import read_header
from audio_cls.data.labels.label_text import join_names
from audio_cls.errors import AudioError, ModelError
from audio_cls.inference.files.output import Output
from audio_cls.inference.files.report import Report
from audio_cls.inference.files.rows import Row, rank_scores
from audio_cls.inference.prediction import Prediction, WindowPrediction

CHUNK_FILES = 128  # classified by one call, so that short clips share batches
CHUNK_BYTES = 2**28  # of the files of a chunk; a larger file is a chunk of its own

ReadWindows = Callable[[str], Iterable[WindowPrediction]]
MakeRows = Callable[[str, Iterable[WindowPrediction]], Iterable[Row]]  # file, windows -> rows
One = TypeVar("One", Prediction, WindowPrediction)


class ClassifyFiles(Protocol):
    """Interface of a classifier of files, see `BaseClassifier.__call__`."""

    def __call__(
        self, inputs: Iterable[str], *, with_embeddings: bool = False
    ) -> Iterable[Prediction]:
        """Return a prediction per input, in order; for a generator one by one."""


class Job(Protocol):
    """Interface of the work on files."""

    def run(self, files: Sequence[str], output: Output, report: Report) -> Iterator[str]:
        """Write the rows of files, and commit them; yield each file when it is done."""


@dataclass(frozen=True)
class FileJob:
    """One row per file, and its embedding."""

    classify: ClassifyFiles
    threshold: float | None = None  # of the labels of a multi-label model; None: its own
    row_target: int | None = 0  # number of the output file of rows; None: no rows
    embedding_target: int | None = None  # number of the output file of embeddings
    is_streamed: bool = False  # rows are written as they come, for an output without resuming
    sources: Mapping[str, str] = field(default_factory=dict)  # name in the output -> file to read

    def run(self, files: Sequence[str], output: Output, report: Report) -> Iterator[str]:
        """Write the rows of files, and commit them; yield each file when it is done.

        Files are classified in chunks that depend on the list of files only, so that a chunk that
        is repeated after an interruption has the same rows.
        """
        for chunk in iter([files]) if self.is_streamed else iterate_chunks(files):
            read = [self.sources.get(file, file) for file in chunk]
            inputs: Iterable[str] = iter(read) if self.is_streamed else read
            found = self.classify(inputs, with_embeddings=self.embedding_target is not None)
            for file, prediction in zip(chunk, found, strict=True):
                self._write(replace(prediction, file=file), output, report)
                yield file
            output.commit(output.num_done + len(chunk), report.to_json())

    def _write(self, prediction: Prediction, output: Output, report: Report) -> None:
        """Write the row of a file."""
        report.count(prediction.error, prediction.seconds)
        if self.row_target is not None:
            row = choose_labels(prediction, self.threshold).to_row()
            output.write([row], self.row_target)
        if self.embedding_target is not None and prediction.embedding is not None:
            vector = {"file": prediction.file, "embedding": prediction.embedding}
            output.write([vector], self.embedding_target)


@dataclass(frozen=True)
class TimelineJob:
    """Rows of the windows of each file, or of its events."""

    read_windows: ReadWindows
    make_rows: MakeRows
    threshold: float | None = None  # see FileJob
    is_numbered: bool = False  # rows have what a combined table of Raven needs

    def run(self, files: Sequence[str], output: Output, report: Report) -> Iterator[str]:
        """Write the rows of files, and commit them; yield each file when it is done."""
        for file in files:
            self._write(file, output, report)
            output.commit(output.num_done + 1, report.to_json())
            yield file

    def _write(self, file: str, output: Output, report: Report) -> None:
        """Write the rows of a file; one that cannot be read has an error after those before it."""
        seconds, error = 0.0, None

        def measure() -> Iterator[WindowPrediction]:
            nonlocal seconds
            for window in self.read_windows(file):
                seconds = window.end
                yield choose_labels(replace(window, file=file), self.threshold)

        rows = iter(self.make_rows(file, measure()))
        try:
            for row in rows:  # each at once: windows of a live stream come slowly
                output.write([{**row, **self._number(file, report)}])
        except (AudioError, ModelError) as caught:
            error = str(caught)
            output.write([{"file": file, "error": error}])
        report.count(error, seconds)
        if self.is_numbered:
            header = read_header(file)
            report.recording_seconds += seconds if header is None else header.seconds

    def _number(self, file: str, report: Report) -> Row:
        """Return the number of a row, the start of its recording and the upper frequency in it."""
        if not self.is_numbered:
            return {}
        report.num_rows += 1
        header = read_header(file)
        frequency = 0 if header is None else header.sampling_rate // 2
        place = {"number": report.num_rows, "offset": report.recording_seconds}
        return {**place, "high_frequency": frequency}


def window_rows(file: str, windows: Iterable[WindowPrediction]) -> Iterator[Row]:
    """Yield a row per window."""
    for one in windows:
        labels: dict[str, Any] = {} if one.labels is None else {"labels": one.labels}
        row = {"file": file, "start": one.start, "end": one.end, "label": one.label}
        yield {**row, "score": one.score, "scores": one.scores, **labels}


def choose_labels(prediction: One, threshold: float | None) -> One:
    """Return a multi-label prediction with the labels whose scores reach a threshold."""
    if threshold is None or prediction.labels is None or prediction.scores is None:
        return prediction
    ranked = rank_scores(prediction.scores)
    labels = [label for label, score in ranked if score >= threshold]
    return replace(prediction, labels=labels, label=join_names(labels))


def iterate_chunks(files: Sequence[str]) -> Iterator[list[str]]:
    """Yield chunks of at most `CHUNK_FILES` files and about `CHUNK_BYTES` bytes."""
    chunk: list[str] = []
    size = 0
    for file in files:
        own = _read_size(file)
        if chunk and (len(chunk) == CHUNK_FILES or size + own > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(file)
        size += own
    if chunk:
        yield chunk


def _read_size(file: str) -> int:
    """Return the number of bytes of a file; 0 where it cannot be read."""
    try:
        return os.stat(file).st_size
    except (OSError, ValueError):
        return 0
