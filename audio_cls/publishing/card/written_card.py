"""The card in a run folder, adapted to the repository where it is published.

A card that nobody edited is rendered again for the repository. An edited one, by hand or by
`audio-cls evaluate --update-card`, is kept; only the names of the repository in it are changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from audio_cls.errors import RunFolderError, list_names
from audio_cls.publishing.card.card import render_card
from audio_cls.publishing.card.markdown import escape
from audio_cls.publishing.redaction.names import (
    NameMasker,
    choose_names_by_settings,
    names_group,
    read_publish_ids,
)
from audio_cls.publishing.redaction.results import make_public
from audio_cls.publishing.redaction.settings import BASE_NAMES, SOURCES, WITHHELD
from audio_cls.publishing.redaction.text import to_base_name
from audio_cls.publishing.run_record import RunRecord, Tree, is_repo_id

# Patterns of the repository's id or name in a card of `render_card`.
_ID = r"[\w.-]+/[\w.-]+"
_EXAMPLE = re.compile(
    r"(?P<before>pipeline\(\"audio-classification\", model=|Classifier\.from_pretrained\()"
    r"\"(?P<name>(?:[^\"\\]|\\.)*)\""
)
_ADDRESS = re.compile(
    rf"(?<=https://huggingface\.co/){_ID}(?=/blob/main/results\.json|/resolve/main/samples/)"
)
_INDEX = re.compile(r"^(?P<before>model-index:\n- name: )(?P<name>.*)$", re.MULTILINE)


def find_repository(card: str) -> str | None:
    """Return the repository in a card's example; None where the example names a folder."""
    found = _EXAMPLE.search(card)
    name = found["name"] if found else ""
    return name if "/" in name and is_repo_id(name) else None


def rename_card(card: str, repo_id: str) -> str:
    """Return a card with this repository in its example, index, URLs and title."""
    name = repo_id.rpartition("/")[2]
    shown = name if re.match(r"[A-Za-z]", name) else json.dumps(name)
    index = _INDEX.search(card)
    card = _EXAMPLE.sub(lambda found: f'{found["before"]}"{repo_id}"', card)
    card = _INDEX.sub(lambda found: f"{found['before']}{shown}", card)
    if index is not None:
        title = re.escape(f"# {escape(index['name'])}")
        card = re.sub(rf"^{title}$", lambda _: f"# {escape(name)}", card, count=1, flags=re.M)
    return _ADDRESS.sub(repo_id, card)


def choose_card(record: RunRecord, names: NameMasker, repo_id: str) -> str:
    """Return the card that is published with a run.

    Args:
        record: The run, not redacted.
        names: Which names of clips and groups are published.
        repo_id: Where it is published.

    Raises:
        RunFolderError: An edited card has group names, which are not published.
    """
    fresh = render_card(make_public(record, names), repo_id)
    readme = record.folder / "README.md"
    if not readme.is_file():
        return fresh
    written = readme.read_text("utf-8")
    redacted = make_public(record, choose_names_by_settings(record))
    if written in (render_card(redacted), render_card(redacted, find_repository(written))):
        return fresh
    named = [one for one in names.groups if len(one) > 2 and names_group(written, one)]
    if named:
        raise RunFolderError(
            f"'{readme}' names groups ({list_names(named)}), which --publish-ids"
            f" {read_publish_ids(record.settings)} does not publish. Take them out of the text,"
            " delete the file so that it is written again, or give --publish-ids all."
        )
    for private, public in _list_places(record.settings).items():
        written = written.replace(private, public)
    return rename_card(written, repo_id)


def _list_places(settings: Mapping[str, Tree]) -> dict[str, str]:
    """Return every path or URL among the settings with its last part, the longest first."""
    values = {
        str(value): to_base_name(str(value))
        for section in settings.values()
        for name, value in section.items()
        if name in {*BASE_NAMES, *SOURCES, *WITHHELD} and re.search(r"[\\/].*[\\/]", str(value))
    }
    return dict(sorted(values.items(), key=lambda pair: -len(pair[0])))
