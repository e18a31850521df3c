"""Console output of the commands: messages on standard error, one-line errors, exit codes."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import click

from audio_cls.cli.streams import discard_unwritable, open_closed_streams
from audio_cls.errors import AudioClsError, Paused, redact_tokens
from audio_cls.exit_codes import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_PAUSED, EXIT_REFUSED
from audio_cls.text_table import TERMINAL_WIDTH, drop_controls, to_line, wrap_text

LAUNCHER_NOTE = (
    "(What follows is a traceback of accelerate launch without the error;"
    " `accelerate launch --quiet` leaves it out.)"
)
# Messages of libraries after another process has ended: the cause is in that process's error.
LOST = ("Connection closed by peer", "Connection reset by peer", "ncclRemoteError")

logger = logging.getLogger("audio_cls")


class _CurrentStandardError(logging.StreamHandler[TextIO]):
    """Write messages to the present standard error, which may be replaced after the set-up."""

    @property
    def stream(self) -> TextIO:
        """Return the present standard error."""
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        """Keep nothing."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a message; a warning is broken into lines between words.

        Names in it come from data sets: no escape sequence reaches the terminal.
        """
        text = _redact(drop_controls(super().format(record)))
        is_long = record.levelno >= logging.WARNING and len(text) > TERMINAL_WIDTH
        return "\n".join(wrap_text(text)) if is_long else text

    def emit(self, record: logging.LogRecord) -> None:
        """Write a message above the bars that are shown."""
        module = sys.modules.get("tqdm")  # not imported for this: no bar, nothing to write above
        if module is None:
            super().emit(record)
            return
        with module.tqdm.external_write_mode(file=sys.stderr):
            super().emit(record)


def prepare_streams() -> None:
    """Make the standard streams usable, whatever the shell has set up.

    Closed ones are opened, see `open_closed_streams`. A character that the encoding of standard
    output lacks, as a name in Windows' code page, is written as its number instead of ending the
    program.
    """
    open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", "") == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


class one_line_errors:
    """Show an `AudioClsError` as one line and exit with code 2; other errors pass through.

    A pause that was asked for leaves with exit code 3: it is no error, but the run is not done, and
    `train && publish` must not continue. A process that lost its connection to another one writes
    one line and leaves with exit code 1: its traceback would hide the other one's error.
    """

    def __enter__(self) -> None:
        """Set up logging: plain lines on standard error."""
        if not logger.handlers:
            handler = _CurrentStandardError()
            handler.setFormatter(logging.Formatter("%(message)s"))
            logger.addHandler(handler)
            logger.setLevel(logging.INFO)
        if not sys.stderr.isatty():
            hide_library_bars()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:  # noqa: ANN401
        """Replace the exception by its line and exit code."""
        if isinstance(error, KeyboardInterrupt):  # `exit_on_interrupt` has written the line
            _close_bars()
            raise SystemExit(EXIT_INTERRUPTED) from None
        if isinstance(error, Paused):
            if is_first_process():
                _close_bars()
                echo_stderr(_redact(str(error)))
            raise SystemExit(EXIT_PAUSED) from None
        if isinstance(error, AudioClsError):
            show_error(str(error))
            raise SystemExit(EXIT_REFUSED) from None
        if isinstance(error, RuntimeError) and is_connected() and _is_lost(error):
            show_error("the connection to another process is lost; the cause is in its error.")
            raise SystemExit(EXIT_FAILED) from None


def _is_lost(error: RuntimeError) -> bool:
    """Return whether an error means that another process has ended."""
    return any(words in str(error) for words in LOST)


def is_first_process() -> bool:
    """Return whether this process is the first one on its machine."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def set_log_level(log: str) -> None:
    """Show the messages of the first process: all, or only warnings with --log quiet and json."""
    level = logging.INFO if log == "text" else logging.WARNING
    logger.setLevel(level if is_first_process() else logging.CRITICAL)
    if not (logger.isEnabledFor(logging.INFO) and sys.stderr.isatty()):
        hide_library_bars()


def is_connected() -> bool:
    """Return whether this process trains together with others; torch is not imported for it."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.distributed.is_available():
        return False
    return bool(torch.distributed.is_initialized())


def echo_stderr(text: str) -> None:
    """Write a line on standard error; one that is full changes neither course nor exit code."""
    try:
        click.echo(text, err=True)
    except OSError:
        discard_unwritable(sys.stderr)


def show_error(text: str) -> None:
    """Write one line on standard error.

    Before the processes are connected all fail for the same reason, and the first one of a machine
    writes it. Later the reasons may differ, and each line has the number of its process.
    """
    _close_bars()
    text = _redact(to_line(text))
    if is_connected():
        rank, number = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
        text = f"Error in process {rank} (of 0 to {int(number) - 1}): {text}"
    else:
        text = f"Error: {text}"
    if is_connected() or is_first_process():
        echo_stderr(_fit_terminal(text))
    _pass_to_launcher(text)


def _redact(text: str) -> str:
    """Remove tokens, and logins and signatures of addresses."""
    return redact_tokens(text, (os.environ.get("HF_TOKEN", ""),))


def _fit_terminal(text: str) -> str:
    """Break a long line between words on a terminal; in a file it stays one line."""
    is_long = len(text) > TERMINAL_WIDTH and sys.stderr.isatty()
    return "\n".join(wrap_text(text)) if is_long else text


def _pass_to_launcher(text: str) -> None:
    """Give an error to the launcher, or announce the traceback that the launcher prints below it.

    torchrun, which `accelerate launch` uses for several processes, prints the text of this file
    last. With one process `accelerate launch` prints a traceback that does not have the error.
    """
    file = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if file:
        content = {"message": text, "extraInfo": {"timestamp": str(int(time.time()))}}
        Path(file).write_text(json.dumps({"message": content}), "utf-8")
    elif _will_launcher_raise():
        echo_stderr(_fit_terminal(LAUNCHER_NOTE))


def _will_launcher_raise() -> bool:
    """Return whether this process was started by `accelerate launch` without `--quiet`."""
    if "ACCELERATE_MIXED_PRECISION" not in os.environ:
        return False
    import psutil  # type: ignore[import-untyped]

    try:
        command = psutil.Process().parent().cmdline()
    except (psutil.Error, AttributeError):
        return False
    is_accelerate = any("accelerate" in word for word in command[:3])
    return is_accelerate and not {"-q", "--quiet"} & set(command)


def _close_bars() -> None:
    """Remove the progress bars, if there can be any: the text that follows starts a line."""
    if "tqdm" in sys.modules:
        from audio_cls.progress import close_bars

        close_bars()


def hide_library_bars() -> None:
    """Switch off the bars of datasets and huggingface_hub; call it before they are imported.

    Without a terminal a bar leaves a line in a log file at every change; this package has lines.
    """
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def echo_main_process(text: object) -> None:
    """Print on standard output, once per machine."""
    if is_first_process():
        click.echo(str(text))
