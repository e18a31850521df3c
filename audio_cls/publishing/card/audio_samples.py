"""Two or three test clips to listen to on the model's page, where the data set's licence allows it.

Comes in: the test clips and the data set's licence. Goes out: RUN/samples/*.wav and what the card's
`widget` needs. A licence that is unknown, or that forbids a use, publishes no clip.
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
# Licences under which anybody may pass a recording on, for any purpose, when its source is named.
FREE_LICENSES = frozenset(
    {"cc0-1.0", "pddl", "unlicense", "mit", "apache-2.0", "bsd", "bsd-2-clause", "bsd-3-clause"}
    | {f"cc-by-{version}" for version in ("2.0", "2.5", "3.0", "4.0")}
    | {"cc-by-sa-3.0", "cc-by-sa-4.0", "odc-by", "cdla-permissive-1.0", "cdla-permissive-2.0"}
)


def save_samples(
    run: Path, clips: Clips, labels: Sequence[str], license_id: str | None
) -> list[dict[str, str]]:
    """Write the first test clip of each of the first three classes. Main process only.

    RUN/samples/
      1.wav 2.wav 3.wav   16-bit mono at the model's rate, their first ten seconds

    Args:
        run: The run folder.
        clips: The test clips.
        labels: The labels' names.
        license_id: The data set's licence on the Hub.

    Returns:
        File, label and clip id of each; nothing when the licence does not allow it.
    """
    if license_id not in FREE_LICENSES or clips.labels.ndim > 1:
        return []
    _, firsts = np.unique(clips.labels, return_index=True)
    samples = []
    for place, number in enumerate(sorted(int(n) for n in firsts)[:NUM_SAMPLES], start=1):
        path = run / "samples" / f"{place}.wav"
        path.parent.mkdir(exist_ok=True)
        stop = min(int(clips.lengths[number]), MAX_SAMPLE_SECONDS * clips.sampling_rate)
        path.write_bytes(encode_wav(clips.read_wave(number, 0, stop), clips.sampling_rate))
        label, name = labels[int(clips.labels[number])], str(clips.ids[number])
        samples.append({"file": f"samples/{path.name}", "label": label, "id": name})
    return samples


def make_widget(record: RunRecord, repo_id: str | None) -> list[dict[str, str]] | None:
    """Return the card's `widget`: a title and the address of each sample that is there."""
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
