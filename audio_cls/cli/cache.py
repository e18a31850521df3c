"""Command `cache`: list the cached files with their sizes, and delete them."""

from __future__ import annotations

from datetime import datetime

import click

from audio_cls.cli.console import echo_stderr
from audio_cls.cli.options.base_command import BaseCommand
from audio_cls.errors import count_of

UNITS = ("B", "kB", "MB", "GB", "TB")


class CacheGroup(BaseCommand, click.Group):
    """The group of the cache commands."""

    command_class = BaseCommand


@click.group(
    cls=CacheGroup,
    program="cache",
    examples=("size", "list", "clear --older-than 30"),
)
def main() -> None:
    """List or delete cached files: decoded clips, tables, output of frozen layers.

    Deleted files are computed again when they are needed. The folder is
    HF_DATASETS_CACHE/audio_cls.
    """


@main.command("list")
def list_cache() -> None:
    """List the cached files: size, last use and kind, with the folder below."""
    from audio_cls.storage.cache import cache_root
    from audio_cls.storage.inventory import list_items, list_unknown

    items, root = [*list_items(), *list_unknown()], cache_root()
    for item in items:
        used = datetime.fromtimestamp(item.last_used).strftime("%Y-%m-%d %H:%M")
        mark = "  in use" if item.is_used else ""
        click.echo(f"{format_bytes(item.num_bytes):>9}  {used}  {item.what}{mark}")
        is_below = item.path.is_relative_to(root)
        click.echo(f"{'':>11}{item.path.relative_to(root) if is_below else item.path}")
    _show_total(sum(item.num_bytes for item in items))


@main.command("size")
def show_size() -> None:
    """Show the size of each kind of cache, and the total."""
    from audio_cls.storage.cache import KINDS
    from audio_cls.storage.inventory import list_items, list_unknown

    items = [*list_items(), *list_unknown()]
    for kind, what in [*KINDS.items(), ("", "caches of an older version")]:
        num_bytes = sum(item.num_bytes for item in items if item.kind == kind)
        click.echo(f"{format_bytes(num_bytes):>9}  {what}")
    _show_total(sum(item.num_bytes for item in items))


@main.command("clear")
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="DAYS",
    help="Delete only what was not used in the last DAYS days. Default: everything.",
)
@click.option("--yes", is_flag=True, help="Delete without asking.")
def clear_cache(*, older_than: float, yes: bool) -> None:
    """Delete cached files, except those that a run is using."""
    from audio_cls.storage.inventory import clear_items, select_unused

    items = select_unused(min_age_days=older_than)
    num_bytes = sum(item.num_bytes for item in items)
    question = f"Delete {format_bytes(num_bytes)} in {count_of(len(items), 'folder')}?"
    if items and not yes and not click.confirm(question):
        return
    kept = clear_items(items)
    freed = num_bytes - sum(item.num_bytes for item in kept)
    click.echo(f"Deleted {format_bytes(freed)}.")
    for item in kept:
        echo_stderr(f"In use, not deleted: {item.path}")


def format_bytes(num_bytes: float) -> str:
    """Return a size with its unit.

    >>> format_bytes(0), format_bytes(1_234_000)
    ('0 B', '1.23 MB')
    """
    for unit in UNITS:
        if num_bytes < 1_000 or unit == UNITS[-1]:
            break
        num_bytes /= 1_000
    return f"{num_bytes:.3g} {unit}"


def _show_total(num_bytes: int) -> None:
    from audio_cls.storage.cache import cache_root

    click.echo(f"{format_bytes(num_bytes):>9}  in {cache_root()}")
