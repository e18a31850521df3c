"""README.md of a Space folder: the front matter that the Hub reads, and how to run the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from audio_cls.publishing.card.markdown import escape
from audio_cls.publishing.leaderboard.card_reader import read_card
from audio_cls.publishing.run_record import is_repo_id, single_line

PYTHON_VERSION = "3.12"  # of CPU and ZeroGPU Spaces; the default of the Hub is 3.10
SDK_VERSION = "6.31.0"  # of gradio
TAG = "audio_cls"
MAX_DESCRIPTION = 60  # characters of the front matter's short_description
LICENSE_KEYS = ("license", "license_name", "license_link")


@dataclass(frozen=True)
class SpaceTexts:
    """Texts about the model in the README of a Space."""

    title: str
    model: str  # Hub id, or a name that is none
    labels: Sequence[str] = ()
    license: dict[str, str] = field(default_factory=dict)  # the keys of the model's card


def read_license(card: Path | None) -> dict[str, str]:
    """Return the keys of the front matter that name a model's licence; empty where there is none.

    Args:
        card: README.md of the model.
    """
    if card is None:
        return {}
    data = read_card(card.read_text("utf-8", errors="replace")).data
    return {key: str(data[key]) for key in LICENSE_KEYS if isinstance(data, dict) and data.get(key)}


def render_readme(texts: SpaceTexts, *, is_static: bool, notes: Sequence[str] = ()) -> str:
    """Return the README.md.

    Args:
        texts: About the model.
        is_static: A static page, otherwise a page of gradio.
        notes: Paragraphs of Markdown that are added.
    """
    gradio = {"sdk_version": SDK_VERSION, "python_version": PYTHON_VERSION, "app_file": "app.py"}
    data: dict[str, object] = {
        "title": single_line(texts.title, 100),
        "emoji": "🔊",
        "colorFrom": "blue",
        "colorTo": "indigo",
        "sdk": "static" if is_static else "gradio",
        **({"app_file": "index.html"} if is_static else gradio),
        "short_description": single_line(f"Audio classifier {texts.model}", MAX_DESCRIPTION),
        "tags": ["audio-classification", TAG],
        **({"models": [texts.model]} if is_repo_id(texts.model) and "/" in texts.model else {}),
        **texts.license,
    }
    front = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1000)
    run = "python -m http.server" if is_static else "pip install -r requirements.txt gradio=="
    run += "" if is_static else f"{SDK_VERSION}\npython app.py"
    model = escape(texts.model)
    parts = [
        f"---\n{front}---\n",
        f"# {escape(texts.title)}\n",
        f"Demo of the audio classifier {model}, written by audio_cls. To run it in a clone:\n",
        f"```bash\n{run}\n```\n",
        *(f"{note}\n" for note in notes),
    ]
    return "\n".join(parts)


def is_space_folder(folder: Path) -> bool:
    """Return whether a folder is one that this package wrote."""
    readme = folder / "README.md"
    if not readme.is_file():
        return False
    data = read_card(readme.read_text("utf-8", errors="replace")).data
    return isinstance(data, dict) and "sdk" in data and TAG in (data.get("tags") or [])
