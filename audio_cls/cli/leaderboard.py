"""Command `leaderboard`: rank the Hub's models of a data set."""

from __future__ import annotations

from pathlib import Path

import click

from audio_cls.cli.console import one_line_errors
from audio_cls.cli.options.commands import OneLineCommand


@click.command(cls=OneLineCommand)
@click.option("--dataset", required=True, help="Hub id of the data set: owner/name.")
@click.option("--metric", default="accuracy", show_default=True, help="Metric, by our name.")
@click.option("--split", help="Split that counts; default: --mine's, else the usual one.")
@click.option(
    "--mine", type=click.Path(path_type=Path), metavar="RUN", help="Put this run in its place."
)
@click.option("--csv", "form", flag_value="csv", help="Comma-separated rows on standard output.")
@click.option("--json", "form", flag_value="json", help="One JSON object on standard output.")
@click.option("--html", "page", type=click.Path(path_type=Path), help="Write a page to this file.")
def main(
    *,
    dataset: str,
    metric: str,
    split: str | None,
    mine: Path | None,
    form: str | None,
    page: Path | None,
) -> None:
    """Show how the models of a data set stand today, by what their cards and the Hub say.

    Only comparable entries have a rank; the others say why not. What was
    read is kept by commit, so that a second look, or one that was cut, asks for news only.
    """
    with one_line_errors():
        from audio_cls.publishing.leaderboard.output import format_leaderboard, save_page
        from audio_cls.publishing.leaderboard.ranking import build_leaderboard

        standing = build_leaderboard(dataset, metric, split=split, local_run=mine)
        if page is not None:
            save_page(standing, page)
            click.echo(f"{page} has {len(standing.rows)} models.", err=True)
        if form or page is None:
            click.echo(format_leaderboard(standing, form or "text"), nl=False)


if __name__ == "__main__":
    main()
