"""The private list of the groups and folds of a run's clips."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from hub_datasets import load, write_clips

from audio_cls.config import DataConfig
from audio_cls.data.labels.labels import parse_labels
from audio_cls.data.prepare import PreparedClips, prepare_clips
from audio_cls.data.splits.clip_index import build_clip_index
from audio_cls.data.splits.splits import make_splits


def prepare(folder: Path, **settings: Any) -> PreparedClips:  # noqa: ANN401
    """Decode the clips of a folder."""
    cfg = DataConfig(max_bad_audio_ratio=0.1, **settings)
    source = load(folder, **settings)
    labels = parse_labels(source.splits, cfg)
    pool = build_clip_index(source, labels, cfg)
    return prepare_clips(source, labels, pool, make_splits(pool, cfg), 16_000, cfg)


def test_the_run_keeps_the_group_and_fold_of_every_clip(tmp_path: Path) -> None:
    """Of all splits and of clips set aside, for publishing: see publishing/names.py."""
    speakers = ["ann", "bob", "cy", "dee"] * 5
    names = [f"{label}/{number}.wav" for label in ("cat", "dog") for number in range(10)]
    rows = [["file_name", "label", "speaker"]]
    rows += [[name, name[:3], who] for name, who in zip(names, speakers, strict=True)]
    write_clips(tmp_path / "set", names)
    (tmp_path / "set" / names[0]).write_bytes(b"")
    (tmp_path / "set" / "metadata.csv").write_text("".join(",".join(r) + "\n" for r in rows))
    expected = {name: who for name, _, who in rows[1:]}
    for column, settings in {
        "group": {"group_column": "speaker"},
        "fold": {"fold_column": "speaker", "folds": 4, "fold": "1"},
    }.items():
        clips = prepare(tmp_path / "set", **settings)
        clips.save(tmp_path)
        with (tmp_path / "splits" / "groups.csv").open(newline="") as file:
            found = list(csv.DictReader(file))
        assert {row["id"]: row[column] for row in found} == expected and len(found) == len(names)
        assert not any(row["fold" if column == "group" else "group"] for row in found)
    clips = prepare(tmp_path / "set")
    clips.save(tmp_path)
    assert (tmp_path / "splits" / "groups.csv").read_text().split() == ["id,group,fold"]
