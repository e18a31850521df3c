"""Command `leaderboard`: rank the Hub's models of a data set."""

from __future__ import annotations

from pathlib import Path

import click

from audio_cls.cli.console import echo_stderr, one_line_errors
from audio_cls.cli.options.base_command import BaseCommand
from audio_cls.errors import count_of


@click.command(
    cls=BaseCommand,
    program="leaderboard",
    examples=("--dataset marsyas/gtzan", "--dataset marsyas/gtzan --mine runs/my_run"),
)
@click.option("--dataset", required=True, help="Hub id of the data set, OWNER/NAME.")
@click.option(
    "--metric",
    default="accuracy",
    show_default=True,
    help="Metric to rank by, such as accuracy or f1_macro.",
)
@click.option(
    "--split",
    help="Split that the results are of. Default: that of --mine, else the one that most models"
    " report.",
)
@click.option(
    "--mine",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Run folder to add to the table, at its rank.",
)
@click.option("--csv", "form", flag_value="csv", help="Print comma-separated values.")
@click.option("--json", "form", flag_value="json", help="Print one JSON object.")
@click.option(
    "--html", "page", type=click.Path(path_type=Path), help="Write a web page to this file."
)
def main(
    *,
    dataset: str,
    metric: str,
    split: str | None,
    mine: Path | None,
    form: str | None,
    page: Path | None,
) -> None:
    """Rank the Hub's models of a data set by the results that their cards report.

    Only comparable entries have a rank; the others show why they have none. Cards are cached by
    commit, so that a second call reads only new ones.
    """
    with one_line_errors():
        from audio_cls.publishing.leaderboard.output import format_leaderboard, save_page
        from audio_cls.publishing.leaderboard.ranking import build_leaderboard

        standing = build_leaderboard(dataset, metric, split=split, local_run=mine)
        if page is not None:
            save_page(standing, page)
            echo_stderr(f"Wrote {page}: {count_of(len(standing.rows), 'model')}.")
        if form or page is None:
            click.echo(format_leaderboard(standing, form or "text"), nl=False)


if __name__ == "__main__":
    main()
