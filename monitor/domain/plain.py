"""Converts values to plain JSON data and back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from enum import StrEnum
from functools import cache
from typing import Any, Self, TypeVar, cast, get_type_hints

_T = TypeVar("_T")

Json = Mapping[str, object]
"""Plain data as returned by `json.loads`, made strict by `wire.jsonable`."""


def make(cls: type[_T], data: Mapping[str, Any], **converted: object) -> _T:
    """A value from the dictionary that its `to_dict` returned, with the fields in `converted` replaced."""
    return cls(**{**data, **converted})


class Row:
    """Base of dataclasses whose fields are plain or a `StrEnum`, with the conversion to and from JSON data."""

    __slots__ = ()

    def to_dict(self) -> dict[str, object]:
        """The fields as JSON data."""
        data = asdict(cast("Any", self))  # every subclass is a dataclass
        return data | {name: str(data[name]) for name in self._enums()}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """The inverse of `to_dict`. Members that are not fields, as those of a newer version, are ignored."""
        known = {name: data[name] for name in cls._names() if name in data}
        return make(cls, known, **{name: kind(str(data[name])) for name, kind in cls._enums().items()})

    @classmethod
    @cache
    def _names(cls) -> tuple[str, ...]:
        return tuple(field.name for field in fields(cast("Any", cls)))

    @classmethod
    @cache
    def _enums(cls) -> dict[str, type[StrEnum]]:
        """The fields that hold a member of an enumeration."""
        hints = get_type_hints(cls)
        return {name: kind for name, kind in hints.items() if isinstance(kind, type) and issubclass(kind, StrEnum)}


def whole(step: float | None) -> int | float | None:
    """The step as an int if it is whole, so that JSON says 900 and not 900.0.

    >>> whole(900.0), whole(1.5), whole(None)
    (900, 1.5, None)
    """
    if step is None or not math.isfinite(step) or step != int(step):
        return step
    return int(step)


def leaves(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    """The leaf values of nested tables, by dotted name.

    >>> list(leaves({"lr": 1, "o": {"b": 2, "c": {}}}))
    [('lr', 1), ('o.b', 2), ('o.c', {})]
    """
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
