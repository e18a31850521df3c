"""Table files: CSV, TSV, JSON, JSONL, text and parquet; the cells of CSV and TSV are text.

So a class `NA`, `True` or `007` keeps its name. Separator, encoding and a missing header are found
from the content.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from audio_cls.audio.files import is_audio_path
from audio_cls.errors import DatasetError, list_names
from audio_cls.run_warnings import warn

TEXT_SUFFIX = ".txt"  # a table if its lines have several cells, one of them a path
ROW_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".parquet", TEXT_SUFFIX)
SEPARATORS = (",", "\t", ";", "|")
HEAD_BYTES = 4096  # of a text file, to find out whether it is a table
# Windows-1252 is Latin-1 with the typographic characters of Windows programs.
LATIN_1 = "cp1252"

logger = logging.getLogger(__name__)


def read_rows(
    file: Path, suffix: str, is_clip: Callable[[str], bool] = lambda cell: False
) -> pa.Table:
    """Read one table file.

    Args:
        file: The file; text is in UTF-8, UTF-16 or Latin-1.
        suffix: Its type, one of `ROW_SUFFIXES`.
        is_clip: Returns whether a cell is the id of an existing clip, for ids without a suffix. A
            first line that names a clip is no header: the columns are then column_1, column_2 ...

    Raises:
        DatasetError: The file is not of this type; the text has the line.
    """
    try:
        if suffix == ".parquet":
            return pq.read_table(file)
        text = decode_text(file.read_bytes(), file)
        if suffix in (".csv", ".tsv", TEXT_SUFFIX):
            return _parse_csv(text, suffix, is_clip)
        rows = [row for row in _parse_json(text) if isinstance(row, dict)]
        columns = dict.fromkeys(name for row in rows for name in row)
        return pa.table({name: [row.get(name) for row in rows] for name in columns})
    except (ValueError, pa.ArrowException, csv.Error) as error:
        text = " ".join(str(error).split())
        raise DatasetError(
            f"The table '{file}' cannot be read: {text}. Correct that line, or save the table as"
            " CSV in UTF-8."
        ) from error


def decode_text(data: bytes, file: Path) -> str:
    """Decode UTF-8 or UTF-16, with or without a byte order mark, else Latin-1 with a warning.

    Raises:
        UnicodeDecodeError: It has another encoding.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    if b"\0" in data[:HEAD_BYTES]:  # one byte of each pair is 0 in the UTF-16 of Latin letters
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode(LATIN_1)
    warn(
        logger,
        "A table of the data set is not in UTF-8 and was read as Latin-1 (Windows-1252). If"
        " names look wrong, save the table as UTF-8.",
        names=[file],
    )
    return text


def looks_like_table(file: Path) -> bool:
    """Return whether a text file has lines of several cells, one of them a path of a clip."""
    rows = [re.split(r"[\s,;|]+", line.strip()) for line in split_lines(read_head(file))[:2]]
    return any(len(cells) > 1 and any(map(is_audio_path, cells)) for cells in rows)


def looks_like_list(file: Path) -> bool:
    """Return whether a text file has only paths of clips, one per line."""
    lines = split_lines(read_head(file))[:2]
    return bool(lines) and all(is_audio_path(line) and len(line.split()) == 1 for line in lines)


def read_head(file: Path) -> str:
    """Return the first lines of a text file."""
    with file.open("rb") as opened:
        data = opened.read(HEAD_BYTES)
    is_wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if is_wide else "utf-8-sig", errors="replace")


def split_lines(text: str) -> list[str]:
    """Return the lines that are not blank."""
    return [line for line in re.split(r"\r?\n", text) if line.strip()]


def _parse_csv(text: str, suffix: str, is_clip: Callable[[str], bool]) -> pa.Table:
    """Parse quoted or plain CSV; the first line is the header unless it names a clip."""
    named = re.match(r"sep=(.)\r?\n", text)  # a line for Excel
    separator = named[1] if named else choose_separator(text, suffix)
    lines = _split_cells(text[named.end() if named else 0 :], separator)
    if not lines:
        return pa.table({})
    (_, header), rows = lines[0], lines[1:]
    while len(header) > 1 and not header[-1].strip():  # empty last columns of a spreadsheet
        header = header[:-1]
    if any(is_audio_path(cell) or is_clip(cell.strip()) for cell in header):
        header, rows = [""] * len(header), lines
    header = [name.strip() or f"column_{place}" for place, name in enumerate(header, start=1)]
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise ValueError(f"its header names the column {list_names(repeated)} twice")
    width = len(header)
    for number, row in rows:
        if len(row) < width or any(row[width:]):
            raise ValueError(f"row {number} has {len(row)} cells, the header has {width}")
    return pa.table(
        {
            name: pa.array([row[place] for _, row in rows], pa.string())
            for place, name in enumerate(header)
        }
    )


def choose_separator(text: str, suffix: str) -> str:
    r"""Return the separator of cells: that of the suffix, else one that is in the first line.

    A separator that gives every line the same number of cells is preferred. The cells of `.txt` may
    be separated by blanks.

    >>> choose_separator("path;kind\na.wav;1,5\n", ".csv")
    ';'
    """
    first = "\t" if suffix == ".tsv" else ","
    candidates = [first, *(one for one in SEPARATORS if one != first)]
    candidates += [" "] if suffix == TEXT_SUFFIX else []
    head = text.lstrip().partition("\n")[0]
    there = [one for one in candidates if one in head.strip()]
    for separator in there:
        widths = {len(row) for _, row in _split_cells(text, separator)}
        if len(widths) == 1:
            return separator
    return there[0] if there else first


def _split_cells(text: str, separator: str) -> list[tuple[int, list[str]]]:
    """Return (line number in the file, cells) of each line that is not blank.

    Quotes are part of the text where they would otherwise join lines (TSV of Common Voice).
    """
    lines = _read_csv(text, separator, csv.QUOTE_MINIMAL)
    if separator == "\t" and any("\n" in cell for _, row in lines for cell in row):
        plain = _read_csv(text, separator, csv.QUOTE_NONE)
        if len({len(row) for _, row in plain}) == 1:
            return plain
    return lines


def _read_csv(text: str, separator: str, quoting: Literal[0, 3]) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, quoting=quoting)
    return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]


def _parse_json(text: str) -> Sequence[object]:
    """Parse a list, one object, or one value per line."""
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        whole = None
    if whole is not None:
        return whole if isinstance(whole, list) else [whole]
    values: list[object] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                values.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise ValueError(f"line {number} is not JSON ({error.msg})") from error
    return values
