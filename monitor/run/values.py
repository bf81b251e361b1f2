"""Converts what people log to floats, without raising and without importing their libraries.

Unambiguous values are converted: numbers of all kinds, 0-d arrays and tensors through `.item()`, booleans as 0 and 1.
Values that are not numbers (None, a string, an array of many) are dropped and counted; the rest of the call is kept.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from monitor.journal.layout import PLAIN
from monitor.journal.notices import Notices
from monitor.limits import MAX_DEPTH, MAX_SERIES, key, shown, text
from monitor.run.device import DeviceCopy, device_copy

_LATEST_S: Final = 4e9
"""The latest valid time of a point, in seconds since the Unix epoch: year 2096."""
_MOST_VALUES: Final = 1_000_000
"""Values read from one call."""


def flatten(data: Mapping[object, object], notices: Notices) -> dict[str, object]:
    """Flatten nested mappings, joining keys by `/`. Keys that the store cannot take are fixed and counted."""
    flat: dict[str, object] = {}
    for i, (name, value) in enumerate(_leaves(data, notices, "", ())):
        if i == _MOST_VALUES:
            notices.count("dropped", "log()", f"more than {_MOST_VALUES} values in one call")
            break
        kept = key(name)
        if kept != name:
            notices.count("renamed", kept, shown(name))
        if kept in flat:
            notices.count("dropped", kept, "given twice in one call; the last one is kept")
        flat[kept] = value
    return flat


def _leaves(
    data: Mapping[object, object], notices: Notices, prefix: str, inside: tuple[int, ...]
) -> Iterator[tuple[str, object]]:
    """The values of nested mappings under their joined names.

    Args:
        inside: ids of the enclosing mappings, to detect cycles.
    """
    inside = (*inside, id(data))
    for given, value in data.items():
        name = prefix + (given if type(given) is str else text(given))
        try:
            if not isinstance(value, Mapping):
                yield name, value
            elif len(inside) <= MAX_DEPTH and id(value) not in inside:
                yield from _leaves(value, notices, f"{name}/", inside)
            else:
                notices.count("dropped", key(name), f"a mapping inside itself, or inside more than {MAX_DEPTH} others")
        except Exception as error:  # a user's mapping may raise anything; keep what it gave so far
            notices.count("dropped", key(name), text(error))


def number(key: str, value: object, notices: Notices) -> float | DeviceCopy | None:
    """The value as a float or as a pending copy from a device; None if it is not a number.

    Args:
        key: the metric, for the notice.
        notices: counts what was dropped or converted.
    """
    kind = type(value)
    if kind in PLAIN:
        return _plain(key, value, notices)
    try:
        if value is None or isinstance(value, str | bytes):
            notices.count("dropped", key, shown(value))
            return None
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
        notices.count("dropped", key, f"{_shown(value)} ({text(error)})")
        return None


def plain(key: str, value: object, notices: Notices) -> float | None:
    """The value as a float, without waiting for a device; None, with a notice, if there is no such float."""
    found = number(key, value, notices)
    if found is None or isinstance(found, float):
        return found
    notices.count("dropped", key, "on a device; only metrics are waited for")
    return None


def nanoseconds(time: object, notices: Notices) -> int | None:
    """A time in seconds as nanoseconds since the Unix epoch; None, with a notice, if it is not valid."""
    seconds = plain("time", time, notices)
    if seconds is not None and 0 <= seconds < _LATEST_S:
        return int(seconds * 1e9)
    if seconds is not None:
        notices.count("converted", "time", f"{shown(time)} s since 1970; the current time is used")
    return None


class SeriesTaken:
    """The series that this process has logged, up to the limit of a run."""

    def __init__(self) -> None:
        self._keys: set[str] = set()

    def within(self, values: dict[str, float | DeviceCopy], notices: Notices) -> dict[str, float | DeviceCopy]:
        """The values, less those whose series exceed the limit, which are counted."""
        if self._keys.issuperset(values) or self.admit(values):
            return values
        taken = {name: value for name, value in values.items() if self.admit((name,))}
        one = next(name for name in values if name not in taken)
        why = f"a run has {MAX_SERIES} series at most; {shown(one)} is one more"
        notices.count("dropped", "series", why, len(values) - len(taken))
        return taken

    def admit(self, keys: Iterable[str]) -> bool:
        """Register all of these series; False, and none registered, if they exceed the limit."""
        fresh = {name for name in keys if name not in self._keys}
        if len(self._keys) + len(fresh) > MAX_SERIES:
            return False
        self._keys |= fresh
        return True


def _plain(key: str, value: object, notices: Notices) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # a number of some kind; anything else raises into the notice
    except OverflowError:  # an int of more than 308 digits
        notices.count("converted", key, f"an integer of {len(hex(int(value))) - 2} hex digits")  # type: ignore[call-overload]
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]  # only ints overflow


def _learn(kind: type) -> None:
    """Let numpy's real scalar types take the fast path from now on."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(kind, numpy.integer | numpy.floating | numpy.bool_):
        PLAIN.add(kind)


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


def weights_of(given: object, notices: Notices) -> dict[str, float] | None:
    """The finite weights of a loss's parts; None if it is not a mapping. What is dropped is counted."""
    if not isinstance(given, Mapping):
        notices.count("dropped", "weights", f"{article(given)}, not a mapping of names to numbers")
        return None
    kept: dict[str, float] = {}
    for name, value in flatten(given, notices).items():
        weight = plain(name, value, notices)
        if weight is not None and math.isfinite(weight):
            kept[name] = weight
        elif weight is not None:
            notices.count("dropped", f"weights.{name}", str(weight))
    return kept
