"""Events of a prediction: merging of windows, label files and cut segments, as requested."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from audio_cls.audio.files import read_header
from audio_cls.config import Hertz
from audio_cls.errors import AudioClsError, describe_error
from audio_cls.inference.events.event import Event
from audio_cls.inference.events.merge import NO_EVENT, merge_windows
from audio_cls.inference.events.segments import cut_segments, name_recordings
from audio_cls.inference.events.write import (
    AUDACITY_SUFFIX,
    RAVEN_SUFFIX,
    write_audacity,
    write_raven,
)
from audio_cls.inference.files.event_rows import EventRows, HandleEvents, LabelFiles, find_root
from audio_cls.inference.prediction import WindowPrediction
from audio_cls.workflows.prediction.request import PredictRequest

SUFFIXES = {"audacity": AUDACITY_SUFFIX, "raven": RAVEN_SUFFIX}


@dataclass
class EventFiles:
    """Numbers of the files that a call has written."""

    num_labels: int = 0  # label files
    num_segments: int = 0


def make_label_files(request: PredictRequest, files: Sequence[str]) -> LabelFiles | None:
    """Return where label files are written; None where none are.

    Raises:
        SettingError: There is no such format.
    """
    if request.labels_format is None:
        return None
    root = find_root(files) if request.watch is None else str(Path(request.watch).absolute())
    label_files = LabelFiles(SUFFIXES[request.labels_format], request.output_dir, root)
    for file in files:  # the names do not depend on which files are done
        label_files.choose(file)
    return label_files


def make_event_rows(
    request: PredictRequest,
    sampling_rate: Hertz,
    label_files: LabelFiles | None,
    files: Sequence[str],
    written: EventFiles,
) -> EventRows:
    """Return what makes rows of events and writes label files and segments.

    Args:
        request: What is asked for.
        sampling_rate: Of the model, in Hz.
        label_files: See `make_label_files`.
        files: All recordings, where they are known before.
        written: Counts the files.
    """
    handlers: list[HandleEvents] = []
    if label_files is not None:
        handlers.append(functools.partial(_write_labels, label_files, sampling_rate, written))
    if request.cut_segments is not None:
        names = name_recordings(files)
        handlers.append(functools.partial(_cut, request.cut_segments, names, written))

    def merge(windows: Iterable[WindowPrediction]) -> Iterable[Event]:
        return merge_windows(
            windows,
            max_gap=request.max_gap or 0.0,
            min_duration=request.min_duration or 0.0,
            no_event=(*NO_EVENT, *request.no_event),
        )

    is_list = request.watch is not None and request.output is not None  # of what is done
    return EventRows(merge, request.kind == "window", handlers, has_empty_rows=is_list)


def _write_labels(
    label_files: LabelFiles,
    sampling_rate: Hertz,
    written: EventFiles,
    file: str,
    events: Sequence[Event],
) -> None:
    """Write the label file of a recording, also where it has no event."""
    path = label_files.choose(file)
    header = read_header(file)
    rate = sampling_rate if header is None else header.sampling_rate
    with _explain_failure(path, "--output-dir"):
        path.parent.mkdir(parents=True, exist_ok=True)
        if label_files.suffix == AUDACITY_SUFFIX:
            write_audacity(events, path)
        else:
            write_raven(events, path, high_frequency=rate // 2)
    written.num_labels += 1


def _cut(
    folder: Path,
    names: Mapping[str, str],
    written: EventFiles,
    file: str,
    events: Sequence[Event],
) -> None:
    """Cut the events of a recording into a folder per label."""
    with _explain_failure(folder, "--cut-segments"):
        paths = cut_segments(events, folder, names if file in names else None)
    written.num_segments += len(paths)


@contextlib.contextmanager
def _explain_failure(path: Path, flag: str) -> Iterator[None]:
    """Turn an error of the disk into a message.

    Args:
        path: What is written.
        flag: Names its folder.

    Raises:
        AudioClsError: The disk is full, or does not accept the file.
    """
    try:
        yield
    except OSError as error:
        raise AudioClsError(
            f"'{path}' cannot be written ({describe_error(error)}). Free some space there, or name"
            f" another folder by {flag}."
        ) from error
