"""Command `publish`: publish a finished run on the Hub."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from audio_cls.cli.console import one_line_errors
from audio_cls.cli.options.commands import OneLineCommand


@click.command(cls=OneLineCommand)
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--hub-repo-id", help="Where to; default: what the run was trained with.")
@click.option("--private/--no-private", default=None, help="Make a new repository private.")
@click.option("--create-pr/--no-create-pr", default=None, help="Send it as a pull request.")
@click.option(
    "--publish-ids",
    type=click.Choice(["clips", "all", "none"]),
    help="Names of the data that are published: of clips, unless they hold those of groups; of"
    " groups such as speakers too (all); or none.",
)
@click.option("--push-logs/--no-push-logs", default=None, help="TensorBoard's curves too.")
def main(*, run: Path, **typed: str | bool | None) -> None:
    """Publish the finished run RUN on the Hub, now or again; only what changed is sent.

    Its address goes to standard output. The exit code is 1 when the Hub could not be reached, 2
    when it refused; the run is whole either way.
    """
    with one_line_errors():
        from audio_cls.publishing.hub.push import publish_finished_run

        address = publish_finished_run(run, typed)
        if address is not None:
            click.echo(address)
    sys.exit(0 if address is not None else 1)


if __name__ == "__main__":
    main()
