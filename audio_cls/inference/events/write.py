"""Files of events: label tracks of Audacity and selection tables of Raven.

`data/sources/tables/label_tracks.py` reads them, so that corrected files are training data.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from audio_cls.config import Hertz, Seconds
from audio_cls.inference.events.event import Event
from audio_cls.storage.files import open_replaced

DECIMALS = 6  # of times in label files, as in Audacity
AUDACITY_SUFFIX = ".txt"  # after the name of the recording without its suffix
RAVEN_SUFFIX = ".Table.1.selections.txt"
RAVEN_COLUMNS = (
    *("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)"),
    *("Low Freq (Hz)", "High Freq (Hz)"),
)
RAVEN_FILE_COLUMNS = ("Begin Path", "File Offset (s)")


def write_audacity(events: Iterable[Event], file: Path) -> None:
    """Write a label track of Audacity: start, end and label, separated by tabs, without a header.

    The format has no score. Audacity: File, Import, Labels.

    Args:
        events: Of one recording, in the order in which they are written.
        file: The file; an existing one is replaced.
    """
    lines = [[_format(one.start), _format(one.end), one.label] for one in events]
    _write_lines(file, lines)


def write_raven(events: Iterable[Event], file: Path, *, high_frequency: Hertz) -> None:
    """Write a selection table of Raven.

    Args:
        events: Of one recording, in the order in which they are written.
        file: The file; an existing one is replaced.
        high_frequency: Upper limit of every selection; the lower one is 0.
    """
    lines = [list_raven_columns(is_combined=False)]
    for number, one in enumerate(events, start=1):
        lines.append(make_raven_cells(one, number, high_frequency))
    _write_lines(file, lines)


def list_raven_columns(*, is_combined: bool) -> list[str]:
    """Return the columns of a selection table, of one recording or of several."""
    own = RAVEN_FILE_COLUMNS if is_combined else ()
    return [*RAVEN_COLUMNS, *own, "Delta Time (s)", "Annotation", "Score"]


def make_raven_cells(
    event: Event, number: int, high_frequency: Hertz, offset: Seconds | None = None
) -> list[str]:
    """Return the cells of a selection.

    Args:
        event: The event.
        number: Of the selection, from 1.
        high_frequency: Upper limit of the selection.
        offset: Duration of the recordings before that of the event; None for a table of one.
    """
    begin = offset or 0.0
    place = [] if offset is None else [event.file, _format(event.start)]
    times = [_format(begin + event.start), _format(begin + event.end)]
    band = ["0", f"{high_frequency:g}"]
    rest = [_format(event.end - event.start), event.label, _format_score(event.score)]
    return [str(number), "Spectrogram 1", "1", *times, *band, *place, *rest]


def join_cells(cells: Iterable[str]) -> str:
    """Return a line of cells separated by tabs; a tab or line break in a cell becomes a blank."""
    return "\t".join(" ".join(cell.splitlines()).replace("\t", " ") for cell in cells) + "\n"


def _write_lines(file: Path, lines: Iterable[Iterable[str]]) -> None:
    """Write lines of cells."""
    with open_replaced(file) as opened:
        opened.writelines(map(join_cells, lines))


def _format(seconds: Seconds) -> str:
    """Format a time: six decimals, which are exact to the sample at up to 500 kHz."""
    return f"{seconds:.{DECIMALS}f}"


def _format_score(score: float | None) -> str:
    """Format a score; an annotation has none."""
    return "" if score is None else f"{score:g}"
