"""Tests of audio_cls.data.clips.metadata."""

from __future__ import annotations

from pathlib import Path

from prepared import prepare
from sounds import encode_sound, make_tone

from audio_cls.data.clips.metadata import read_clip_metadata
from audio_cls.data.prepare import prepare_split


def test_lengths_rates_and_groups_come_from_the_cache(tmp_path: Path) -> None:
    rates = {"ann": 8_000, "bob": 22_050, "eve": 44_100}
    for label, hz in (("high", 900), ("low", 300)):
        (tmp_path / label).mkdir()
        for name, rate in rates.items():
            for number in range(2):
                tone = make_tone(hz + number, 0.1 * (1 + number), rate)
                (tmp_path / label / f"{name}-{number}.wav").write_bytes(encode_sound(tone, rate))
    cfg, source, _, index, _, clips = prepare(tmp_path, group_pattern=r"(\w+)-\d")
    evaluated, _ = prepare_split(source, index, index.split_rows["train"][::-1], 16_000, cfg)
    for path in tmp_path.rglob("*.wav"):
        path.unlink()
    for part in (clips.train, clips.validation, clips.test, evaluated):
        names = [name.split("/")[-1].split("-")[0] for name in part.ids]
        seconds = [0.1 * (1 + int(name.split("-")[-1][0])) for name in part.ids]
        found = read_clip_metadata(part)
        assert found.sampling_rates.tolist() == [rates[name] for name in names]
        assert found.groups is not None and found.groups.tolist() == names
        assert abs(found.seconds - seconds).max() < 2e-3
    assert len(evaluated) == 12
