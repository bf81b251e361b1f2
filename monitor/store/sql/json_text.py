"""Writes JSON that both databases can read back.

PostgreSQL accepts a NUL or half a surrogate pair, but fails to read it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Final

_SUSPECT: Final = ("\\u0000", "\\ud")
"""Parts of JSON text that suggest such values. Intact surrogate pairs match too."""
LARGEST: Final = 2**1024 - 2**970
"""Integers below this fit in a float64, in which both databases compare numbers."""


def json_text(value: object) -> str:
    r"""The shortest JSON of a value, without what a database could not read back.

    >>> json_text({"a": "x\0y", "b": "\ud800", "c": "\U0001f600"})
    '{"a":"x\\ufffdy","b":"\\ufffd","c":"\\ud83d\\ude00"}'
    """
    try:
        text = _dumps(value)
    except ValueError:  # not finite, or an integer with more digits than Python converts
        return _dumps(_clean(value))
    return text if not any(part in text for part in _SUSPECT) else _dumps(_clean(value))


def _dumps(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _clean(value: object) -> object:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {str(_clean(str(key))): _clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= LARGEST:
        return "Infinity" if value > 0 else "-Infinity"
    return value
