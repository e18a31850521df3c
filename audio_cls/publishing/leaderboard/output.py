"""A standing as a table for the terminal, as CSV, JSON or a page of HTML.

Comes in: a `LeaderboardTable`. Goes out: text. Names in it were chosen by strangers: they are
escaped for HTML, kept on one line in a terminal, and never begin a formula in a spreadsheet.
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

COLUMNS = ("rank", "model", "value", "split", "clips", "proof", "remarks")
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
.mine {{ background: #fff3c4; font-weight: bold; }}
.apart {{ color: #767676; }}
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
    """Return a row's cells as they are shown to people."""
    value = f"{row.value:.4f}"
    if row.interval is not None:
        value += f" ({row.interval[0]:.3f} to {row.interval[1]:.3f})"
    hub = (f"place {row.hub_rank} on the Hub's leaderboard",) if row.hub_rank else ()
    apart = ("not comparable: " + ", ".join(row.obstacles),) if row.obstacles else ()
    return [
        "-" if row.rank is None else str(row.rank),
        row.model,
        value,
        row.split or "?",
        "?" if row.num_examples is None else str(row.num_examples),
        row.proof,
        "; ".join((*apart, *row.notes, *hub)),
    ]


def to_text(standing: LeaderboardTable) -> str:
    """Return a table with a column's width each, `>` before the local run, and the sentences."""
    lines = [list(COLUMNS), *map(_to_cells, standing.rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS) - 1)]
    marks = [" ", *(">" if row.is_mine else " " for row in standing.rows)]
    table = [
        f"{mark} {'  '.join(cell.ljust(w) for cell, w in zip(line, widths, strict=False))}"
        f"  {line[-1]}".rstrip()
        for mark, line in zip(marks, lines, strict=True)
    ]
    left = [f"  {model}: {reason}" for model, reason in standing.unusable]
    title = f"{standing.metric} on {standing.dataset}"
    rest = ["Without a usable value:", *left] if left else []
    return "\n".join([title, "", *table, "", *standing.sentences, *rest, ""])


def to_csv(standing: LeaderboardTable) -> str:
    """Return one row a model, numbers as numbers; the unusable ones at the end, without a value."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [*COLUMNS[:3], "low", "high", "split", "config", "clips", "proof", "hub_rank", "remarks"]
    )
    for row in standing.rows:
        low, high = row.interval or (None, None)
        remarks = _to_cells(row)[-1]
        names = (row.split, row.config, row.num_examples, row.proof, row.hub_rank)
        cells = [row.rank, row.model, row.value, low, high, *names, remarks]
        writer.writerow([_disarm(cell) for cell in cells])
    for model, reason in standing.unusable:
        writer.writerow(["", _disarm(model), *[""] * 8, _disarm(reason)])
    return out.getvalue()


def _disarm(cell: object) -> object:
    """Keep a spreadsheet from taking a text for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def to_json(standing: LeaderboardTable) -> str:
    """Return the whole standing as one JSON object."""
    content = asdict(standing)
    content["unusable"] = [{"model": m, "reason": reason} for m, reason in standing.unusable]
    return json.dumps(content, indent=2, ensure_ascii=False)


def to_html(standing: LeaderboardTable, endpoint: str) -> str:
    """Return a page of its own, without scripts; `endpoint` is where models are linked to."""
    title = html.escape(f"{standing.metric} on {standing.dataset}")
    rows = "\n".join(_to_html_row(row, endpoint) for row in standing.rows)
    left = [f"{model}: {reason}" for model, reason in standing.unusable]
    items = "".join(f"<li>{html.escape(text)}</li>" for text in left)
    sentences = "\n".join(f"<p>{html.escape(text)}</p>" for text in standing.sentences)
    if items:
        sentences += f"\n<p>Without a usable value:</p>\n<ul>{items}</ul>"
    header = "".join(f"<th>{name}</th>" for name in COLUMNS)
    return PAGE.format(title=title, header=header, rows=rows, sentences=sentences)


def _to_html_row(row: LeaderboardEntry, endpoint: str) -> str:
    """Return one row of the page's table."""
    cells = [html.escape(cell) for cell in _to_cells(row)]
    if not row.is_mine and is_repo_id(row.model):
        cells[1] = f'<a href="{html.escape(endpoint)}/{row.model}">{cells[1]}</a>'
    kind = "mine" if row.is_mine else "apart" if row.rank is None else "ranked"
    return f'<tr class="{kind}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def format_leaderboard(standing: LeaderboardTable, form: str) -> str:
    """Return the standing as "text", "csv" or "json", with a line's end."""
    text = {"text": to_text, "csv": to_csv, "json": to_json}[form](standing)
    return text if text.endswith("\n") else f"{text}\n"


def save_page(standing: LeaderboardTable, path: Path) -> None:
    """Write the standing as a page of HTML.

    Raises:
        RunFolderError: The file cannot be written.
    """
    try:
        replace_file(path, to_html(standing, constants.ENDPOINT))
    except OSError as error:
        raise RunFolderError(
            f"--html {path} cannot be written ({error.strerror}). Give a file in a folder that"
            " exists."
        ) from error
