"""Makes domain objects of a server's responses, by their types; checks the words that a call was given."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import EnumType
from types import NoneType
from typing import Any, Final, TypeVar, cast, get_args, get_origin, get_type_hints

from monitor.errors import WireError

_T = TypeVar("_T")
_Reader = Callable[[Any], Any]


def one_of(field: str, value: str, valid: Sequence[str]) -> str:
    """An argument, if it is one of the valid words.

    Raises:
        WireError: names the argument and the valid words.
    """
    if value not in valid:
        raise WireError(field, f"{value!r:.60} is not one of {', '.join(valid)}")
    return value


def decode(kind: type[_T], value: object) -> _T:
    """An object from JSON data. Members that its type does not know, as of a newer server, are ignored.

    Args:
        kind: a dataclass, an enum, a number, a tuple of one of them, or a dictionary with text for keys.

    Raises:
        TypeError, LookupError, ValueError: the data is something else.

    >>> from monitor.domain import Extremes
    >>> decode(tuple[Extremes, ...], [{"last": "NaN", "min": 0.5, "since": "a newer version"}])
    (Extremes(last=nan, min=0.5, min_step=None, max=None, max_step=None),)
    """
    read = _reader(cast("Any", kind))
    return cast("_T", value if read is None else read(value))


@functools.cache
def _reader(kind: Any) -> _Reader | None:
    """What makes a value of JSON data; None if the data is the value."""
    origin, parts = get_origin(kind), get_args(kind)
    if isinstance(kind, EnumType):
        return kind
    if is_dataclass(kind):
        return _row_reader(kind)
    if origin is tuple:
        return functools.partial(_tuple, _reader(parts[0]))
    if origin in (dict, Mapping):
        return functools.partial(_mapping, _reader(parts[1]))
    if len(parts) == 2 and NoneType in parts:
        part = next(part for part in parts if part is not NoneType)
        read = _reader(part)
        return None if read is None else functools.partial(_optional, read, is_dataclass(part))
    return _PLAIN.get(kind)


def _row_reader(kind: Any) -> _Reader:
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    readers = {name: read for name in names if (read := _reader(hints[name])) is not None}

    def read_row(value: object) -> Any:
        data = _mapping(None, value)
        known = {name: data[name] for name in names if name in data}
        for name, read in readers.items():
            if name in known:
                known[name] = read(known[name])
        return kind(**known)

    return read_row


def _number(value: object) -> object:
    if not isinstance(value, str):
        return value
    from monitor.wire import number_from_json  # here, because it loads NumPy

    return number_from_json(value, "number")


def _plain(kind: type, value: object) -> object:
    if not isinstance(value, kind):
        raise TypeError(type(value).__name__)
    return value


_PLAIN: Final[Mapping[object, _Reader]] = {
    float: _number, **{kind: functools.partial(_plain, kind) for kind in (str, int, bool)}
}  # fmt: skip


def _tuple(read: _Reader | None, value: object) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise TypeError(type(value).__name__)
    return tuple(value if read is None else map(read, value))


def _mapping(read: _Reader | None, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(type(value).__name__)
    return value if read is None else {name: read(each) for name, each in value.items()}


def _optional(read: _Reader, is_row: bool, value: object) -> Any:
    """None also for a row that is {}, which stands for a forecast that there is none of."""
    return None if value is None or (is_row and value == {}) else read(value)
