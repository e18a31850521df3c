"""The private list of the groups and folds of a run's clips."""

from __future__ import annotations

import csv
from pathlib import Path

from hub_datasets import write_clips
from prepared import prepare


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
        clips = prepare(tmp_path / "set", max_bad_audio_ratio=0.1, **settings).clips
        clips.save(tmp_path)
        with (tmp_path / "splits" / "groups.csv").open(newline="") as file:
            found = list(csv.DictReader(file))
        assert {row["id"]: row[column] for row in found} == expected and len(found) == len(names)
        assert not any(row["fold" if column == "group" else "group"] for row in found)
    clips = prepare(tmp_path / "set").clips
    clips.save(tmp_path)
    assert (tmp_path / "splits" / "groups.csv").read_text().split() == ["id,group,fold"]
