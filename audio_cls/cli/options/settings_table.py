"""Generated blocks of the docs: tables of all settings, and of the files of a run folder.

python -m audio_cls.cli.options.settings_table docs/*.md  # rewrites what is between the markers
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

from audio_cls.config import flag_name, iterate_settings
from audio_cls.runs import run_files


def format_settings() -> str:
    """Return a Markdown table per group of settings: option, default, meaning with its range."""
    lines = []
    groups = itertools.groupby(iterate_settings(), lambda one: (one.group, one.section))
    for (group, section), settings in groups:
        introduction = str(group.__doc__).partition("\n")[0]
        lines += ["", f"## {group.heading}", ""]
        lines += [f"{introduction} Section of a YAML file: `{section}`.", ""]
        lines += ["| option | default | meaning |", "|---|---|---|"]
        for one in settings:
            default = "" if one.default in (None, ()) else str(one.default).removesuffix(".0")
            default = default.replace("False", "off")
            notes = [note for note in (" \\| ".join(one.choices), one.allowed) if note]
            meaning = one.meaning + (f" ({'; '.join(notes)})" if notes else "")
            lines.append(f"| `{flag_name(one.name)}` | {default} | {meaning} |")
    return "\n".join([*lines[1:], ""])


BLOCKS: dict[str, Callable[[], str]] = {  # name in the markers -> the block
    "settings": format_settings,
    "run folder": run_files.format_table,
}


def rewrite(text: str) -> str:
    """Return a document with its generated blocks made again; it may have any of them."""
    for name, make in BLOCKS.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        if begin in text:
            before, rest = text.split(begin)
            _, after = rest.split(end)
            text = f"{before}{begin}\n{make()}\n{end}{after}"
    return text


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(rewrite(path.read_text("utf-8")), "utf-8")
