"""The command `audio-cls`, which groups what needs no script."""

from __future__ import annotations

import click

from audio_cls.cli.cache import cache


@click.group()
def main() -> None:
    """Train, evaluate and publish audio classifiers."""


main.add_command(cache)
