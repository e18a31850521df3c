"""Samples on the model's page: few, short, and only where the licence allows it."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset
from fake_run import make_results, make_run
from hub_cards import check_card, read_front_matter
from hub_server import HubServer

from audio_cls.config import HubConfig
from audio_cls.data.clips.clips import Clips
from audio_cls.publishing.audio_samples import save_samples
from audio_cls.publishing.card.card import render_card
from audio_cls.publishing.hub.push import push_run
from audio_cls.publishing.run_record import load_run

LABELS = ["blues: # <b>", "jazz", "rock", "soul"]


@pytest.fixture
def clips() -> Clips:
    """Eight clips of four classes, 0.5 s of a ramp at 8 kHz; the last is 12 s."""
    waves = [np.linspace(-1, 1, 4_000, dtype=np.float32)] * 7 + [np.zeros(96_000, np.float32)]
    return Clips(
        Dataset.from_dict({"wave": waves}),
        np.arange(8),
        np.array([3, 3, 3, 3, 1, 1, 0, 2]),
        np.array([f"clip-{n}" for n in range(8)]),
        np.array([len(one) for one in waves]),
        8_000,
    )


def test_the_first_clip_of_three_classes_is_kept_and_cut_to_ten_seconds(
    clips: Clips, tmp_path: Path
) -> None:
    samples = save_samples(tmp_path, clips, LABELS, "cc-by-4.0")
    assert [one["id"] for one in samples] == ["clip-0", "clip-4", "clip-6"]
    assert [one["label"] for one in samples] == ["soul", "jazz", "blues: # <b>"]
    with wave.open(str(tmp_path / "samples" / "1.wav")) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (1, 8_000, 4_000)
        pcm = np.frombuffer(file.readframes(4_000), "<i2")
    assert np.abs(pcm / 32767 - np.linspace(-1, 1, 4_000)).max() < 1e-4


def test_a_long_clip_is_cut(clips: Clips, tmp_path: Path) -> None:
    late = Clips(clips.table, *(part[7:] for part in (clips.rows, clips.labels, clips.ids)),
                 clips.lengths[7:], 8_000)  # fmt: skip
    save_samples(tmp_path, late, LABELS, "mit")
    with wave.open(str(tmp_path / "samples" / "1.wav")) as file:
        assert file.getnframes() == 80_000


@pytest.mark.parametrize("license_id", [None, "unknown", "other", "cc-by-nc-4.0", "cc-by-nd-4.0"])
def test_without_a_free_licence_no_clip_is_kept(
    license_id: str | None, clips: Clips, tmp_path: Path
) -> None:
    assert save_samples(tmp_path, clips, LABELS, license_id) == []
    assert not (tmp_path / "samples").exists()


@pytest.mark.usefixtures("logged_in")
def test_samples_are_published_and_the_card_points_at_them(
    clips: Clips, hub: HubServer, tmp_path: Path
) -> None:
    run, results = tmp_path / "run", make_results()
    run.mkdir()
    results["samples"] = save_samples(run, clips, LABELS, "cc0-1.0")
    results["samples"].append({"file": "samples/gone.wav", "label": "x", "id": "y"})
    make_run(run, results)
    assert "widget" not in (read_front_matter(render_card(load_run(run))) or {})
    push_run(run, HubConfig(), "tester/run")
    files = hub.files("models", "tester/run")
    card = files["README.md"].decode()
    assert check_card(card, "models") == ([], [])
    widget = (read_front_matter(card) or {})["widget"]
    assert [one["example_title"] for one in widget] == ["soul", "jazz", "blues: # <b>"]
    for one in widget:
        name = one["src"].partition("/resolve/main/")[2]
        assert files[name][:4] == b"RIFF"
