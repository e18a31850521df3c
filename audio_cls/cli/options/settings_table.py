"""README's table of settings, made from `audio_cls.config`.

python -m audio_cls.cli.options.settings_table README.md  # rewrites the part between the markers
"""

from __future__ import annotations

import sys
from pathlib import Path

from audio_cls.config import flag_name, iterate_settings

BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"


def format_table() -> str:
    """Return a Markdown table of every setting: flag, default, meaning with its range."""
    lines = ["| flag | default | meaning |", "|---|---|---|"]
    for one in iterate_settings():
        default = "" if one.default in (None, ()) else str(one.default).replace("False", "no")
        notes = [note for note in (" \\| ".join(one.choices), one.allowed) if note]
        meaning = one.meaning + (f" ({'; '.join(notes)})" if notes else "")
        lines.append(f"| `{flag_name(one.name)}` | {default} | {meaning} |")
    return "\n".join(lines)


def rewrite(text: str) -> str:
    """Return a document with the table between its markers made anew."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{format_table()}\n{END}{after}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(rewrite(path.read_text("utf-8")), "utf-8")
