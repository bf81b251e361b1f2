"""What `reader.Api` reads from: the store in this process, or a server; one protocol, the same domain objects."""

# ruff: noqa: D102  # the methods are documented once, in `Source`

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Any, Concatenate, Final, NoReturn, ParamSpec, Protocol, TypeVar, cast
from urllib.parse import quote

from monitor.domain import (
    Alert,
    Checkpoint,
    Counts,
    Curve,
    Delivery,
    Diagnosis,
    Finding,
    Output,
    Points,
    Recommendation,
    RunInfo,
    RunPage,
    SeriesInfo,
)
from monitor.errors import RunNotFound, ServerUnreachable, StoreError
from monitor.http.address import shown
from monitor.http.answers import understood
from monitor.http.client import connect, request, request_stream
from monitor.settings import Settings

if TYPE_CHECKING:
    import httpx

    from monitor.store import Store
    from monitor.wire import Event

Query = Mapping[str, str | float | None]
_P = ParamSpec("_P")
_T = TypeVar("_T")


class Source(Protocol):
    """Where runs are read from; `run_id` is always a full id."""

    def runs(self, query: Query) -> RunPage:
        """One page of runs."""
        ...

    def run(self, ref: str) -> RunInfo:
        """One run, by id, unique start of it, or name."""
        ...

    def series(self, run_id: str) -> tuple[SeriesInfo, ...]:
        """A run's series."""
        ...

    def history(self, run_id: str, key: str, lo: int | None, hi: int | None, attempt: int | None) -> Points:
        """Every point of a series."""
        ...

    def batches(self, run_id: str, key: str, lo: int | None, hi: int | None, attempt: int | None) -> Iterator[Points]:
        """Every point of a series, some at a time."""
        ...

    def curve(self, run_id: str, key: str, query: Query) -> Curve:
        """A series reduced to what a screen shows."""
        ...

    def findings(self, run_id: str) -> tuple[Finding, ...]:
        """What the rules found."""
        ...

    def diagnosis(self, run_id: str) -> Diagnosis:
        """The whole judgement."""
        ...

    def checkpoints(self, run_id: str) -> tuple[Checkpoint, ...]:
        """The files that the loop saved."""
        ...

    def events(self, run_id: str) -> tuple[Event, ...]:
        """What happened besides points."""
        ...

    def output(self, run_id: str, search: str | None, after: int, limit: int) -> tuple[Output, ...]:
        """What the training wrote."""
        ...

    def request_stop(self, run_id: str, who: str) -> None:
        """Ask the loop to stop."""
        ...

    def projects(self) -> tuple[tuple[str, int], ...]:
        """Projects and how many runs each has."""
        ...

    def keeping(self) -> Mapping[str, tuple[float | None, float | None]]:
        """By project, days that ended runs are kept and days after which they are thinned; None: for ever, never."""
        ...

    def delete(self, run_id: str) -> None:
        """Take a run out of the lists."""
        ...

    def deleted(self) -> tuple[tuple[RunInfo, int], ...]:
        """Runs that can be restored, and when each was deleted."""
        ...

    def restore(self, ref: str) -> RunInfo:
        """Bring a deleted run back."""
        ...

    def purge_days(self) -> float:
        """Days that a deleted run can be restored."""
        ...

    def alerts(self, run: str | None, limit: int) -> tuple[Delivery, ...]:
        """Alerts, newest first."""
        ...

    def channels(self) -> int:
        """To how many places alerts are sent."""
        ...

    def health(self) -> Mapping[str, object]:
        """How the source is."""
        ...

    def close(self) -> None:
        """Give connections back."""
        ...


_READ_ONLY: Final = (
    "{} cannot be written to, which SQLite needs for reading too; copy its folder and set MONITOR_DIR to the copy, or "
    "read through a server of its owner, with MONITOR_SERVER_URL"
)


def _writable(file: Path) -> bool:
    """True where a database can be opened: its locks are files beside it."""
    ours = os.access in os.supports_effective_ids
    return all(os.access(path, os.W_OK, effective_ids=ours) for path in (file, file.parent))


class _NoRuns:
    """Stands for the store of this machine before the first run makes it."""

    def runs(self, *, query: str | None = None, order: str = "-created", **_: object) -> RunPage:
        from monitor.store.runs.query import parse

        if query is not None:
            parse(query)  # wrong is wrong, with no run as with many
        return RunPage(items=(), total=0, sparklines={}, order=order)

    def projects(self) -> tuple[tuple[str, int], ...]:
        return ()

    def deleted(self) -> tuple[tuple[RunInfo, int], ...]:
        return ()

    def alerts(self, *_: object) -> tuple[Delivery, ...]:
        return ()

    def restore(self, ref: str, **_: object) -> NoReturn:
        raise RunNotFound(ref, deleted=True)

    def run(self, ref: str, *_: object, **__: object) -> NoReturn:
        raise RunNotFound(ref)

    series = history = history_batches = curve = findings = diagnosis = checkpoints = events = output = run
    delete = request_stop = run


class EmbeddedSource:
    """The store of this machine, opened when first asked."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened: Store | None = None
        self._lock = threading.Lock()

    @property
    def _store(self) -> Store:
        """The store; reading never makes one."""
        with self._lock:
            if self._opened is None:
                from monitor.store import Store

                if self._settings.database_url is None and not self._settings.store_file.exists():
                    folder = self._settings.dir
                    if not next(path for path in (folder, *folder.parents) if path.exists()).is_dir():
                        self._settings.make_dir()  # says why it cannot be
                    return cast("Store", _NoRuns())
                try:
                    self._opened = Store.open(self._settings.store_url)
                except StoreError:
                    if self._settings.database_url is None and not _writable(self._settings.store_file):
                        raise StoreError(_READ_ONLY.format(self._settings.store_file)) from None
                    raise
            return self._opened

    def runs(self, query: Query) -> RunPage:
        return self._store.runs(**dict(query))  # type: ignore[arg-type]  # `Api.runs_page` gives them by name and type

    def run(self, ref: str) -> RunInfo:
        return self._store.run(ref)

    def series(self, run_id: str) -> tuple[SeriesInfo, ...]:
        return self._store.series(run_id)

    def history(self, run_id: str, key: str, lo: int | None, hi: int | None, attempt: int | None) -> Points:
        return self._store.history(run_id, key, lo=lo, hi=hi, attempt=attempt)

    def batches(self, run_id: str, key: str, lo: int | None, hi: int | None, attempt: int | None) -> Iterator[Points]:
        return self._store.history_batches(run_id, key, lo=lo, hi=hi, attempt=attempt)

    def curve(self, run_id: str, key: str, query: Query) -> Curve:
        return self._store.curve(run_id, key, **dict(query))  # type: ignore[arg-type]  # as in `runs`

    def findings(self, run_id: str) -> tuple[Finding, ...]:
        return self._store.findings(run_id)

    def diagnosis(self, run_id: str) -> Diagnosis:
        return self._store.diagnosis(run_id)

    def checkpoints(self, run_id: str) -> tuple[Checkpoint, ...]:
        return self._store.checkpoints(run_id)

    def events(self, run_id: str) -> tuple[Event, ...]:
        return self._store.events(run_id)

    def output(self, run_id: str, search: str | None, after: int, limit: int) -> tuple[Output, ...]:
        return self._store.output(run_id, search, after, limit)

    def request_stop(self, run_id: str, who: str) -> None:
        self._store.request_stop(run_id, who, now_ms=time_ns() // 1_000_000)

    def projects(self) -> tuple[tuple[str, int], ...]:
        return self._store.projects()

    def keeping(self) -> Mapping[str, tuple[float | None, float | None]]:
        from monitor.store.retention import Policy

        policy = Policy.of(self._settings)
        return {name: (policy.kept_for(name), policy.thinned_after(name)) for name, _ in self._store.projects()}

    def delete(self, run_id: str) -> None:
        self._store.delete(run_id, now_ms=time_ns() // 1_000_000)

    def deleted(self) -> tuple[tuple[RunInfo, int], ...]:
        return self._store.deleted()

    def restore(self, ref: str) -> RunInfo:
        return self._store.restore(ref, now_ms=time_ns() // 1_000_000)

    def purge_days(self) -> float:
        return self._settings.purge_days

    def alerts(self, run: str | None, limit: int) -> tuple[Delivery, ...]:
        return self._store.alerts(None if run is None else self._store.run(run).id, limit)

    def channels(self) -> int:
        return len(self._settings.alert_urls)

    def health(self) -> Mapping[str, object]:
        self._store.runs(limit=1)
        return {"status": "ok", "store": self._settings.store_url.partition(":")[0], "embedded": True}

    def close(self) -> None:
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None


def _answered(read: Callable[Concatenate[HttpSource, _P], _T]) -> Callable[Concatenate[HttpSource, _P], _T]:
    """Let an answer that cannot be read be an error of the house, whatever stands in it."""

    @functools.wraps(read)
    def reading(source: HttpSource, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        with understood(source._server):
            return read(source, *args, **kwargs)

    return reading


class HttpSource:
    """A server, over its public API."""

    def __init__(self, server: str, token: str | None, *, transport: httpx.BaseTransport | None = None) -> None:
        self._server = shown(server)
        self._client = connect(server, token, transport=transport)

    @_answered
    def runs(self, query: Query) -> RunPage:
        from monitor.wire import number_from_json

        data = self._object("/runs", query)
        sparklines = {
            run_id: {
                role: tuple(number_from_json(v, "sparklines") for v in _rows(values))
                for role, values in _mapping(roles).items()
            }
            for run_id, roles in _mapping(data.get("sparklines", {})).items()
        }
        items = tuple(RunInfo.from_dict(_mapping(row)) for row in _rows(data["runs"]))
        order = str(data.get("order", "-created"))
        return RunPage(items=items, total=int(str(data["total"])), sparklines=sparklines, order=order)

    @_answered
    def run(self, ref: str) -> RunInfo:
        data = self._object(f"/runs/{_part(ref)}", ref=ref)
        return _run_info(data)

    @_answered
    def series(self, run_id: str) -> tuple[SeriesInfo, ...]:
        return tuple(SeriesInfo.from_dict(_mapping(row)) for row in self._list(run_id, "series"))

    def history(self, run_id: str, key: str, lo: int | None, hi: int | None, attempt: int | None) -> Points:
        return Points.join(list(self.batches(run_id, key, lo, hi, attempt)))

    def batches(self, run_id: str, key: str, lo: int | None, hi: int | None, attempt: int | None) -> Iterator[Points]:
        from monitor.reader import arrow
        from monitor.wire import POINTS_MEDIA_TYPE, decode_points

        query = {"key": key, "lo": lo, "hi": hi, "attempt": attempt}
        accept = arrow.MEDIA_TYPE if arrow.installed() else POINTS_MEDIA_TYPE
        path, params = f"/api/v1/runs/{run_id}/history", {k: str(v) for k, v in query.items() if v is not None}
        parts = request_stream(self._client, path, params=params, headers={"Accept": accept})
        with contextlib.closing(parts):
            try:
                if accept == POINTS_MEDIA_TYPE:
                    yield decode_points(b"".join(parts))
                else:
                    yield from arrow.decode_stream(parts)
            except (ValueError, KeyError) as error:
                raise ServerUnreachable(self._server, f"it answers, but not with points ({error})") from None

    @_answered
    def curve(self, run_id: str, key: str, query: Query) -> Curve:
        from monitor.wire import curve_from_json

        return curve_from_json(self._object(f"/runs/{run_id}/curve", {"key": key, **query}))

    @_answered
    def findings(self, run_id: str) -> tuple[Finding, ...]:
        return tuple(Finding.from_dict(_mapping(row)) for row in self._list(run_id, "findings"))

    @_answered
    def diagnosis(self, run_id: str) -> Diagnosis:
        data = self._object(f"/runs/{run_id}/diagnosis")
        counts = {**_mapping(data["counts"])}
        counts["unmapped"] = tuple(str(key) for key in _rows(counts.get("unmapped", [])))
        return Diagnosis(
            verdict=str(data["verdict"]),
            headline=str(data["headline"]),
            findings=tuple(Finding.from_dict(_mapping(row)) for row in _rows(data["findings"])),
            recommendation=Recommendation.from_dict(_mapping(data["recommendation"])),
            counts=Counts(**counts),
        )

    @_answered
    def checkpoints(self, run_id: str) -> tuple[Checkpoint, ...]:
        return tuple(Checkpoint(**_mapping(row)) for row in self._list(run_id, "checkpoints"))

    @_answered
    def events(self, run_id: str) -> tuple[Event, ...]:
        from monitor.wire import Event

        return tuple(Event(**_mapping(row)) for row in self._list(run_id, "events"))

    @_answered
    def output(self, run_id: str, search: str | None, after: int, limit: int) -> tuple[Output, ...]:
        query = {"search": search, "after": after, "limit": limit}
        return tuple(Output(**_mapping(row)) for row in self._list(run_id, "output", query))

    def request_stop(self, run_id: str, who: str) -> None:
        import json

        request(
            self._client,
            "POST",
            f"/api/v1/runs/{run_id}/stop",
            content=json.dumps({"who": who}).encode(),
            headers={"Content-Type": "application/json"},
        )

    @_answered
    def projects(self) -> tuple[tuple[str, int], ...]:
        rows = [_mapping(row) for row in _rows(self._object("/projects")["projects"])]
        return tuple((str(row["name"]), int(row["runs"])) for row in rows)

    @_answered
    def keeping(self) -> Mapping[str, tuple[float | None, float | None]]:
        rows = [_mapping(row) for row in _rows(self._object("/projects")["projects"])]
        return {str(row["name"]): (row.get("keep_days"), row.get("thin_days")) for row in rows}

    def delete(self, run_id: str) -> None:
        self._ask("DELETE", f"/runs/{run_id}", run_id)

    @_answered
    def deleted(self) -> tuple[tuple[RunInfo, int], ...]:
        rows = [_mapping(row) for row in _rows(self._object("/deleted")["deleted"])]
        return tuple((_run_info(row), int(row["deleted_ms"])) for row in rows)

    @_answered
    def restore(self, ref: str) -> RunInfo:
        try:
            return _run_info(_mapping(self._ask("POST", f"/deleted/{_part(ref)}/restore", ref)))
        except RunNotFound:
            raise RunNotFound(ref, deleted=True) from None

    @_answered
    def purge_days(self) -> float:
        return float(self._object("/deleted")["keep_days"])

    @_answered
    def alerts(self, run: str | None, limit: int) -> tuple[Delivery, ...]:
        rows = [_mapping(row) for row in _rows(self._object("/alerts", {"run": run, "limit": limit})["alerts"])]
        return tuple(Delivery(**{**row, "alert": Alert.from_dict(_mapping(row["alert"]))}) for row in rows)

    @_answered
    def channels(self) -> int:
        return int(self._object("/alerts", {"limit": 1}).get("channels", 1))

    @_answered
    def health(self) -> Mapping[str, object]:
        return _mapping(request(self._client, "GET", "/healthz"))

    def close(self) -> None:
        self._client.close()

    def _ask(self, method: str, path: str, ref: str) -> object:
        """Change something about a run."""
        try:
            return request(self._client, method, f"/api/v1{path}")
        except RunNotFound:
            raise RunNotFound(ref) from None

    def _get(self, path: str, query: Query | None = None, headers: Mapping[str, str] | None = None) -> object:
        params = {k: str(v) for k, v in (query or {}).items() if v is not None}
        return request(self._client, "GET", f"/api/v1{path}", params=params, headers=headers)

    def _object(self, path: str, query: Query | None = None, *, ref: str | None = None) -> dict[str, Any]:
        try:
            data = self._get(path, query)
        except RunNotFound:
            raise RunNotFound(ref or path.split("/")[2]) from None
        if not isinstance(data, dict):
            raise ServerUnreachable(self._server, "it answers, but not as a monitor server does")
        return data

    def _list(self, run_id: str, what: str, query: Query | None = None) -> Sequence[object]:
        try:
            return _rows(self._get(f"/runs/{run_id}/{what}", query or {}))
        except RunNotFound:
            raise RunNotFound(run_id) from None


def _run_info(data: Mapping[str, Any]) -> RunInfo:
    return RunInfo.from_dict({name: value for name, value in data.items() if name in RunInfo.__slots__})


def _part(ref: str) -> str:
    return quote(ref, safe="")


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ServerUnreachable("the server", f"answers with {type(value).__name__} where an object belongs")
    return value


def _rows(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ServerUnreachable("the server", f"answers with {type(value).__name__} where a list belongs")
    return value
