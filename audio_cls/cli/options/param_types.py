"""Parameter types for click: lists, ranges, a count or a word."""

from __future__ import annotations

from typing import Any

import click

from audio_cls.config import Range


class CommaSeparated(click.ParamType[tuple[Any, ...]]):
    """A list of words or whole numbers, separated by commas: `a,b`; in YAML also a list."""

    name = "a,b,..."

    def __init__(self, item: type[str] | type[int] = str) -> None:
        self.item = item

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[Any, ...]:
        """Split at commas and drop empty words."""
        words = value.split(",") if isinstance(value, str) else value
        try:
            return tuple(self.item(str(word).strip()) for word in words if str(word).strip())
        except ValueError:
            self.fail(f"'{value}' is not a list of whole numbers such as 0,1,2", param, ctx)


class CountOrWord(click.ParamType[int | str]):
    """A whole number, or the word `auto`."""

    name = "integer|auto"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return what the help shows for the value."""
        return "N|auto"

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int | str:
        """Return the number, or `auto`."""
        if value == "auto":
            return "auto"
        try:
            return int(value)
        except (TypeError, ValueError):
            self.fail(f"'{value}' is neither a whole number nor 'auto'", param, ctx)


class NumberRange(click.ParamType[Range]):
    """Two numbers separated by a comma: `0.9,1.1`; in YAML also a list."""

    name = "low,high"

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Range:
        """Split at the comma; anything but two numbers is an error."""
        words = value.split(",") if isinstance(value, str) else value
        try:
            low, high = (float(word) for word in words)
        except (TypeError, ValueError):
            self.fail(f"'{value}' is not LOW,HIGH, two numbers such as 0.9,1.1", param, ctx)
        return low, high


class OrEmpty(click.ParamType[Any]):
    """Another type of value, or '' for no value, which removes that of a preset."""

    def __init__(self, kind: click.ParamType[Any]) -> None:
        self.kind = kind
        self.name = kind.name

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401
        """Return an empty text as it is; the command replaces it by None."""
        return value if value == "" else self.kind.convert(value, param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        """Return the metavar of the other type."""
        return self.kind.get_metavar(param, ctx)
