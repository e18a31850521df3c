"""Sound on standard input: saved to a temporary file, or read in blocks as it comes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from audio_cls.audio.raw_samples import RawFormat, save_raw
from audio_cls.errors import AudioClsError, describe_error


@contextmanager
def saved_input(stream: BinaryIO, raw: RawFormat | None) -> Iterator[str]:
    """Save sound to a temporary file, and yield its path; memory does not grow with its length.

    Args:
        stream: Standard input.
        raw: The encoding of raw samples; None for the content of an audio file.

    Raises:
        AudioClsError: The sound cannot be saved, such as on a full disk.
    """
    with tempfile.TemporaryDirectory(prefix="audio_cls_stdin_") as folder:
        path = Path(folder, "sound")
        try:
            if raw is None:
                with path.open("wb") as file:
                    shutil.copyfileobj(stream, file)
            else:
                save_raw(stream, raw, path)
        except OSError as error:
            raise AudioClsError(
                f"Standard input cannot be saved in '{folder}' ({describe_error(error)}). Free some"
                " space there, or name another folder by the environment variable TMPDIR. For sound"
                " without an end give --timeline and --raw-rate."
            ) from error
        yield str(path)
