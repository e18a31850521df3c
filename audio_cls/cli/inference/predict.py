"""Command `predict`: classify audio files; JSON lines or CSV on standard output."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from audio_cls.cli.console import one_line_errors, show_error
from audio_cls.cli.options.base_command import BaseCommand
from audio_cls.errors import list_names


@click.command(
    cls=BaseCommand,
    program="predict",
    examples=("runs/my_run song.mp3", "runs/my_run recordings --csv > predictions.csv"),
)
@click.argument("model")
@click.argument("paths", nargs=-1, required=True)
@click.option("--revision", help="Branch, tag or commit of MODEL on the Hub. Default: the newest.")
@click.option("--jsonl", "as_jsonl", is_flag=True, help="One JSON object per line (default).")
@click.option(
    "--csv",
    "as_csv",
    is_flag=True,
    help="Table: file, label, score, error, remark and every class.",
)
@click.option(
    "--calibrate/--no-calibrate",
    default=True,
    show_default=True,
    help="Apply the temperature fitted on validation to the scores.",
)
@click.option(
    "--trust-remote-code",
    is_flag=True,
    help="Run code from the model's repository; on the Hub, --revision must be a commit.",
)
def main(
    model: str,
    paths: tuple[str, ...],
    revision: str | None,
    as_jsonl: bool,  # noqa: FBT001 (click's own way)
    as_csv: bool,  # noqa: FBT001
    **options: Any,  # noqa: ANN401
) -> None:
    """Classify audio files with MODEL, a run folder or a Hub id.

    PATHS are files, and folders to search for audio files. Prints one row per file, with an error
    if it cannot be read, and a remark if it is silent or shorter than 0.1 s. Exit code: 0 if at
    least one file was read, else 1.
    """
    if as_jsonl and as_csv:
        raise click.UsageError("--jsonl and --csv exclude each other: choose one output format.")
    with one_line_errors():
        # Not at the top of the file, so that --help need not wait for torch.
        from audio_cls.inference.classifier import Classifier

        classifier = Classifier.from_pretrained(model, revision, **options)
        predictions = classifier(find_files(paths))
        rows = (prediction.to_row() for prediction in predictions)
        write = write_csv if as_csv else write_jsonl
        num_rows, num_read = write(rows, classifier.labels)
    if not num_rows:
        show_error(f"There is no audio file in {list_names(paths)}. Give audio files, or a folder.")
    sys.exit(0 if num_read else 1)


def find_files(paths: Iterable[str]) -> Iterator[str]:
    """Yield the given files, and the audio files in the given folders, sorted."""
    from audio_cls.audio.files import find_audio_files

    for path in paths:
        if Path(path).is_dir():
            yield from map(str, find_audio_files(Path(path)))
        else:
            yield path


def write_jsonl(rows: Iterable[dict[str, object]], labels: tuple[str, ...]) -> tuple[int, int]:
    """Write one JSON object per line as they come; return the numbers of rows and of files read."""
    num_rows = num_read = 0
    for num_rows, row in enumerate(rows, start=1):  # noqa: B007 (used after the loop)
        num_read += "error" not in row
        click.echo(json.dumps(row, ensure_ascii=False))
    return num_rows, num_read


def write_csv(rows: Iterable[dict[str, object]], labels: tuple[str, ...]) -> tuple[int, int]:
    """Write a table with one score column per label; return the numbers of rows and files read."""
    writer = csv.writer(sys.stdout)
    columns = ("file", "label", "score", "error", "remark")
    writer.writerow([*columns, *labels])
    num_rows = num_read = 0
    for num_rows, row in enumerate(rows, start=1):  # noqa: B007
        num_read += "error" not in row
        scores = row.get("scores")
        own = (
            [scores[label] for label in labels] if isinstance(scores, dict) else [""] * len(labels)
        )
        writer.writerow([row.get(name, "") for name in columns] + own)
        sys.stdout.flush()
    return num_rows, num_read


if __name__ == "__main__":
    main()
