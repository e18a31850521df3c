"""Audio samples for the model page: some test clips, where the data set's licence allows it.

They are RUN/samples/*.wav and the card's `widget`. Under an unknown licence, or one that forbids a
use, no clip is published.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from audio_cls.audio.files import encode_wav
from audio_cls.data.clips.clips import Clips
from audio_cls.publishing.run_record import MAX_FRONT_MATTER, RunRecord, single_line

NUM_SAMPLES = 3
MAX_SAMPLE_SECONDS = 10
# Licences that allow redistribution for any purpose, with attribution.
FREE_LICENSES = frozenset(
    {"cc0-1.0", "pddl", "unlicense", "mit", "apache-2.0", "bsd", "bsd-2-clause", "bsd-3-clause"}
    | {f"cc-by-{version}" for version in ("2.0", "2.5", "3.0", "4.0")}
    | {"cc-by-sa-3.0", "cc-by-sa-4.0", "odc-by", "cdla-permissive-1.0", "cdla-permissive-2.0"}
)


def save_samples(
    run: Path, clips: Clips, labels: Sequence[str], license_id: str | None
) -> list[dict[str, str]]:
    """Write the first test clip of each of the first three classes. Main process only.

    ::

        RUN/samples/
          1.wav 2.wav 3.wav   16-bit mono at the model's sampling rate, the first ten seconds

    Args:
        run: The run folder.
        clips: The test clips.
        labels: Names of the labels.
        license_id: The data set's licence on the Hub.

    Returns:
        File, label and clip id of each; nothing if the licence does not allow it.
    """
    if license_id not in FREE_LICENSES or clips.labels.ndim > 1:
        return []
    _, firsts = np.unique(clips.labels, return_index=True)
    samples = []
    for number, row in enumerate(sorted(int(n) for n in firsts)[:NUM_SAMPLES], start=1):
        path = run / "samples" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        stop = min(int(clips.lengths[row]), MAX_SAMPLE_SECONDS * clips.sampling_rate)
        path.write_bytes(encode_wav(clips.read_wave(row, 0, stop), clips.sampling_rate))
        label, name = labels[int(clips.labels[row])], str(clips.ids[row])
        samples.append({"file": f"samples/{path.name}", "label": label, "id": name})
    return samples


def make_widget(record: RunRecord, repo_id: str | None) -> list[dict[str, str]] | None:
    """Return the card's `widget`: title and URL of each sample that exists."""
    if repo_id is None:
        return None
    names = {path.name for path in record.folder.glob("samples/*.wav")}
    widget = [
        {
            "example_title": single_line(one.get("label"), MAX_FRONT_MATTER),
            "src": f"https://huggingface.co/{repo_id}/resolve/main/{one.get('file')}",
        }
        for one in record.results.samples or []
        if one.get("file", "").removeprefix("samples/") in names
    ]
    return widget or None
