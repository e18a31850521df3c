"""Command `publish`: publish a finished run on the Hub."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from audio_cls.cli.console import one_line_errors
from audio_cls.cli.options.base_command import BaseCommand
from audio_cls.cli.options.config_options import make_option
from audio_cls.config import CARD_SETTINGS, iterate_settings


def card_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for texts of the model card; the default is what the run was trained with."""
    for one in reversed([one for one in iterate_settings("hub") if one.name in CARD_SETTINGS]):
        function = make_option(dataclasses.replace(one, default=None))(function)
    return function


@click.command(
    cls=BaseCommand,
    program="publish",
    examples=("runs/my_run", "runs/my_run --hub-repo-id USER/NAME --private"),
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--hub-repo-id",
    help="Repository to publish to, USER/NAME. Default: the run's --hub-repo-id, else your user"
    " name and the run folder's name.",
)
@click.option(
    "--private/--no-private",
    default=None,
    help="Make a new repository private. Default: the run's setting.",
)
@click.option(
    "--create-pr/--no-create-pr",
    default=None,
    help="Publish as a pull request to an existing repository. Default: the run's setting.",
)
@click.option(
    "--publish-ids",
    type=click.Choice(["clips", "all", "none"]),
    help="Names to publish: clips (ids of clips, numbered if they contain group names), all (also"
    " groups such as speakers), or none (all numbered). Default: the run's setting.",
)
@click.option(
    "--push-logs/--no-push-logs",
    default=None,
    help="Publish the TensorBoard logs too. Default: the run's setting.",
)
@card_options
def main(*, run: Path, **typed: Any) -> None:  # noqa: ANN401
    """Publish the finished run RUN, a run folder, on the Hugging Face Hub.

    Prints the address of the repository. A run can be published again: only changed files are
    uploaded. Exit code: 1 if the Hub could not be reached, 2 if it refused; the run folder is not
    changed in either case.
    """
    with one_line_errors():
        from audio_cls.publishing.hub.push import publish_finished_run

        address = publish_finished_run(run, typed)
        if address is not None:
            click.echo(address)
    sys.exit(0 if address is not None else 1)


if __name__ == "__main__":
    main()
