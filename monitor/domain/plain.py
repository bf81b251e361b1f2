"""Plain data: what JSON says of these values, and back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

_T = TypeVar("_T")

Json = Mapping[str, object]
"""Plain data as `json.loads` gives it, once `wire.jsonable` has made it strict."""


def make(cls: type[_T], data: Mapping[str, Any], **converted: object) -> _T:
    """A value from the dictionary that its `to_dict` gave, `converted` in place of the fields of that name."""
    return cls(**{**data, **converted})


def whole(step: float | None) -> int | float | None:
    """The step as an int where it is whole, so that JSON says 900 and not 900.0.

    >>> whole(900.0), whole(1.5), whole(None)
    (900, 1.5, None)
    """
    if step is None or not math.isfinite(step) or step != int(step):
        return step
    return int(step)


def leaves(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    """The single values of nested tables, by their dotted names.

    >>> list(leaves({"lr": 1, "o": {"b": 2, "c": {}}}))
    [('lr', 1), ('o.b', 2), ('o.c', {})]
    """
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
