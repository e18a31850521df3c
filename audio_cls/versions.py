"""Versions of Python and of the libraries, and a warning where those of an earlier run differ."""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from audio_cls import __version__
from audio_cls.run_warnings import warn

LIBRARIES = ("torch", "transformers", "datasets", "accelerate", "evaluate", "huggingface_hub")

logger = logging.getLogger(__name__)


def describe_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries."""
    found = {name: metadata.version(name) for name in LIBRARIES}
    return {"audio_cls": __version__, "python": platform.python_version(), **found}


def warn_other_versions(record: Mapping[str, Any] | None) -> None:
    """Warn where a run is resumed or repeated with other versions than it began with.

    Args:
        record: `record` of its run_config.yaml; one without versions, of an earlier version of
            this package, gives no warning.
    """
    before, now = (record or {}).get("versions") or {}, describe_versions()
    changed = [
        f"{name} {before[name]} is now {version}"
        for name, version in now.items()
        if before.get(name) not in (None, version)
    ]
    if changed:
        warn(
            logger,
            f"The run began with other versions: {', '.join(changed)}. Its numbers may differ;"
            " install the versions in its run_config.yaml to repeat it exactly.",
        )
