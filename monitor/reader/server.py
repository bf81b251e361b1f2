"""A server, read over its public API."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from monitor.domain import Curve, CurveOf, Points, RunInfo, RunSnapshot
from monitor.errors import RunNotFound, ServerUnreachable
from monitor.http.address import shown
from monitor.http.answers import understood
from monitor.http.client import connect, request, request_stream
from monitor.reader.decoding import decode

if TYPE_CHECKING:
    import httpx

_ADDRESS: Final = 6000
"""Characters per query string; proxies commonly refuse URLs of more than 8,000."""
_AT_ONCE: Final = 500
"""Curves or steps per request, at most."""
_T = TypeVar("_T")

Query = Mapping[str, object]
"""Query parameters by name. One that is None is left out; one with several values is repeated."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project as a server lists it. An older one names no prices."""

    name: str
    runs: int
    keep_days: float | None = None
    thin_days: float | None = None
    cost_per_hour: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Projects:
    """All projects, and what their prices are counted in."""

    projects: tuple[Project, ...]
    cost_currency: str = ""


class Server:
    """A server, over its public API.

    A response that cannot be read, whatever it contains, is reported as one of our errors.
    """

    def __init__(self, address: str, token: str | None, *, transport: httpx.BaseTransport | None = None) -> None:
        self.address = shown(address)
        self._client = connect(address, token, transport=transport)

    def ask(
        self,
        kind: type[_T],
        path: str,
        query: Query | None = None,
        *,
        part: str | None = None,
        method: str = "GET",
        body: Mapping[str, object] | None = None,
        root: str = "/api/v1",
        **members: str,
    ) -> _T:
        """Send a request, and decode its response.

        Args:
            kind: what the response holds.
            path: below `root`.
            part: the member of the response that is wanted; None: all of it.
            body: sent as JSON.
            **members: fields of `kind` that have another name in the response, with that name.

        Raises:
            MonitorError: the server's refusal, or `ServerUnreachable`.
        """
        with understood(self.address):
            data = self.raw(path, query, method=method, body=body, root=root)
            if members:
                data = {**data, **{field: data[name] for field, name in members.items()}}
            return decode(kind, data if part is None else data[part])

    def raw(
        self,
        path: str,
        query: Query | None = None,
        *,
        method: str = "GET",
        body: Mapping[str, object] | None = None,
        root: str = "/api/v1",
    ) -> Any:
        """Send a request; returns the response's JSON."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        params = {name: list(v) if isinstance(v, list | tuple) else str(v) for name, v in given.items()}
        content = None if body is None else json.dumps(dict(body)).encode()
        headers = None if body is None else {"Content-Type": "application/json"}
        return request(self._client, method, f"{root}{path}", params=params, content=content, headers=headers)

    def outlines(self, run_ids: Sequence[str]) -> dict[str, RunSnapshot]:
        """See `Api.outlines`."""
        found: dict[str, RunSnapshot] = {}
        with understood(self.address):
            for some in _portions(run_ids, lambda run_id: f"run={segment(run_id)}"):
                for row in self.raw("/outlines", {"run": some})["outlines"]:
                    seen = decode(RunSnapshot, {**row, "info": row["run"]})
                    found[seen.info.id] = seen
        return found

    def curves(self, wanted: Sequence[CurveOf], query: Query) -> tuple[Curve, ...]:
        """See `Api.curves`."""
        from monitor.wire import curve_from_json

        found: list[Curve] = []
        with understood(self.address):
            for some in _portions(
                wanted, lambda each: f"series={each.run_id}/{segment(each.key)}&smoothing={each.smoothing}"
            ):
                series = [f"{each.run_id}/{each.key}" for each in some]
                smoothing = [str(each.smoothing) for each in some]
                rows = self.raw("/curves", {**query, "series": series, "smoothing": smoothing})["curves"]
                found += [curve_from_json(row) for row in rows]
        return tuple(found)

    def curve(self, run_id: str, query: Query) -> Curve:
        """See `RunView.curve`."""
        from monitor.wire import curve_from_json

        with understood(self.address):
            return curve_from_json(self.raw(f"/runs/{run_id}/curve", query))

    def positions(self, run_id: str, keys: Sequence[str], steps: Sequence[int], x: str) -> tuple[float | None, ...]:
        """See `RunView.positions`."""
        found: tuple[float | None, ...] = ()
        for some in _portions(steps, lambda step: f"step={step}"):
            query = {"x": x, "key": list(keys), "step": [str(step) for step in some]}
            found += self.ask(tuple[float | None, ...], f"/runs/{run_id}/positions", query, part="positions")
        return found

    def batches(self, run_id: str, query: Query) -> Iterator[Points]:
        """See `RunView.batches`."""
        from monitor.reader import arrow
        from monitor.wire import POINTS_MEDIA_TYPE, decode_points

        accept = arrow.MEDIA_TYPE if arrow.installed() else POINTS_MEDIA_TYPE
        path, params = f"/api/v1/runs/{run_id}/history", {k: str(v) for k, v in query.items() if v is not None}
        parts = request_stream(self._client, path, params=params, headers={"Accept": accept})
        with contextlib.closing(parts):
            try:
                if accept == POINTS_MEDIA_TYPE:
                    yield decode_points(b"".join(parts))
                else:
                    yield from arrow.decode_stream(parts)
            except ValueError as error:
                raise ServerUnreachable(self.address, f"it answers, but not with points ({error})") from None

    def deleted(self) -> tuple[tuple[RunInfo, int], ...]:
        """See `Api.deleted`."""
        with understood(self.address):
            rows = self.raw("/deleted")["deleted"]
            return tuple((decode(RunInfo, row), int(row["deleted_ms"])) for row in rows)

    def restore(self, ref: str) -> RunInfo:
        """See `Api.restore`."""
        try:
            return self.ask(RunInfo, f"/deleted/{segment(ref)}/restore", method="POST")
        except RunNotFound as error:
            raise error.of(ref, deleted=True) from None

    def content(self, path: str) -> bytes:
        """The bytes of a response."""
        return b"".join(request_stream(self._client, f"/api/v1{path}", params={}, headers={}))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def segment(ref: str) -> str:
    """A reference as one segment of a URL path. Dots are escaped too, because `..` would mean the parent folder."""
    return quote(ref, safe="").replace(".", "%2E")


def _portions(wanted: Sequence[_T], written: Callable[[_T], str]) -> Iterator[list[_T]]:
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
