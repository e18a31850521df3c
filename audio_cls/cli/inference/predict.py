"""Command `predict`: classify audio files, folders, long recordings and sound from a pipe."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import click

from audio_cls.cli.console import one_line_errors
from audio_cls.cli.inference.predict_options import OPTIONS, with_options
from audio_cls.cli.options.base_command import BaseCommand

EXAMPLES = (
    "runs/my_run song.mp3",
    "runs/my_run recordings --output labels.csv",
    "runs/my_run day.flac --merge --threshold 0.7",
)


def run(
    as_csv: bool,  # noqa: FBT001 (click's own way)
    as_jsonl: bool,  # noqa: FBT001
    **values: Any,  # noqa: ANN401
) -> None:
    """Classify audio files with MODEL, a run folder or a Hub id.

    PATHS are files, folders to search for audio files, patterns such as 'clips/**/*.wav', or - for
    sound on standard input. One row per file, with an error if it cannot be read; counts on
    standard error.

    Exit code: 0 if at least one file was read (--strict: all), else 1; 2 for an error that you can
    fix; 130 after Ctrl-C.
    """
    values["format"] = _choose_format(values["format"], as_csv=as_csv, as_jsonl=as_jsonl)
    classify(values)


def classify(values: dict[str, Any]) -> NoReturn:
    """Classify or embed files, and exit with the code for them.

    Args:
        values: Of a `PredictRequest`.
    """
    with one_line_errors():
        # Not at the top of the file, so that --help need not wait for torch.
        from audio_cls.workflows.prediction.request import PredictRequest

        request = PredictRequest(**values)
        request.check()
        from audio_cls.workflows.prediction.predict import run_prediction

        report = run_prediction(request, sys.stdin.buffer, sys.stdout.buffer)
    num_read = report.num_files - report.num_failed
    sys.exit(1 if num_read == 0 or (request.strict and report.num_failed) else 0)


def _choose_format(given: str | None, *, as_csv: bool, as_jsonl: bool) -> str | None:
    """Return the format that was given; None for the default."""
    names = {given, "csv" if as_csv else None, "jsonl" if as_jsonl else None} - {None}
    if len(names) > 1:
        raise click.UsageError("--format, --csv and --jsonl exclude each other: give one of them.")
    return next(iter(names), None)


def make_command() -> click.Command:
    """Return the command with `OPTIONS`."""
    command: Any = with_options(OPTIONS)(run)
    command = click.argument("paths", nargs=-1)(command)
    command = click.argument("model")(command)
    return click.command("predict", cls=BaseCommand, program="predict", examples=EXAMPLES)(command)


main = make_command()

if __name__ == "__main__":
    main()
