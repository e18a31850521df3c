"""Command `embed`: embeddings of audio files, for a search, clustering or another classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from audio_cls.cli.inference.predict import classify
from audio_cls.cli.inference.predict_options import MODEL_OPTIONS, with_options
from audio_cls.cli.options.base_command import HELP_ALL, BaseCommand


@click.command(
    cls=BaseCommand,
    program="embed",
    examples=("runs/my_run recordings --output recordings.parquet",),
)
@click.argument("model")
@click.argument("paths", nargs=-1)
@click.option(
    "--output",
    "embeddings",
    required=True,
    metavar="FILE.parquet",
    type=click.Path(path_type=Path),
    help="Write here. The same call continues the file after an interruption; a finished file is an"
    " error (exit code 2) without --overwrite.",
)
@click.option("--overwrite", is_flag=True, help="Replace a finished file.")
@click.option("--files-from", metavar="FILE", help="Read the list of files from FILE, or from -.")
@click.option("--strict", is_flag=True, help="Exit with code 1 if any file could not be read.")
@with_options((*MODEL_OPTIONS, HELP_ALL))
def main(**values: Any) -> None:  # noqa: ANN401
    """Write the embeddings of audio files to a parquet file: columns file, embedding.

    PATHS are files, folders or patterns, as for `predict`. The embedding of a file is the input of
    the model's last linear layer, float32, mean over its windows.

    Exit code: 0 if at least one file was read (--strict: all), else 1; 2 for an error that you can
    fix; 130 after Ctrl-C.
    """
    classify({**values, "has_rows": False})


if __name__ == "__main__":
    main()
