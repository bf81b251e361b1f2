"""Turns what people log into floats, without ever raising and without importing their libraries.

What is clear is converted: numbers of all kinds, 0-d arrays and tensors through `.item()`, booleans as 0 and 1. What is
not a number (None, a string, an array of many) is counted and left out; the rest of the same call is kept.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Final

from monitor.client.device import DeviceCopy, device_copy
from monitor.client.layout import PLAIN
from monitor.client.notices import Notices

_MAX_KEY: Final = 250
"""As `wire.MAX_KEY`, which is not imported here because it brings numpy."""


def flatten(data: Mapping[object, object], notices: Notices, prefix: str = "") -> dict[str, object]:
    """Nested mappings as one, keys joined by `/`; keys that no store takes are mended and counted.

    >>> flatten({"loss": {"l1": 1.0, "l2": 2.0}, 3: 4.0}, Notices("doc"))
    {'loss/l1': 1.0, 'loss/l2': 2.0, '3': 4.0}
    """
    flat: dict[str, object] = {}
    for name, value in data.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, notices, f"{key}/"))
            continue
        kept = clean(key)
        if kept != key:
            notices.count("renamed", kept, key)
        flat[kept] = value
    return flat


def number(key: str, value: object, notices: Notices) -> float | DeviceCopy | None:
    """The value as a float, as a copy on its way from a device, or None where it is no number.

    Args:
        key: the metric, for the notice.
        value: anything.
        notices: where to count what could not be kept as it is.
    """
    kind = type(value)
    if kind in PLAIN:
        return _plain(key, value, notices)
    if value is None or isinstance(value, str | bytes):
        notices.count("dropped", key, repr(value))
        return None
    try:
        copy = device_copy(value)
        if copy is not None:
            return copy
        item = getattr(value, "item", None)
        result = item() if callable(item) else value
        if isinstance(result, complex | str | bytes) or result is None:
            raise TypeError(article(result))
        _learn(kind)
        return _plain(key, result, notices)
    except Exception as error:  # a user's type may raise anything, and log() must not
        notices.count("dropped", key, f"{_shown(value)} ({error})")
        return None


def step_number(step: object, notices: Notices) -> int | None:
    """The step as an int; None, with a notice, where it is none."""
    try:
        item = getattr(step, "item", None)
        given = item() if callable(item) else step
        whole = math.floor(given)  # type: ignore[arg-type]  # whatever it is, it has __floor__ or it raises
        if whole != given:
            notices.count("converted", "step", repr(given))
        return min(max(int(whole), -(2**63)), 2**63 - 1)
    except Exception:  # as above
        notices.count("dropped", "step", _shown(step))
        return None


def _plain(key: str, value: object, notices: Notices) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # a number of some kind; anything else raises into the notice
    except OverflowError:  # an int of more than 308 digits
        notices.count("converted", key, f"an integer of {len(hex(int(value))) - 2} hex digits")  # type: ignore[call-overload]
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]  # only ints overflow


def _learn(kind: type) -> None:
    """Let numpy's real scalar types take the fast way from now on."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(kind, numpy.integer | numpy.floating | numpy.bool_):
        PLAIN.add(kind)


def clean(key: str) -> str:
    """The key as a store takes it."""
    text = key.replace("\0", "").strip()
    return text[:_MAX_KEY] or "unnamed"


def _shown(value: object) -> str:
    try:
        shape = getattr(value, "shape", None)
        return f"{article(value)}" + (f" of shape {tuple(shape)}" if shape else "")
    except Exception:  # as above
        return article(value)


def article(value: object) -> str:
    """The value's type with its article.

    >>> article(5), article("x")
    ('an int', 'a str')
    """
    name = type(value).__name__
    return f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}"
