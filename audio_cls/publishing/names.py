"""Which names of the data are published: of clips, of groups such as speakers, or none.

Comes in: a text file of the run folder, whose own copy keeps every name. Goes out: the same with
`group 1`, `group 2` ... in the order of the table for the groups, and where nothing is to be named
`clip 1`, `clip 2` ... for the clips, one number a clip in all files.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from audio_cls.config import HubConfig

CLIP_COLUMNS = ("id", "same_as")  # of the tables of clips
LISTS = ("splits/train.txt", "splits/validation.txt", "splits/test.txt")


@dataclass(frozen=True)
class Names:
    """What takes the place of the names that stay at home."""

    hides_groups: bool
    clips: Mapping[str, str] = field(default_factory=dict)  # clip id -> number; empty to keep them

    def hide(self, name: str, text: str) -> str:
        """Replace the names in one file; one without such names comes back as it was.

        Args:
            name: Its place in the run folder.
            text: Its content.
        """
        place = PurePosixPath(name)
        if name == "results.json":
            return self._hide_in_results(text)
        if self.clips and place.suffix == ".csv":
            return self._hide_in_csv(text)
        if self.clips and place.parts[0] == "splits":
            return "".join(f"{self.clips.get(line, line)}\n" for line in text.splitlines())
        return text

    def _hide_in_results(self, text: str) -> str:
        """Number the groups of the table by group, and the clips of the lists of clips."""
        results = json.loads(text)
        test = results.get("test")
        if isinstance(test, dict):
            groups = test.get("by_group")
            if self.hides_groups and isinstance(groups, dict):
                rows = enumerate(groups.values(), start=1)
                test["by_group"] = {f"group {number}": row for number, row in rows}
            self._hide_in_rows(test.get("confident_mistakes"))
        self._hide_in_rows(results.get("samples"))
        if results == json.loads(text):
            return text
        return json.dumps(results, indent=2, ensure_ascii=False) + "\n"

    def _hide_in_rows(self, rows: Any) -> None:  # noqa: ANN401 (any JSON value)
        """Number the clips of a list of rows in place."""
        for row in rows if isinstance(rows, list) else []:
            if isinstance(row, dict) and row.get("id") in self.clips:
                row["id"] = self.clips[row["id"]]

    def _hide_in_csv(self, text: str) -> str:
        """Number the clips in the columns that name them."""
        rows = list(csv.reader(io.StringIO(text, newline="")))
        places = [i for i, column in enumerate(rows[0] if rows else []) if column in CLIP_COLUMNS]
        for row in rows[1:]:
            for i in places:
                if i < len(row):
                    row[i] = self.clips.get(row[i], row[i])
        out = io.StringIO(newline="")
        csv.writer(out, lineterminator="\n").writerows(rows)
        return out.getvalue()


def choose_names(run: Path, cfg: HubConfig) -> Names:
    """Read what is to be replaced from a run folder, as `--publish-names` says."""
    if cfg.publish_names == "all":
        return Names(hides_groups=False)
    if cfg.publish_names == "clips":
        return Names(hides_groups=True)
    ids: dict[str, str] = {}
    for name in LISTS:
        if (run / name).is_file():
            _number((run / name).read_text("utf-8", errors="replace").splitlines(), ids)
    for name in ("predictions.csv", "bad_audio.csv", "duplicates.csv"):
        if (run / name).is_file():
            with (run / name).open(newline="", encoding="utf-8", errors="replace") as file:
                rows = list(csv.DictReader(file))
            _number([row[key] for row in rows for key in CLIP_COLUMNS if row.get(key)], ids)
    return Names(hides_groups=True, clips=ids)


def _number(names: list[str], ids: dict[str, str]) -> None:
    """Give each name that has none the next number, in place."""
    for name in names:
        ids.setdefault(name, f"clip {len(ids) + 1}")
