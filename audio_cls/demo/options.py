"""DemoOptions: the options of the page, from the command line or from the app.py of a Space."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DemoOptions:
    """Options of the page, see `audio-cls demo --help`."""

    title: str | None = None  # default: the last part of the model's folder or id
    dataset: str | None = None
    label_column: str | None = None
    port: int | None = None
    max_seconds: float = 600.0
    max_megabytes: float = 50.0
    calibrate: bool = True
    trust_remote_code: bool = False
    overwrite: bool = False  # replace an earlier Space folder
