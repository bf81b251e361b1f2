"""Parses a server's responses and splits long requests, for `HttpSource`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from monitor.domain import Extremes, RunInfo
from monitor.errors import ServerUnreachable
from monitor.http.answers import understood

_ADDRESS: Final = 6000
"""Characters per query string; proxies commonly refuse URLs of more than 8,000."""
_AT_ONCE: Final = 500
"""Curves or steps per request, at most."""
_T = TypeVar("_T")

Query = Mapping[str, str | float | Sequence[str] | None]
"""Query parameters by name; None values are omitted."""


class Asking:
    """What the mixins of `HttpSource` need from it.

    A response that a public method cannot parse, whatever it contains, is reported as one of our errors.
    """

    _server: str

    def __init_subclass__(cls) -> None:
        for name, method in list(vars(cls).items()):
            if inspect.isfunction(method) and not name.startswith("_") and not inspect.isgeneratorfunction(method):
                setattr(cls, name, _understanding(method))

    def _object(self, path: str, query: Query | None = None) -> dict[str, Any]:
        raise NotImplementedError

    def _get(self, path: str, query: Query | None = None) -> object:
        raise NotImplementedError

    def _change(self, method: str, path: str, body: Mapping[str, object] | None = None) -> object:
        raise NotImplementedError


def _understanding(read: Callable[..., _T]) -> Callable[..., _T]:
    @functools.wraps(read)
    def reading(source: Asking, *args: object, **kwargs: object) -> _T:
        with understood(source._server):
            return read(source, *args, **kwargs)

    return reading


def portions(wanted: Sequence[_T], written: Callable[[_T], str]) -> Iterator[Sequence[_T]]:
    """Split a list into portions that fit into a URL.

    Args:
        written: an item as it is written into the URL.
    """
    some: list[_T] = []
    room = _ADDRESS
    for each in wanted:
        size = len(written(each)) + 1
        if some and (size > room or len(some) == _AT_ONCE):
            yield some
            some, room = [], _ADDRESS
        some.append(each)
        room -= size
    if some:
        yield some


def extremes(data: Mapping[str, object]) -> Extremes:
    """The extremes of a series, from JSON."""
    from monitor.wire import number_from_json

    def value(name: str) -> float | None:
        return None if data[name] is None else number_from_json(data[name], "metrics")

    def step(name: str) -> int | None:
        return None if data[name] is None else int(str(data[name]))

    return Extremes(
        last=value("last"), min=value("min"), min_step=step("min_step"), max=value("max"), max_step=step("max_step")
    )


def run_info(data: Mapping[str, Any]) -> RunInfo:
    """A run from JSON. Unknown fields, from a newer server, are ignored."""
    return RunInfo.from_dict({name: value for name, value in data.items() if name in RunInfo.__slots__})


def rows_of(data: Mapping[str, Any], alone: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The members of a JSON object that are lists of objects.

    Args:
        data: the object.
        alone: the names of its other members.
    """
    return {name: [described(row) for row in listed(rows)] for name, rows in data.items() if name not in alone}


def described(value: object) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ServerUnreachable: it is something else.
    """
    if not isinstance(value, dict):
        raise ServerUnreachable("the server", f"answers with {type(value).__name__} where an object belongs")
    return value


def listed(value: object) -> list[Any]:
    """A JSON list.

    Raises:
        ServerUnreachable: it is something else.
    """
    if not isinstance(value, list):
        raise ServerUnreachable("the server", f"answers with {type(value).__name__} where a list belongs")
    return value
