"""JsonRecord: a JSON object as a dataclass with checked types, for the parts of results.json."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from audio_cls.errors import RunFolderError, list_names

Table = dict[str, Any]  # keyed by metric, label or kind; its content is not checked
T = TypeVar("T", bound="JsonRecord")
ALWAYS = {"always": True}  # metadata of a key that is written with its default too, such as null


class SchemaError(ValueError):
    """A key of results.json has a value of another type than this version writes."""


@dataclass(frozen=True, kw_only=True)
class JsonRecord:
    """A JSON object with known keys, which are the fields; a key with its default is left out."""

    unknown: Table = field(default_factory=dict)  # keys of other versions

    @classmethod
    def from_json(cls: type[T], tree: object, key: str = "") -> T:
        """Convert a JSON object.

        Args:
            tree: The object.
            key: Where it is in the file, such as "dataset.split.test"; empty for the whole file.

        Raises:
            SchemaError: A value is of another type; the text names its key.
        """
        if not isinstance(tree, Mapping):
            raise SchemaError(f"{key or 'the file'} must be an object, not {_shorten(tree)}")
        kinds = _list_kinds(cls)
        known = {
            name: _convert(kinds[name], value, f"{key}.{name}".lstrip("."))
            for name, value in tree.items()
            if name in kinds
        }
        return cls(**known, unknown={k: v for k, v in tree.items() if k not in kinds})

    def to_json(self) -> Table:
        """Return the JSON object, known keys first and in the order of the fields."""
        defaults, shown = type(self)(), {}
        for one in dataclasses.fields(self):
            value = getattr(self, one.name)
            is_default = value == getattr(defaults, one.name)
            if one.name != "unknown" and (one.metadata.get("always") or not is_default):
                shown[one.name] = _to_json(value)
        return {**shown, **self.unknown}

    def require(self, *names: str) -> list[Any]:
        """Return the values of fields that must be known.

        Raises:
            RunFolderError: One of them is not.
        """
        values = [getattr(self, name) for name in names]
        missing = [n for n, value in zip(names, values, strict=True) if value in (None, {})]
        if missing:
            raise RunFolderError(f"results.json lacks {list_names(missing)}. Repeat the run.")
        return values


def _list_kinds(record: type[JsonRecord]) -> dict[str, Any]:
    """Return the type of each key."""
    kinds = typing.get_type_hints(record)
    del kinds["unknown"]
    return kinds


def _convert(kind: Any, value: Any, key: str) -> Any:  # noqa: ANN401 (any type, any JSON value)
    """Check a JSON value against a field's type; make objects of JSON objects."""
    if isinstance(kind, types.UnionType):  # KIND | None
        if value is None:
            return None
        kind = typing.get_args(kind)[0]
    if isinstance(kind, type) and issubclass(kind, JsonRecord):
        return kind.from_json(value, key)
    container, parts = typing.get_origin(kind), typing.get_args(kind)
    if container is dict and isinstance(value, Mapping):
        return {name: _convert(parts[1], one, f"{key}.{name}") for name, one in value.items()}
    if container is list and isinstance(value, list):
        return [_convert(parts[0], one, f"{key}[{n}]") for n, one in enumerate(value)]
    allowed = (int, float) if kind is float else () if container else kind
    if kind is Any or (isinstance(value, allowed) and (kind is bool) is isinstance(value, bool)):
        return value
    name = {dict: "an object", list: "a list"}.get(container or kind, getattr(kind, "__name__", ""))
    raise SchemaError(f"{key} must be {name}, not {_shorten(value)}")


def _to_json(value: Any) -> Any:  # noqa: ANN401 (a field's value)
    """Return a field's value as JSON holds it."""
    if isinstance(value, JsonRecord):
        return value.to_json()
    if isinstance(value, dict):
        return {name: _to_json(one) for name, one in value.items()}
    return [_to_json(one) for one in value] if isinstance(value, list) else value


def _shorten(value: object) -> str:
    """Return a value for an error message."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:59]}…"
