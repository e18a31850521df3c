"""HTML report of a data set scan: one file with histograms and clips to play."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from audio_cls.audio.decode import decode_file
from audio_cls.audio.files import encode_wav
from audio_cls.audio.waveform import mix_channels, resample
from audio_cls.config import Hertz, Seconds
from audio_cls.data.inspection.scan import DatasetScan
from audio_cls.errors import count_of
from audio_cls.storage.files import replace_file

CLIPS_PER_CLASS = 3
MAX_PLAYERS = 60
PLAYED_SECONDS: Seconds = 4.0  # of each clip
PLAYED_RATE: Hertz = 16_000  # at most; 128 kB per clip
TEMPLATE = "inspect.html.jinja"


def write_html_report(path: Path, summary: Mapping[str, Any], scan: DatasetScan) -> None:
    """Write the report of a scan; the folder of the file is created.

    Args:
        path: The HTML file.
        summary: See `summarize`.
        scan: The scan, for the clips to play.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    text = (resources.files("audio_cls.data.inspection") / TEMPLATE).read_text("utf-8")
    page = environment.from_string(text).render(
        summary,
        bars=scale_bars(summary["durations"]),
        players=make_players(scan),
        quote=shlex.quote,
        count_of=count_of,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, page)


def scale_bars(durations: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the bars of the histogram of durations, with heights from 0 to 1."""
    if not durations:
        return []
    counts, edges = durations["histogram"]["counts"], durations["histogram"]["edges"]
    return [
        {"count": count, "height": count / max(counts), "low": low, "high": high}
        for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True)
    ]


def make_players(scan: DatasetScan) -> dict[str, list[dict[str, str]]]:
    """Choose evenly spaced usable clips of each class, and encode their beginnings.

    Returns:
        Class -> clips with `id`, `split`, `seconds` and `source`, a data URL of a WAV file.
    """
    per_class = _rows_of_classes(scan)
    most = max(1, min(CLIPS_PER_CLASS, MAX_PLAYERS // max(1, len(per_class))))
    players = {}
    for label, rows in list(per_class.items())[:MAX_PLAYERS]:
        usable = [row for row in rows if row in scan.stats and not scan.stats[row].error]
        places = np.unique(np.linspace(0, len(usable) - 1, min(most, len(usable)), dtype=int))
        players[label] = [_make_player(scan, usable[place]) for place in places]
    return players


def _rows_of_classes(scan: DatasetScan) -> dict[str, list[int]]:
    """Return the rows of each class; all rows as one class where there are no labels."""
    labels = scan.labels
    if labels is None:
        return {"all clips": list(range(scan.num_clips))}
    ids = np.concatenate([labels.ids[split] for split in scan.dataset.splits])
    return {name: np.flatnonzero(ids == place).tolist() for place, name in enumerate(labels.names)}


def _make_player(scan: DatasetScan, row: int) -> dict[str, str]:
    """Encode the beginning of a clip."""
    audio = decode_file(*scan.read_clip(row))
    rate = min(audio.sampling_rate, PLAYED_RATE)
    wave = mix_channels(audio.samples[: round(PLAYED_SECONDS * audio.sampling_rate)])
    wav = encode_wav(resample(wave, audio.sampling_rate, rate), rate)
    return {
        "id": str(scan.ids[row]),
        "split": str(scan.split_of[row]),
        "seconds": f"{scan.stats[row].seconds:.2f}",
        "source": "data:audio/wav;base64," + base64.b64encode(wav).decode(),
    }
