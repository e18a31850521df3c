"""The card in a run folder, adapted to the repository where it is published.

A card without edits is rendered again for the repository. An edited one, by hand or by
`audio-cls evaluate --update-card`, is kept; only the names of the repository in it are changed.
Cards of former versions, whose title is the name of the run folder, are recognised too.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import replace

from audio_cls.config import CARD_SETTINGS, HubConfig, flag_name
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
    r"(?P<before>pipeline\(\"audio-classification\", model=|Classifier\.from_pretrained\("
    r"|(?m:^model=))"
    r"\"(?P<name>(?:[^\"\\]|\\.)*)\""
)
_ADDRESS = re.compile(
    rf"(?<=https://huggingface\.co/){_ID}(?=/blob/main/results\.json|/resolve/main/samples/)"
)
_INDEX = re.compile(r"^(?P<before>model-index:\n- name: )(?P<name>.*)$", re.MULTILINE)
_HEADING = re.compile(r"^# (?P<title>.*)$", re.MULTILINE)
_TITLE = re.compile(
    r" (?:fine-tuned|trained from scratch|with a linear probe) on "
)  # see `make_title`


def find_repository(card: str) -> str | None:
    """Return the repository in a card's example; None where the example names a folder."""
    found = _EXAMPLE.search(card)
    name = found["name"] if found else ""
    return name if "/" in name and is_repo_id(name) else None


def rename_card(card: str, repo_id: str) -> str:
    """Return a card with this repository in its example, index, URLs and, if it was there, title.

    The title of a card of this version does not name the repository and is kept.
    """
    name = repo_id.rpartition("/")[2]
    shown = name if re.match(r"[A-Za-z]", name) else json.dumps(name)
    index = _INDEX.search(card)
    card = _EXAMPLE.sub(lambda found: f'{found["before"]}"{repo_id}"', card)
    card = _INDEX.sub(lambda found: f"{found['before']}{shown}", card)
    heading, former = _HEADING.search(card), index["name"].strip("'\"") if index else ""
    if heading and not _TITLE.search(former) and _unescape(heading["title"]) == former:
        start, end = heading.span("title")
        card = card[:start] + escape(name) + card[end:]
    return _ADDRESS.sub(repo_id, card)


def _unescape(text: str) -> str:
    r"""Return a text without backslashes and character references of Markdown.

    >>> _unescape("\\_a&#95;"), _unescape("plain")
    ('_a_', 'plain')
    """
    return re.sub(r"\\(?=[!-/:-@\[-`{-~])", "", html.unescape(text))


def choose_card(
    record: RunRecord, names: NameMasker, repo_id: str, cfg: HubConfig | None = None
) -> str:
    """Return the card that is published with a run.

    Args:
        record: The run, not redacted.
        names: Which names of clips and groups are published.
        repo_id: Where it is published.
        cfg: Its texts of the card; None for those of the run's settings.

    Raises:
        RunFolderError: An edited card has group names, which are not published, or lacks a text
            that was given after the training.
    """
    texts = {name: getattr(cfg, name) for name in CARD_SETTINGS} if cfg is not None else {}
    hub = record.settings.get("hub", {})
    new = {name: _to_yaml(value) for name, value in texts.items() if value}
    settings = {**record.settings, "hub": {**hub, **new}}
    fresh = render_card(make_public(replace(record, settings=settings), names), repo_id)
    readme = record.folder / "README.md"
    if not readme.is_file():
        return fresh
    written = readme.read_text("utf-8")
    redacted = make_public(record, choose_names_by_settings(record))
    if written in (render_card(redacted), render_card(redacted, find_repository(written))):
        return fresh
    changed = [flag_name(name) for name, value in new.items() if value != hub.get(name)]
    if changed:
        raise RunFolderError(
            f"{' '.join(changed)} cannot be added to '{readme}', which was edited. Write the text"
            " there and omit the option, or delete the file to have it written again."
        )
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


def _to_yaml(value: object) -> object:
    """Return a setting's value as run_config.yaml has it."""
    return list(value) if isinstance(value, tuple) else value


def _list_places(settings: Mapping[str, Tree]) -> dict[str, str]:
    """Return every path or URL among the settings with its last part, the longest first."""
    values = {
        str(value): to_base_name(str(value))
        for section in settings.values()
        for name, value in section.items()
        if name in {*BASE_NAMES, *SOURCES, *WITHHELD} and re.search(r"[\\/].*[\\/]", str(value))
    }
    return dict(sorted(values.items(), key=lambda pair: -len(pair[0])))
