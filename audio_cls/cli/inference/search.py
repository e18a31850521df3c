"""Command `search`: the files of a table of embeddings that sound most like a query."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from audio_cls.cli.console import one_line_errors
from audio_cls.cli.inference.predict_options import MODEL_OPTIONS, with_options
from audio_cls.cli.options.base_command import HELP_ALL, BaseCommand


@click.command(
    cls=BaseCommand,
    program="search",
    examples=("recordings.parquet clip.wav", "recordings.parquet recordings/7.wav --top-k 20"),
)
@click.argument("embeddings", type=click.Path(path_type=Path))
@click.argument("query")
@click.option(
    "--top-k", default=10, show_default=True, type=click.IntRange(min=1), help="Files to list."
)
@click.option("--model", help="Model for the query. Default: that of the embeddings.")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(("table", "jsonl")),
    help="Default: table on a terminal, jsonl in a pipe.",
)
@with_options((*MODEL_OPTIONS, HELP_ALL))
def main(
    embeddings: Path,
    query: str,
    top_k: int,
    output_format: str | None,
    **model_options: Any,  # noqa: ANN401
) -> None:
    """List the files of EMBEDDINGS that sound most like QUERY.

    EMBEDDINGS is a file that `audio-cls embed` or `predict --embeddings` wrote. QUERY is an audio
    file; one of the files in EMBEDDINGS, by its name there, needs no model and is not listed. The
    similarity is the cosine of the two embeddings, at most 1.
    """
    with one_line_errors():
        # Not at the top of the file, so that --help need not wait for numpy.
        from audio_cls.text_table import format_table
        from audio_cls.workflows.prediction.search import search

        found = search(embeddings, query, top_k, model_options)
        rows = [one._asdict() for one in found]
        is_table = output_format == "table" or (output_format is None and sys.stdout.isatty())
        if is_table:
            cells = [[f"{one.similarity:.4f}", one.file] for one in found]
            lines = format_table([["similarity", "file"], *cells], "rl", sys.maxsize)
        else:
            lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        click.echo("\n".join(lines))


if __name__ == "__main__":
    main()
