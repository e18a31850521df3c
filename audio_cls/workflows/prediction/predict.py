"""Prediction workflow: request -> files, model and output -> rows, and the counts of the files."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, BinaryIO

from audio_cls import __version__
from audio_cls.audio.files import read_header
from audio_cls.audio.raw_samples import RawFormat, read_raw_blocks
from audio_cls.config import Seconds
from audio_cls.errors import SettingError, count_of, describe_error
from audio_cls.inference.files.embeddings import EmbeddingFormat
from audio_cls.inference.files.find_files import STDIN, FoundFiles, find_files, read_file_list
from audio_cls.inference.files.formats import make_format
from audio_cls.inference.files.model_fingerprint import fingerprint_model, fingerprint_names
from audio_cls.inference.files.output import Output, StreamOutput, Target
from audio_cls.inference.files.predict_files import FileJob, Job, MakeRows, TimelineJob, window_rows
from audio_cls.inference.files.report import Report
from audio_cls.inference.files.resumable_output import ResumableOutput
from audio_cls.inference.files.rows import RowLayout
from audio_cls.inference.files.standard_input import saved_input
from audio_cls.inference.files.watch import read_done, watch_folder
from audio_cls.inference.prediction import WindowPrediction
from audio_cls.progress import ProgressReport, show_progress
from audio_cls.run_warnings import collect_warnings
from audio_cls.workflows.prediction.closing import closing_line, continue_hint, log_written
from audio_cls.workflows.prediction.event_output import (
    EventFiles,
    make_event_rows,
    make_label_files,
)
from audio_cls.workflows.prediction.request import PredictRequest

if TYPE_CHECKING:
    from audio_cls.inference.base_classifier import BaseClassifier
    from audio_cls.inference.classifier import Classifier

# What changes no row, but by the rounding of floating-point numbers; the model and the files are
# described by their content. The folders of label files and segments are not among these: a call
# that continues in another folder would leave those of the files before it out.
NO_ROW_SETTINGS = {
    "has_rows",
    *("model", "paths", "revision", "trust_remote_code", "batch_size", "num_workers", "device"),
    *("files_from", "watch", "output", "overwrite", "strict"),
}

MAX_MEASURED = 128  # files whose progress is shown in seconds, for which their headers are read

logger = logging.getLogger(__name__)


def run_prediction(request: PredictRequest, stdin: BinaryIO, stdout: BinaryIO) -> Report:
    """Classify files, write the rows, and log the counts.

    Args:
        request: What is asked for.
        stdin: Sound or a list of files, where the request names it.
        stdout: For the rows, unless the request names a file.

    Returns:
        The counts; with `watch` there is no end but an interruption.

    Raises:
        AudioClsError: The request, the model or the output cannot be used.
    """
    request.check()
    found = find_request_files(request, stdin)
    label_files = make_label_files(request, found.paths)
    settings = list_settings(request, found.paths)
    plan = plan_output(request, settings, RowLayout("file", ()))
    if plan is not None:  # before the model is loaded
        plan.check()
    if label_files is not None and not request.overwrite and not (plan and plan.is_started):
        label_files.check(found.paths)
    classifier = load_classifier(request)
    layout = RowLayout(request.kind, classifier.labels, classifier.is_multilabel, request.top_k)
    report, written = Report(), EventFiles()
    with ExitStack() as stack:
        plan = plan_output(request, settings, layout)
        output: Output = StreamOutput(stdout, make_format(choose_format(request), layout))
        if plan is not None:
            output = stack.enter_context(plan)
            if request.watch is None:
                stack.enter_context(continue_hint(plan, len(found.paths)))
        report.restore(output.counts)
        sources = stack.enter_context(saved_sources(request, found.paths, stdin))
        make_rows: MakeRows = window_rows
        if request.has_events:
            rate = classifier.sampling_rate
            make_rows = make_event_rows(request, rate, label_files, found.paths, written)
        job = make_job(request, classifier, sources, stdin, make_rows)
        stack.enter_context(closing_line(report, found, classifier, has_scores=request.has_rows))
        if request.watch is not None:
            watch(request, job, output, report)
        run_files(request, job, found.paths, output, report, classifier)
        output.finish()
    log_written(request, written)
    return report


def choose_format(request: PredictRequest) -> str:
    """Return the format of the rows."""
    return request.choose_format(is_terminal=sys.stdout.isatty())


def find_request_files(request: PredictRequest, stdin: BinaryIO) -> FoundFiles:
    """Find the files; a warning names each folder without audio files.

    Raises:
        AudioClsError: There are no files.
    """
    if request.watch is not None:
        if not os.path.isdir(request.watch):
            raise SettingError(
                f"There is no folder '{request.watch}' to watch. Make it, or give another --watch."
            )
        return FoundFiles()
    found = find_files(request.paths)
    if request.files_from == STDIN:
        found.add(read_file_list(stdin))
    elif request.files_from is not None:
        try:
            with open(request.files_from, "rb") as file:
                found.add(read_file_list(file))
        except OSError as error:
            raise SettingError(
                f"--files-from '{request.files_from}' cannot be read ({describe_error(error)})."
                " Give a text file with one path per line."
            ) from error
    found.check()
    for place in found.without_audio:
        logger.warning("There is no audio file in %s.", place)
    return found


def list_settings(request: PredictRequest, files: Sequence[str]) -> dict[str, Any]:
    """Return what decides the rows, for `ResumableOutput`."""
    if request.first_output is None:
        return {}
    # Not at the top of the file, so that other errors need not wait for transformers.
    from audio_cls.models.inference_settings import find_file

    given = {n: v for n, v in asdict(request).items() if n not in NO_ROW_SETTINGS}
    given = {n.replace("_", "-"): v if v is None else str(v) for n, v in given.items()}
    config = find_file(request.model, request.revision, "config.json")
    return {
        **given,
        "format": choose_format(request),
        "version of audio_cls": __version__,
        "model": None if config is None else fingerprint_model(config),
        "list of files": fingerprint_names(files),
    }


def plan_output(
    request: PredictRequest, settings: dict[str, Any], layout: RowLayout
) -> ResumableOutput | None:
    """Return the files that are written; None for standard output alone."""
    targets = []
    if request.output is not None:
        rows = make_format(choose_format(request), layout)
        targets.append(Target(request.output, rows, is_endless=request.watch is not None))
    if request.embeddings is not None:
        is_folder = os.path.isdir(request.model)  # search may run in another folder
        model = os.path.abspath(request.model) if is_folder else request.model
        embeddings = EmbeddingFormat(model, str(settings["model"]))
        targets.append(Target(request.embeddings, embeddings))
    if not targets:
        return None
    return ResumableOutput(targets, settings, overwrite=request.overwrite)


def load_classifier(request: PredictRequest) -> Classifier:
    """Load the model."""
    # Not at the top of the file, so that errors of the files need not wait for torch.
    from audio_cls.inference.classifier import Classifier

    given = {"batch_size": request.batch_size, "num_workers": request.num_workers}
    classifier = Classifier.from_pretrained(
        request.model,
        request.revision,
        calibrate=request.calibrate,
        device=request.device,
        dtype=request.dtype,
        trust_remote_code=request.trust_remote_code,
        **{name: value for name, value in given.items() if value is not None},
    )
    if not classifier.is_multilabel:  # a threshold of several labels is applied by the job
        classifier.rule = replace(classifier.rule, reject_below=request.threshold)
    return classifier


@contextlib.contextmanager
def saved_sources(
    request: PredictRequest, files: Sequence[str], stdin: BinaryIO
) -> Iterator[dict[str, str]]:
    """Yield which file is read instead of standard input; empty where that is read as it comes."""
    raw = _read_raw_format(request)
    if STDIN not in files or (raw is not None and request.kind != "file"):
        yield {}
        return
    with saved_input(stdin, raw) as path:
        yield {STDIN: path}


def _read_raw_format(request: PredictRequest) -> RawFormat | None:
    """Return the encoding of raw samples; None for audio files."""
    if request.raw_rate is None:
        return None
    return RawFormat(request.raw_rate, request.raw_format or "s16le", request.raw_channels or 1)


def make_job(
    request: PredictRequest,
    classifier: Classifier,
    sources: dict[str, str],
    stdin: BinaryIO,
    make_rows: MakeRows = window_rows,
) -> Job:
    """Return the work on files."""
    threshold = request.threshold if classifier.is_multilabel else None
    if request.kind == "file":
        return FileJob(
            classifier,
            threshold,
            row_target=0 if request.has_rows else None,
            embedding_target=None if request.embeddings is None else int(request.has_rows),
            is_streamed=request.first_output is None,
            sources=sources,
        )

    def read_windows(file: str) -> Iterable[WindowPrediction]:
        raw = _read_raw_format(request)
        if file == STDIN and raw is not None:
            blocks = read_raw_blocks(stdin, raw)
            return classifier.stream(blocks, raw.sampling_rate, **request.window_options)
        return classifier.windows(sources.get(file, file), **request.window_options)

    is_numbered = request.format == "raven"
    return TimelineJob(read_windows, make_rows, threshold, is_numbered=is_numbered)


def run_files(
    request: PredictRequest,
    job: Job,
    files: Sequence[str],
    output: Output,
    report: Report,
    classifier: BaseClassifier,
) -> None:
    """Classify the files that are not done, and show how many seconds or files are done."""
    rest = files[output.num_done :]
    if output.num_done:
        done, number = f"{output.num_done:,}", count_of(len(files), "file")
        logger.info("Continuing %s: %s of %s are done.", request.first_output, done, number)
    work = job.run(rest, output, report)
    seconds = add_durations(rest) if len(rest) <= MAX_MEASURED else None
    if seconds is None:
        deque(show_progress(work, len(rest), "Classifying", logger), 0)
    else:
        before = classifier.audio_seconds
        name, total = "Classifying (seconds of audio)", math.ceil(seconds)
        with ProgressReport(name, total, logger, lambda: round(classifier.audio_seconds - before)):
            deque(work, 0)


def add_durations(files: Sequence[str]) -> Seconds | None:
    """Return the duration of all files by their headers; None where one has none."""
    headers = [read_header(file) if os.path.isfile(file) else None for file in files]
    durations = [0.0 if one is None else one.seconds for one in headers]
    return sum(durations) if durations and all(durations) else None


def watch(request: PredictRequest, job: Job, output: Output, report: Report) -> None:
    """Classify each new file of a folder, until the process is interrupted."""
    assert request.watch is not None
    collect_warnings()  # so that one that comes at each look at the folder is shown once
    done: set[str] = set()
    if request.output is not None:
        done = read_done(request.output, choose_format(request))
    logger.info(
        "Watching %s; %s done. Stop with Ctrl-C.", request.watch, count_of(len(done), "file")
    )
    for files in watch_folder(request.watch, done):
        deque(job.run(files, output, report), 0)
        output.sync()
