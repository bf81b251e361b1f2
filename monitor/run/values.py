"""Turns what people log into floats, without ever raising and without importing their libraries.

What is clear is converted: numbers of all kinds, 0-d arrays and tensors through `.item()`, booleans as 0 and 1. What is
not a number (None, a string, an array of many) is counted and left out; the rest of the same call is kept.
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
"""Seconds since the epoch that a point may be of: up to the year 2096."""
_MOST_VALUES: Final = 1_000_000
"""Values of one call that are looked at."""


def flatten(data: Mapping[object, object], notices: Notices) -> dict[str, object]:
    """Nested mappings as one, keys joined by `/`; keys that no store takes are mended and counted.

    >>> flatten({"loss": {"l1": 1.0, "l2": 2.0}, 3: 4.0}, Notices("doc"))
    {'loss/l1': 1.0, 'loss/l2': 2.0, '3': 4.0}
    """
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
    """The values of nested mappings under their joined names; `inside` are the mappings on the way, by identity."""
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
        except Exception as error:  # a user's mapping may raise anything; what it gave before is kept
            notices.count("dropped", key(name), text(error))


def number(key: str, value: object, notices: Notices) -> float | DeviceCopy | None:
    """The value as a float, as a copy on its way from a device, or None if it is not a number.

    Args:
        key: the metric, for the notice.
        value: anything.
        notices: where to count what could not be kept as it is.
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
    """The value as a float that is there at once; None, with a notice, where it is none."""
    found = number(key, value, notices)
    if found is None or isinstance(found, float):
        return found
    notices.count("dropped", key, "on a device; only metrics are waited for")
    return None


def nanoseconds(time: object, notices: Notices) -> int | None:
    """A time in seconds as nanoseconds since the epoch; None, with a notice, if it is not a valid time."""
    seconds = plain("time", time, notices)
    if seconds is not None and 0 <= seconds < _LATEST_S:
        return int(seconds * 1e9)
    if seconds is not None:
        notices.count("converted", "time", f"{shown(time)} s since 1970; now is taken")
    return None


class SeriesTaken:
    """The series that a process has logged, up to as many as a run may have."""

    def __init__(self) -> None:
        self._keys: set[str] = set()

    def within(self, values: dict[str, float | DeviceCopy], notices: Notices) -> dict[str, float | DeviceCopy]:
        """The values without those of series that are too many for one run, with a notice of these."""
        if self._keys.issuperset(values) or self.admit(values):
            return values
        taken = {name: value for name, value in values.items() if self.admit((name,))}
        one = next(name for name in values if name not in taken)
        why = f"a run has {MAX_SERIES} series at most; {shown(one)} is one more"
        notices.count("dropped", "series", why, len(values) - len(taken))
        return taken

    def admit(self, keys: Iterable[str]) -> bool:
        """True where the run takes all of these series; they are its own from then on."""
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
    """Let numpy's real scalar types take the fast way from now on."""
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
    """The finite weights of a loss's parts; None where it is not a mapping. What is dropped is counted."""
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
