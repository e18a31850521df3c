"""A `LeaderboardTable` as text for the terminal, CSV, JSON or an HTML page.

Its names come from untrusted model cards: they are escaped in HTML, kept on one line in a terminal,
and cannot start a formula in a spreadsheet.
"""

from __future__ import annotations

import csv
import html
import io
import json
from dataclasses import asdict
from pathlib import Path

from huggingface_hub import constants

from audio_cls.errors import RunFolderError
from audio_cls.publishing.leaderboard.entries import LeaderboardEntry
from audio_cls.publishing.leaderboard.ranking import LeaderboardTable
from audio_cls.publishing.run_record import is_repo_id
from audio_cls.storage.files import replace_file
from audio_cls.text_table import format_table, wrap_text

COLUMNS = ("rank", "model", "value", "split", "clips", "verification", "remarks")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; }}
table {{ border-collapse: collapse; }}
th, td {{ border-bottom: 1px solid #ccc; padding: .3rem .7rem; text-align: left; }}
.local {{ background: #fff3c4; font-weight: bold; }}
.not-ranked {{ color: #767676; }}
</style>
<h1>{title}</h1>
<table>
<tr>{header}</tr>
{rows}
</table>
{sentences}
</html>
"""


def _to_cells(row: LeaderboardEntry) -> list[str]:
    """Return the text of a row's cells."""
    value = f"{row.value:.4f}"
    if row.interval is not None:
        value += f" ({row.interval[0]:.3f} to {row.interval[1]:.3f})"
    hub = (f"rank {row.hub_rank} on the Hub's leaderboard",) if row.hub_rank else ()
    reasons = ", ".join(row.incomparable_reasons)
    incomparable = (f"not comparable: {reasons}",) if reasons else ()
    return [
        "-" if row.rank is None else str(row.rank),
        row.model,
        value,
        row.split or "?",
        "?" if row.num_examples is None else str(row.num_examples),
        row.verification,
        "; ".join((*incomparable, *row.notes, *hub)),
    ]


def to_text(table: LeaderboardTable) -> str:
    """Return an aligned table of 80 columns; the remarks of a row are on the lines below it.

    `>` marks the local run.
    """
    if not table.rows:
        return "\n".join([*wrap_text(table.sentences[0]), *_list_unusable(table), ""])
    cells = [["", *COLUMNS[:-1]]]
    cells += [[">" if row.is_mine else "", *_to_cells(row)[:-1]] for row in table.rows]
    header, *lines = format_table(cells, "lrllrrl")
    title = f"{table.metric} on {table.dataset}"
    aligned = [
        text
        for row, line in zip(table.rows, lines, strict=True)
        for text in (line, *wrap_text(_to_cells(row)[-1], " " * 9))
    ]
    sentences = [line for text in table.sentences for line in wrap_text(text)]
    return "\n".join([title, "", header, *aligned, "", *sentences, *_list_unusable(table), ""])


def _list_unusable(table: LeaderboardTable) -> list[str]:
    """Return the lines of the models without a usable value."""
    left = [f"{model}: {reason}" for model, reason in table.unusable]
    lines = [line for text in left for line in wrap_text(text, "  ")]
    return ["Without a usable value:", *lines] if left else []


def to_csv(table: LeaderboardTable) -> str:
    """Return one row per model; those without a usable value are last."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [*COLUMNS[:3], "low", "high", "split", "config", *COLUMNS[4:6], "hub_rank", "remarks"]
    )
    for row in table.rows:
        low, high = row.interval or (None, None)
        remarks = _to_cells(row)[-1]
        names = (row.split, row.config, row.num_examples, row.verification, row.hub_rank)
        cells = [row.rank, row.model, row.value, low, high, *names, remarks]
        writer.writerow([_escape_formula(cell) for cell in cells])
    for model, reason in table.unusable:
        writer.writerow(["", _escape_formula(model), *[""] * 8, _escape_formula(reason)])
    return out.getvalue()


def _escape_formula(cell: object) -> object:
    """Prefix a text that a spreadsheet would run as a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def to_json(table: LeaderboardTable) -> str:
    """Return the whole table as one JSON object."""
    content = asdict(table)
    content["unusable"] = [{"model": m, "reason": reason} for m, reason in table.unusable]
    return json.dumps(content, indent=2, ensure_ascii=False)


def to_html(table: LeaderboardTable, endpoint: str) -> str:
    """Return a self-contained page without scripts.

    Args:
        table: The leaderboard.
        endpoint: Address of the Hub, for links to the models.
    """
    title = html.escape(f"{table.metric} on {table.dataset}")
    rows = "\n".join(_to_html_row(row, endpoint) for row in table.rows)
    left = [f"{model}: {reason}" for model, reason in table.unusable]
    items = "".join(f"<li>{html.escape(text)}</li>" for text in left)
    sentences = "\n".join(f"<p>{html.escape(text)}</p>" for text in table.sentences)
    if items:
        sentences += f"\n<p>No usable value:</p>\n<ul>{items}</ul>"
    header = "".join(f"<th>{name}</th>" for name in COLUMNS)
    return PAGE.format(title=title, header=header, rows=rows, sentences=sentences)


def _to_html_row(row: LeaderboardEntry, endpoint: str) -> str:
    """Return one row of the page's table."""
    cells = [html.escape(cell) for cell in _to_cells(row)]
    if not row.is_mine and is_repo_id(row.model):
        cells[1] = f'<a href="{html.escape(endpoint)}/{row.model}">{cells[1]}</a>'
    kind = "local" if row.is_mine else "not-ranked" if row.rank is None else "ranked"
    return f'<tr class="{kind}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def format_leaderboard(table: LeaderboardTable, form: str) -> str:
    """Return the table as "text", "csv" or "json", with a final newline."""
    text = {"text": to_text, "csv": to_csv, "json": to_json}[form](table)
    return text if text.endswith("\n") else f"{text}\n"


def save_page(table: LeaderboardTable, path: Path) -> None:
    """Write the table as a page of HTML.

    Raises:
        RunFolderError: The file cannot be written.
    """
    try:
        replace_file(path, to_html(table, constants.ENDPOINT))
    except OSError as error:
        raise RunFolderError(
            f"--html {path} cannot be written ({error.strerror}). Give a file in an existing folder"
            " with write permission."
        ) from error
