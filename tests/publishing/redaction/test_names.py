"""Clips are published as numbers where their names hold those of groups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_run import REPO, make_run

from audio_cls.config import HubConfig
from audio_cls.publishing.card.card import write_card
from audio_cls.publishing.hub.files import gather_files


def read_text(content: bytes | Path) -> str:
    """Return a published text."""
    return content.decode() if isinstance(content, bytes) else content.read_text("utf-8")


def _ids() -> Iterator[tuple[dict[str, Any], str, bool]]:
    speaker = {"group_column": "speaker"}
    yield {"group_pattern": r"(ann\d)_"}, "x.wav,1,", True
    yield speaker, "calls/Ann-2.wav,ann,\nb.wav,bob,", True
    yield speaker, "annual.wav,ann,", False
    yield speaker, "a-1.wav,1,\nb-1.wav,2,", False
    yield speaker, "a-1.wav,1,\na-2.wav,2,", True
    yield speaker | {"test_groups": ["blues"]}, "a.wav,blues,", False
    yield {}, "ann.wav,,", False
    # other signs, case, accents or form between the letters; short names next to digits
    yield speaker, "Ann_Smith/take0.wav,Ann Smith,", True
    yield speaker, "AnnSmith0.wav,ann smith,", True
    yield speaker, "jose\u0301.wav,Jos\u00e9,", True
    yield speaker, "ann0.wav,Ann,", True
    yield speaker, "\u5f55\u738b\u660e.wav,\u738b\u660e,", True
    yield speaker, "take0.wav,Ann Smith,", False
    # a number of four or more digits is a name, whether or not every clip has its own
    yield speaker, "p880412_0.wav,880412,\nx.wav,880413,", True
    yield speaker, "p412_0.wav,412,\nx.wav,413,", False
    # the names of folds, whichever of them was tested
    for fold in ("1", "ann"):
        folds = {"fold_column": "speaker", "folds": 4, "fold": fold}
        yield folds, "ann_0.wav,,ann\nbob_0.wav,,bob", True
    yield {"fold_column": "fold", "fold": "1"}, "1-100.wav,,1\nfold2.wav,,fold2", False


@pytest.mark.parametrize(("data", "table", "are_numbered"), list(_ids()))
def test_clips_are_numbered_where_their_names_hold_the_groups(
    data: dict[str, Any],
    table: str,
    are_numbered: bool,  # noqa: FBT001 (a case of the test)
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = make_run(tmp_path / "run", settings={"data": data, "hub": {}})
    (run / "splits" / "groups.csv").write_text(f"id,group,fold\n{table}\n", "utf-8")
    write_card(run)
    files = gather_files(run, REPO, HubConfig())
    assert (read_text(files["splits/test.txt"]) == "clip 1\nclip 2\n") is are_numbered
    assert ("both are published as numbers" in caplog.text) is are_numbered
    assert "splits/groups.csv" not in files
    files = gather_files(run, REPO, HubConfig(publish_ids="all"))
    assert read_text(files["splits/test.txt"]) == "blues/00001.wav\njazz/00002.wav\n"
    assert "splits/groups.csv" not in files


def test_names_of_speakers_in_train_and_validation_alone_are_not_published(tmp_path: Path) -> None:
    """The ids of test hold no name, and clips.csv has the groups of test only."""
    run = make_run(tmp_path / "run", settings={"data": {"group_column": "speaker"}, "hub": {}})
    (run / "clips.csv").write_text("id,seconds,group\nblues/00001.wav,1,cy\n")
    clips = {"train": "ann_0.wav", "validation": "bob_0.wav", "test": "blues/00001.wav"}
    for role, clip in clips.items():
        (run / "splits" / f"{role}.txt").write_text(f"{clip}\n")
    rows = ["id,group,fold", "ann_0.wav,ann,", "bob_0.wav,bob,", "blues/00001.wav,cy,"]
    (run / "splits" / "groups.csv").write_text("\n".join(rows) + "\n")
    files = gather_files(run, REPO, HubConfig())
    shown = [read_text(files[f"splits/{role}.txt"]) for role in clips]
    assert shown == ["clip 1\n", "clip 2\n", "clip 3\n"]
    everything = b"\n".join(part for part in files.values() if isinstance(part, bytes))
    assert b"ann_0" not in everything and b"bob_0" not in everything


@pytest.mark.parametrize("name", ["group_column", "fold_column", None])
def test_clips_of_a_run_whose_groups_are_unknown_are_numbered(
    name: str | None, tmp_path: Path
) -> None:
    """Earlier versions kept the groups of the test clips alone."""
    run = make_run(tmp_path / "run", settings={"data": {name: "speaker"} if name else {}})
    (run / "clips.csv").write_text("id,group\nblues/00001.wav,ann\n")
    test = read_text(gather_files(run, REPO, HubConfig())["splits/test.txt"])
    assert test == ("clip 1\nclip 2\n" if name else "blues/00001.wav\njazz/00002.wav\n")
