"""Values as strict JSON has them: NaN and the infinities are words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from monitor.errors import WireError

_SPECIAL: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def jsonable(value: object) -> object:
    """Turn a value into strict JSON data: non-finite floats become strings, unknown types their `str`.

    >>> jsonable({"lr": float("nan"), "shape": (3, 4), 5: None})
    {'lr': 'NaN', 'shape': [3, 4], '5': None}
    """
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return number_to_json(value)
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(v) for v in value]
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0:
        return jsonable(item())
    return str(value)


def number_to_json(value: float) -> float | str:
    """A float as JSON has it: what is not finite as "NaN", "Infinity" or "-Infinity"."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def number_from_json(value: object, place: str) -> float:
    """The inverse of `number_to_json`.

    Raises:
        WireError: it is neither a number nor one of the three words.
    """
    if isinstance(value, str) and value in _SPECIAL:
        return _SPECIAL[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WireError(place, f'must be a number, "NaN", "Infinity" or "-Infinity", got {value!r}')
    try:
        return float(value)
    except OverflowError:
        raise WireError(place, "does not fit a float64") from None
