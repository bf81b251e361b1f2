"""Numbers in strict JSON: NaN and the infinities are strings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from monitor.errors import WireError
from monitor.limits import number_to_json, shown, text

__all__ = ["jsonable", "number_from_json", "number_to_json"]

_SPECIAL: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_DEEP: Final = 100
"""Deepest nesting of mappings and lists. Deeper values are dropped, so that `json` can write the result."""


def jsonable(value: object, *, depth: int = 0) -> object:
    """Convert a value to strict JSON data: non-finite floats become strings, unknown types their `str`.

    Only the nesting is limited here; `limits.document` also limits the size, for what a run stores.

    >>> jsonable({"lr": float("nan"), "shape": (3, 4), 5: None})
    {'lr': 'NaN', 'shape': [3, 4], '5': None}
    """
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return number_to_json(value)
    if isinstance(value, Mapping):
        return {text(k): jsonable(v, depth=depth + 1) for k, v in value.items()} if depth < _DEEP else "…"
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(v, depth=depth + 1) for v in value] if depth < _DEEP else "…"
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0 and depth < 2 * _DEEP:
        return jsonable(item(), depth=depth + 1)
    return text(value)


def number_from_json(value: object, place: str) -> float:
    """The inverse of `number_to_json`.

    Raises:
        WireError: neither a number nor one of the three strings.
    """
    if isinstance(value, str) and value in _SPECIAL:
        return _SPECIAL[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WireError(place, f'must be a number, "NaN", "Infinity" or "-Infinity", got {shown(value)}')
    try:
        return float(value)
    except OverflowError:
        raise WireError(place, "does not fit a float64") from None
