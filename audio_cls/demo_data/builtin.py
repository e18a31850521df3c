"""`builtin:` ids of the data set and the model that ship with the package (see NOTICE).

`builtin:tiny_speech` is a data set of 180 telephone prompts, `builtin:tiny_model` the configuration
of a network small enough to learn them from random weights.
"""

from __future__ import annotations

from pathlib import Path

from audio_cls.errors import AudioClsError

BUILTIN = "builtin:"


def locate_builtin(name: str) -> Path | None:
    """Return the folder that `builtin:NAME` names, or None for any other text.

    Raises:
        AudioClsError: Nothing of that name ships with the package.
    """
    if not name.startswith(BUILTIN):
        return None
    folder = Path(__file__).parent / name.removeprefix(BUILTIN)
    if not folder.is_dir() or folder.parent != Path(__file__).parent:
        raise AudioClsError(
            f"'{name}' does not ship with the package: give builtin:tiny_speech (a data set) or"
            " builtin:tiny_model (a model)."
        )
    return folder
