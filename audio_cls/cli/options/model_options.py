"""Options of several commands that load a trained model, MODEL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from audio_cls.cli.options.base_command import HelpOption

Decorator = Callable[[Any], Any]


def revision(**words: Any) -> Decorator:  # noqa: ANN401
    """Return the option --revision; `words` are further arguments of `HelpOption`."""
    return click.option(
        "--revision",
        cls=HelpOption,
        help="Branch, tag or commit of MODEL on the Hub. Default: the newest.",
        **words,
    )


def device(**words: Any) -> Decorator:  # noqa: ANN401
    """Return the option --device."""
    return click.option(
        "--device",
        cls=HelpOption,
        help="cpu, cuda, cuda:1, mps. Default: an accelerator if there is one.",
        **words,
    )


def calibrate(**words: Any) -> Decorator:  # noqa: ANN401
    """Return the option --calibrate, which is on by default."""
    return click.option(
        "--calibrate/--no-calibrate",
        cls=HelpOption,
        default=True,
        show_default=True,
        help="Apply the temperature fitted on validation to the scores.",
        **words,
    )


def trust_remote_code(**words: Any) -> Decorator:  # noqa: ANN401
    """Return the option --trust-remote-code."""
    return click.option(
        "--trust-remote-code",
        cls=HelpOption,
        is_flag=True,
        help="Run code from the model's repository; on the Hub, --revision must be a commit.",
        **words,
    )
