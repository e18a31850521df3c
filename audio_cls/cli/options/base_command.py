"""Base of all commands: help under headings with examples, -h, and short usage errors."""

from __future__ import annotations

import difflib
import errno
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

import click
from click.types import OptionHelpExtra

from audio_cls.cli.console import (
    echo_stderr,
    is_first_process,
    prepare_streams,
    show_error,
)
from audio_cls.cli.streams import discard_unwritable
from audio_cls.command_names import format_command
from audio_cls.exit_codes import EXIT_FAILED, EXIT_INTERRUPTED
from audio_cls.interrupts import exit_on_interrupt

FLAG_WIDTH = 23  # columns for the flags; a longer one has a line of its own
HEADING = "Options"  # of options without another one
HELP_HEADING = "Presets and help"
NUM_HELP_OPTIONS = 2  # --help and --help-all
TRAINER_NAMES = {  # options of transformers' example scripts -> options of train
    "lr": "learning-rate",
    "num-train-epochs": "epochs",
    "per-device-train-batch-size": "batch-size",
    "per-device-eval-batch-size": "eval-batch-size",
    "model-name-or-path": "model",
    "dataset-name": "dataset",
    "dataset-config-name": "dataset-config",
}
ALL = "audio_cls.help_all"  # where the context keeps that every option is to be shown


class BaseCommand(click.Command):
    """Mix-in for commands and groups, with the help and the errors of this package."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401
        program: str = "",
        examples: Sequence[str] = (),
        **options: Any,  # noqa: ANN401
    ) -> None:
        """Make the command.

        Args:
            args: See `click.Command`.
            program: The command that the examples run: train, evaluate ...
            examples: Its arguments, one text per example.
            options: See `click.Command`.
        """
        super().__init__(*args, **options)
        self.context_settings.setdefault("help_option_names", ["-h", "--help"])
        self.program = program
        self.examples = examples

    @property
    def has_short_help(self) -> bool:
        """Return whether `--help` leaves options out that `--help-all` shows."""
        return any(isinstance(one, HelpOption) and not one.is_common for one in self.params)

    def main(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """Run the command; a usage error is shown in one line, after the usage where it helps."""
        try:
            prepare_streams()
            options["standalone_mode"] = False
            with exit_on_interrupt(is_shown=is_first_process()):
                return super().main(*args, **options)
        except click.UsageError as error:
            show_usage_error(error)
            raise SystemExit(2) from None
        except click.Abort:
            raise SystemExit(EXIT_INTERRUPTED) from None
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            discard_unwritable(sys.stdout)
            show_error(f"The output cannot be written ({error.strerror}). Free space on its disk.")
            raise SystemExit(EXIT_FAILED) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings, those for presets and help last."""
        sections: dict[str, list[tuple[str, str]]] = {HEADING: []}
        for param in self.get_params(ctx):
            record = None if isinstance(param, click.Argument) else param.get_help_record(ctx)
            if record is None or (is_short(ctx) and not getattr(param, "is_common", True)):
                continue
            heading = getattr(param, "heading", HEADING)
            if param is self.get_help_option(ctx) and self.has_short_help:
                heading = HELP_HEADING
            elif is_short(ctx) and heading != HELP_HEADING:
                heading = HEADING
            sections.setdefault(heading, []).append(record)
        sections[HELP_HEADING] = sections.pop(HELP_HEADING, [])
        for heading, records in sections.items():
            if records:
                is_help_alone = heading == HELP_HEADING and len(records) <= NUM_HELP_OPTIONS
                with formatter.section("Help" if is_help_alone else heading):
                    write_options(formatter, records)
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, in the form in which the user started the program."""
        if self.examples:
            program = format_command(self.program)
            with formatter.section("Examples"):
                for example in self.examples:
                    lines = textwrap.wrap(
                        f"{program} {example}",
                        formatter.width - 2,
                        subsequent_indent="  ",
                        break_long_words=False,
                        break_on_hyphens=False,
                    )
                    formatter.write("  " + " \\\n  ".join(lines) + "\n")
        super().format_epilog(ctx, formatter)


def write_options(formatter: click.HelpFormatter, records: Sequence[tuple[str, str]]) -> None:
    """Write options in two columns; flags and other words with a hyphen are not divided."""
    flags = min(FLAG_WIDTH, max(len(flag) for flag, _ in records)) + 2
    width = formatter.width - formatter.current_indent - flags
    rows = []
    for flag, text in records:
        lines = textwrap.wrap(text, width, break_on_hyphens=False)
        rows.append((flag, "\b\n" + "\n".join(lines)))  # \b: click keeps the line breaks
    formatter.write_dl(rows, col_max=FLAG_WIDTH)


def is_short(ctx: click.Context) -> bool:
    """Return whether the help leaves options out."""
    command = ctx.command
    has_short = isinstance(command, BaseCommand) and command.has_short_help
    return has_short and not ctx.meta.get(ALL, False)


class HelpOption(click.Option):
    """An option with a heading, a range, and whether the short help shows it."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401
        heading: str = HEADING,
        is_common: bool = True,
        allowed: str = "",
        **options: Any,  # noqa: ANN401
    ) -> None:
        """Make the option.

        Args:
            args: See `click.Option`.
            heading: Heading in the help.
            is_common: Whether the short help shows it.
            allowed: The range in words; empty without one.
            options: See `click.Option`.
        """
        super().__init__(*args, **options)
        self.heading = heading
        self.is_common = is_common
        self.allowed = allowed

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return flag and text; the short help shows a yes/no option without its --no- form."""
        record = super().get_help_record(ctx)
        if record is None or not is_short(ctx):
            return record
        flags, text = record
        return flags.partition(" / ")[0], text

    def get_help_extra(self, ctx: click.Context) -> OptionHelpExtra:
        """Return the default, on or off for a yes/no option, and in the full help the range."""
        extra = super().get_help_extra(ctx)
        if "default" in extra and self.is_bool_flag:
            extra["default"] = "off" if extra["default"].startswith("no-") else "on"
            if is_short(ctx) and extra["default"] == "off":
                del extra["default"]
        if "default" in extra:
            extra["default"] = extra["default"].removesuffix(".0")
        if is_short(ctx):
            extra.pop("range", None)
        elif self.allowed:
            extra["range"] = self.allowed
        return extra


def show_usage_error(error: click.UsageError) -> None:
    """Write a usage error on standard error: a wrong or missing argument after the usage."""
    text, ctx = error.format_message(), error.ctx
    if isinstance(error, click.exceptions.NoArgsIsHelpError):  # its message is the help
        echo_stderr(text)
        return
    if isinstance(error, click.NoSuchOption) and ctx is not None:
        text = f"There is no option {error.option_name}.{_suggest_flag(ctx, error.option_name)}"
    wrong_use = (click.NoSuchOption, click.NoSuchCommand, click.MissingParameter)
    is_wrong_use = isinstance(error, wrong_use) or text.startswith("Got unexpected extra")
    if is_wrong_use and ctx is not None and is_first_process():
        echo_stderr(ctx.get_usage())
        show_error(text)
        echo_stderr(f"For help: {ctx.command_path} --help")
    else:
        show_error(text)


def _suggest_flag(ctx: click.Context, given: str) -> str:
    """Return " Did you mean --flag?" for the option most like the given one, or ''."""
    options = [one for one in ctx.command.params if isinstance(one, click.Option)]
    flags = {flag.lstrip("-"): flag for one in options for flag in (*one.opts, *one.secondary_opts)}
    name = given.lstrip("-").replace("_", "-")
    nearest = difflib.get_close_matches(name, flags, n=1)
    flag = flags.get(TRAINER_NAMES.get(name) or next(iter(nearest), ""))
    return f" Did you mean {flag}?" if flag else ""


def _show_all(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 (click calls it so)
    """Print the help with every option, and exit."""
    if value and not ctx.resilient_parsing:
        ctx.meta[ALL] = True
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


HELP_ALL = click.option(
    "--help-all",
    cls=HelpOption,
    heading=HELP_HEADING,
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_all,
    help="Show all options, by section, and exit.",
)
