"""Command `demo`: a page that classifies clips, on this machine or as a Hugging Face Space."""

from __future__ import annotations

from typing import Any

import click

from audio_cls.cli.console import one_line_errors
from audio_cls.cli.options.base_command import BaseCommand


@click.command(
    cls=BaseCommand,
    program="demo",
    examples=("runs/my_run", "runs/my_run --dataset my_clips"),
)
@click.argument("model")
@click.option("--revision", help="Branch, tag or commit of MODEL on the Hub. Default: the newest.")
@click.option(
    "--dataset",
    help="Also list the clips of this data set and the model's mistakes, to listen to: a folder, a"
    " table or a Hub id.",
)
@click.option("--label-column", help="Column of --dataset with the label.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port of the page. Default: from 7860, a free one.",
)
@click.option(
    "--max-seconds",
    type=click.FloatRange(min=1),
    default=600.0,
    show_default=True,
    help="Longest clip that the page accepts.",
)
@click.option(
    "--max-megabytes",
    type=click.FloatRange(min=0.1),
    default=50.0,
    show_default=True,
    help="Largest file that the page accepts.",
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
def main(*, model: str, revision: str | None, **options: Any) -> None:  # noqa: ANN401
    """Show a page that classifies clips with MODEL, a run folder or a Hub id.

    The page takes uploads and recordings, and classifies the live sound of a microphone. It is
    reached from this machine only, and sends nothing to another one. Uploaded clips are deleted
    after an hour. Ctrl-C ends it.
    """
    with one_line_errors():
        from audio_cls.demo.start import DemoOptions, start_demo

        start_demo(model, revision, DemoOptions(**options))


if __name__ == "__main__":
    main()
