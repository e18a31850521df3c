"""TensorBoard logs for publication: scalars only, in files named by numbers.

The table of hyperparameters, which has every setting, is left out, and so is the name of this
machine in the file names.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path

from audio_cls.errors import RunFolderError

LOGS = "logs/**/events.out.tfevents.*"  # files of --report-to tensorboard in the run folder
PUBLIC_LOGS = "runs/events.out.tfevents."  # name in the repository, followed by a number

logger = logging.getLogger(__name__)


def gather_curves(run: Path) -> dict[str, bytes | Path]:
    """Return the redacted logs of a run: path in the repository -> content of an event file.

    Raises:
        RunFolderError: The extra `tensorboard`, which reads them, is not installed.
    """
    files: dict[str, bytes | Path] = {}
    for path in sorted(run.glob(LOGS), key=lambda path: path.name):
        if path.resolve().is_relative_to(run.resolve()):
            content = keep_scalars(path)
            if content:
                files[f"{PUBLIC_LOGS}{len(files) + 1:04d}"] = content
    if not files:
        logger.warning(
            "--push-logs: the run has no TensorBoard logs. Train with --report-to tensorboard."
        )
    return files


def keep_scalars(path: Path) -> bytes:
    """Return an event file with only the records of scalars; empty where there are none.

    Raises:
        RunFolderError: See `gather_curves`.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer import (
            record_writer,
        )
    except ImportError as error:
        raise RunFolderError(
            "--push-logs needs the extra `tensorboard`, which reads the curves: pip install"
            " 'audio-cls[tensorboard]', or remove --push-logs."
        ) from error
    out, num_scalars = io.BytesIO(), 0
    writer = record_writer.RecordWriter(out)
    for record in _read_records(path.read_bytes()):
        event = Event.FromString(record)
        values = [(v.tag, v.simple_value) for v in event.summary.value if _is_scalar(v)]
        num_scalars += len(values)
        public = Event(wall_time=event.wall_time, step=event.step)
        if event.file_version:
            public.file_version = event.file_version
        elif not values:
            continue
        for tag, number in values:
            public.summary.value.add(tag=tag, simple_value=number)
        writer.write(public.SerializeToString())
    writer.flush()
    return out.getvalue() if num_scalars else b""


def _is_scalar(value: object) -> bool:
    """Return whether a summary's value is a scalar."""
    kind = getattr(value, "WhichOneof")("value")  # noqa: B009 (the message's class has no types)
    return bool(kind == "simple_value")


def _read_records(content: bytes) -> Iterator[bytes]:
    """Yield the records of a TFRecord file: length (8 bytes), its CRC (4), data, CRC (4)."""
    place = 0
    while place + 12 <= len(content):
        length = int.from_bytes(content[place : place + 8], "little")
        data = content[place + 12 : place + 12 + length]
        if len(data) < length:
            return  # a truncated file
        yield data
        place += 12 + length + 4
