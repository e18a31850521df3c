"""The web page of an inspection: one file, with histograms and clips to listen to inside."""

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
from audio_cls.storage.files import replace_file

CLIPS_PER_CLASS = 3
MAX_PLAYERS = 60
HEARD_SECONDS: Seconds = 4.0  # of each clip
HEARD_RATE: Hertz = 16_000  # and at most this rate: 128 kB a clip
TEMPLATE = "inspect.html.jinja"


def write_html_report(path: Path, summary: Mapping[str, Any], inspection: DatasetScan) -> None:
    """Write the page of a summary. Creates the folder it lies in."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    text = (resources.files("audio_cls.data.inspection") / TEMPLATE).read_text("utf-8")
    page = environment.from_string(text).render(
        summary,
        bars=scale_bars(summary["durations"]),
        players=make_players(inspection),
        quote=shlex.quote,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, page)


def scale_bars(durations: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the bars of the histogram of durations, heights from 0 to 1."""
    if not durations:
        return []
    counts, edges = durations["histogram"]["counts"], durations["histogram"]["edges"]
    return [
        {"count": count, "height": count / max(counts), "low": low, "high": high}
        for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True)
    ]


def make_players(inspection: DatasetScan) -> dict[str, list[dict[str, str]]]:
    """Choose clips of each class, evenly from its good ones, and encode their beginnings.

    Returns:
        Class -> clips with `id`, `split`, `seconds` and `source`, a data URL of a wav.
    """
    per_class = _rows_of_classes(inspection)
    share = max(1, min(CLIPS_PER_CLASS, MAX_PLAYERS // max(1, len(per_class))))
    players = {}
    for label, rows in list(per_class.items())[:MAX_PLAYERS]:
        good = [r for r in rows if r in inspection.notes and not inspection.notes[r].fault]
        places = np.unique(np.linspace(0, len(good) - 1, min(share, len(good)), dtype=int))
        players[label] = [_make_player(inspection, good[place]) for place in places]
    return players


def _rows_of_classes(inspection: DatasetScan) -> dict[str, list[int]]:
    """Return the rows of each class; all rows under one name where there are no labels."""
    labels = inspection.labels
    if labels is None:
        return {"all clips": list(range(inspection.num_clips))}
    ids = np.concatenate([labels.ids[split] for split in inspection.source.splits])
    return {name: np.flatnonzero(ids == place).tolist() for place, name in enumerate(labels.names)}


def _make_player(inspection: DatasetScan, row: int) -> dict[str, str]:
    """Encode the beginning of a clip."""
    sound = decode_file(*inspection.read_clip(row))
    rate = min(sound.sampling_rate, HEARD_RATE)
    heard = mix_channels(sound.samples[: round(HEARD_SECONDS * sound.sampling_rate)])
    wav = encode_wav(resample(heard, sound.sampling_rate, rate), rate)
    return {
        "id": str(inspection.ids[row]),
        "split": str(inspection.split_of[row]),
        "seconds": f"{inspection.notes[row].seconds:.2f}",
        "source": "data:audio/wav;base64," + base64.b64encode(wav).decode(),
    }
