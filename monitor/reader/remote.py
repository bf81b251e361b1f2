"""Reads from a server, over its public API."""

# ruff: noqa: D102  # the methods are documented once, in `Api`

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from monitor.domain import (
    AlertInfo,
    Attention,
    Checkpoint,
    Counts,
    Curve,
    CurveOf,
    Diagnosis,
    Finding,
    Happened,
    Happenings,
    Item,
    Ledger,
    Outcome,
    Output,
    Points,
    Progress,
    Recommendation,
    Regime,
    RunEdit,
    RunInfo,
    RunPage,
    RunQuery,
    RunSnapshot,
    SavedView,
    Saving,
    SeriesInfo,
    Stop,
)
from monitor.domain.media import Media
from monitor.errors import RunNotFound, ServerUnreachable
from monitor.http.address import shown
from monitor.http.client import connect, request, request_stream
from monitor.reader.answers import Query, described, extremes, listed, portions, rows_of, run_info
from monitor.reader.remote_access import RemoteAccess
from monitor.reader.remote_alerts import RemoteAlerts, segment

if TYPE_CHECKING:
    import httpx

    from monitor.wire import Event


class HttpSource(RemoteAlerts, RemoteAccess):
    """A server, over its public API."""

    def __init__(self, server: str, token: str | None, *, transport: httpx.BaseTransport | None = None) -> None:
        self._server = shown(server)
        self._client = connect(server, token, transport=transport)

    def runs(self, wanted: RunQuery) -> RunPage:
        from monitor.wire import number_from_json

        data = self._object("/runs", asdict(wanted))
        sparklines = {
            run_id: {
                role: tuple(number_from_json(v, "sparklines") for v in listed(values))
                for role, values in described(roles).items()
            }
            for run_id, roles in described(data.get("sparklines", {})).items()
        }
        items = tuple(RunInfo.from_dict(described(row)) for row in listed(data["runs"]))
        order, values = str(data.get("order", "-created")), described(data.get("sorted_by", {}))
        metrics = {
            run_id: {key: extremes(described(found)) for key, found in described(some).items()}
            for run_id, some in described(data.get("metrics", {})).items()
        }
        return RunPage(
            items=items, total=int(str(data["total"])), sparklines=sparklines, order=order, sorted_by=values,
            metrics=metrics,
        )  # fmt: skip

    def run(self, ref: str) -> RunInfo:
        data = self._object(f"/runs/{segment(ref)}", ref=ref)
        return run_info(data)

    def snapshot(self, ref: str) -> RunSnapshot:
        data, alone = self._object(f"/runs/{segment(ref)}/snapshot", ref=ref), RunSnapshot.ALONE
        rows = rows_of(data, alone)
        saving = data.get("saving")
        seen = RunSnapshot.from_dict(rows, described(data["run"]), str(data.get("note", "")))
        return replace(
            seen,
            saving=None if saving is None else Saving.from_dict(described(saving)),
            examples=described(data.get("examples") or {}),
            progress=Progress.from_dict(data.get("progress")),
        )

    def outlines(self, run_ids: Sequence[str]) -> Mapping[str, RunSnapshot]:
        found: dict[str, RunSnapshot] = {}
        for some in portions(run_ids, lambda run_id: f"run={segment(run_id)}"):
            for row in map(described, listed(self._object("/outlines", {"run": list(some)})["outlines"])):
                seen = RunSnapshot.from_dict(rows_of(row, ("run",)), described(row["run"]))
                found[seen.info.id] = seen
        return found

    def curves(self, wanted: Sequence[CurveOf], query: Query) -> tuple[Curve, ...]:
        from monitor.wire import curve_from_json

        found: list[Curve] = []
        for some in portions(
            wanted, lambda each: f"series={each.run_id}/{segment(each.key)}&smoothing={each.smoothing}"
        ):
            series = [f"{each.run_id}/{each.key}" for each in some]
            smoothing = [str(each.smoothing) for each in some]
            data = described(self._get("/curves", {**query, "series": series, "smoothing": smoothing}))
            found += [curve_from_json(described(row)) for row in listed(data["curves"])]
        return tuple(found)

    def positions(self, run_id: str, keys: Sequence[str], steps: Sequence[int], x: str) -> tuple[float | None, ...]:
        from monitor.wire import number_from_json

        found: list[float | None] = []
        for some in portions(steps, lambda step: f"step={step}"):
            query: Query = {"x": x, "key": list(keys), "step": [str(step) for step in some]}
            rows = listed(self._object(f"/runs/{run_id}/positions", query)["positions"])
            found += [None if at is None else number_from_json(at, "positions") for at in rows]
        return tuple(found)

    def series(self, run_id: str) -> tuple[SeriesInfo, ...]:
        return tuple(SeriesInfo.from_dict(described(row)) for row in self._list(run_id, "series"))

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
            except ValueError as error:
                raise ServerUnreachable(self._server, f"it answers, but not with points ({error})") from None

    def curve(self, run_id: str, key: str, query: Query) -> Curve:
        from monitor.wire import curve_from_json

        return curve_from_json(self._object(f"/runs/{run_id}/curve", {"key": key, **query}))

    def findings(self, run_id: str) -> tuple[Finding, ...]:
        return tuple(Finding.from_dict(described(row)) for row in self._list(run_id, "findings"))

    def diagnosis(self, run_id: str) -> Diagnosis:
        data = self._object(f"/runs/{run_id}/diagnosis")
        counts = {**described(data["counts"])}
        counts["unmapped"] = tuple(str(key) for key in listed(counts.get("unmapped", [])))
        return Diagnosis(
            verdict=str(data["verdict"]),
            headline=str(data["headline"]),
            findings=tuple(Finding.from_dict(described(row)) for row in listed(data["findings"])),
            recommendation=Recommendation.from_dict(described(data["recommendation"])),
            counts=Counts(**counts),
            regimes=tuple(Regime.from_dict(described(row)) for row in listed(data.get("regimes", []))),
            progress=Progress.from_dict(data.get("progress")),
        )

    def checkpoints(self, run_id: str) -> tuple[Checkpoint, ...]:
        return tuple(Checkpoint(**described(row)) for row in self._list(run_id, "checkpoints"))

    def events(self, run_id: str) -> tuple[Event, ...]:
        from monitor.wire import Event

        return tuple(Event(**described(row)) for row in self._list(run_id, "events"))

    def output(self, run_id: str, search: str | None, after: int, limit: int) -> tuple[Output, ...]:
        query = {"search": search, "after": after, "limit": limit}
        return tuple(Output(**described(row)) for row in self._list(run_id, "output", query))

    def media(self, run_id: str, key: str | None) -> tuple[Media, ...]:
        return tuple(Media(**described(row)) for row in self._list(run_id, "media", {"key": key}))

    def media_content(self, run_id: str, media_id: int) -> bytes:
        return b"".join(request_stream(self._client, f"/api/v1/runs/{run_id}/media/{media_id}", params={}, headers={}))

    def request_stop(self, run_id: str, who: str, reason: str) -> Stop:
        data = self._change("POST", f"/runs/{run_id}/stop", {"who": who, "reason": reason})
        return Stop.from_dict(described(described(data)["stop"]))

    def withdraw_stop(self, run_id: str, who: str) -> Stop:
        data = request(self._client, "DELETE", f"/api/v1/runs/{run_id}/stop", params={"who": who})
        return Stop.from_dict(described(described(data)["stop"]))

    def saving(self, run_id: str) -> Saving:
        return Saving.from_dict(self._object(f"/runs/{run_id}/saving"))

    def explain(self, ref: str) -> Mapping[str, Any]:
        return self._object(f"/runs/{segment(ref)}/explain", ref=ref)

    def happened(self, ref: str, since: str, wait_s: float) -> Happenings:
        data = self._object(f"/runs/{segment(ref)}/events", {"since": since, "wait": wait_s}, ref=ref)
        events = tuple(Happened(**described(row)) for row in listed(data["events"]))
        return Happenings(cursor=str(data["cursor"]), events=events, ended=bool(data["ended"]))

    def outcomes(self, refs: Sequence[str], until: Sequence[str], wait_s: float) -> tuple[Outcome, ...]:
        data = self._object("/wait", {"run": list(refs), "for": list(until), "wait": wait_s}, ref=", ".join(refs))
        return tuple(Outcome(**described(row)) for row in listed(data["outcomes"]))

    def attention(self, limit: int, project: str | None, sparkline: int) -> Attention:
        from monitor.wire import number_from_json

        data = self._object("/attention", {"limit": limit, "project": project, "sparkline": sparkline})
        items = []
        for row in map(described, listed(data["items"])):
            curves = {
                role: tuple(number_from_json(value, "sparkline") for value in listed(values))
                for role, values in described(row["sparkline"]).items()
            }
            made = {"run": run_info(described(row["run"])), "saving": Saving.from_dict(described(row["saving"]))}
            made |= {"alert": AlertInfo.from_dict(described(row["alert"])) if row.get("alert") else None}
            items.append(Item(**{**row, **made, "sparkline": curves}))
        return Attention(**{**data, "items": tuple(items)})

    def ledger(self, project: str | None, since_ms: int, until_ms: int) -> Ledger:
        return Ledger.from_dict(self._object("/ledger", {"project": project, "since": since_ms, "until": until_ms}))

    def stops(self, run_id: str) -> tuple[Stop, ...]:
        return tuple(Stop.from_dict(described(row)) for row in self._list(run_id, "stops"))

    def edit(self, run_id: str, edit: RunEdit) -> RunInfo:
        return run_info(described(self._ask("PATCH", f"/runs/{run_id}", run_id, asdict(edit))))

    def views(self, page: str) -> tuple[SavedView, ...]:
        rows = listed(self._object(f"/views/{segment(page)}")["views"])
        return tuple(SavedView(**described(row)) for row in rows)

    def save_view(self, page: str, name: str, query: str) -> SavedView:
        path = f"/views/{segment(page)}/{segment(name)}"
        return SavedView(**described(self._ask("PUT", path, name, {"query": query})))

    def forget_view(self, page: str, name: str) -> None:
        self._ask("DELETE", f"/views/{segment(page)}/{segment(name)}", name)

    def projects(self) -> tuple[tuple[str, int], ...]:
        rows = [described(row) for row in listed(self._object("/projects")["projects"])]
        return tuple((str(row["name"]), int(row["runs"])) for row in rows)

    def keeping(self) -> Mapping[str, tuple[float | None, float | None]]:
        rows = [described(row) for row in listed(self._object("/projects")["projects"])]
        return {str(row["name"]): (row.get("keep_days"), row.get("thin_days")) for row in rows}

    def costs(self) -> tuple[str, Mapping[str, Mapping[str, float]]]:
        found = self._object("/projects")  # an older server names no prices
        rows = [described(row) for row in listed(found["projects"])]
        prices = {str(row["name"]): described(row.get("cost_per_hour", {})) for row in rows}
        return str(found.get("cost_currency", "")), prices

    def delete(self, run_id: str) -> None:
        self._ask("DELETE", f"/runs/{run_id}", run_id)

    def deleted(self) -> tuple[tuple[RunInfo, int], ...]:
        rows = [described(row) for row in listed(self._object("/deleted")["deleted"])]
        return tuple((run_info(row), int(row["deleted_ms"])) for row in rows)

    def restore(self, ref: str) -> RunInfo:
        try:
            return run_info(described(self._ask("POST", f"/deleted/{segment(ref)}/restore", ref)))
        except RunNotFound as error:
            raise error.of(ref, deleted=True) from None

    def change_mark(self) -> str:
        return str(self._object("/change-mark")["mark"])

    def purge_days(self) -> float:
        return float(self._object("/deleted")["keep_days"])

    def info(self) -> Mapping[str, object]:
        return self._object("/info")

    def health(self) -> Mapping[str, object]:
        return described(request(self._client, "GET", "/healthz"))

    def close(self) -> None:
        self._client.close()

    def _ask(self, method: str, path: str, ref: str, body: Mapping[str, object] | None = None) -> object:
        """Change something about a run."""
        try:
            return self._change(method, path, body)
        except RunNotFound as error:
            raise error.of(ref) from None

    def _change(self, method: str, path: str, body: Mapping[str, object] | None = None) -> object:
        """Send a change, with the body as JSON."""
        content = None if body is None else json.dumps(dict(body)).encode()
        headers = None if body is None else {"Content-Type": "application/json"}
        return request(self._client, method, f"/api/v1{path}", content=content, headers=headers)

    def _get(self, path: str, query: Query | None = None) -> object:
        """Send a GET request. A parameter with a list value is repeated."""
        given = {k: v for k, v in (query or {}).items() if v is not None}
        params = {k: list(v) if isinstance(v, list | tuple) else str(v) for k, v in given.items()}
        return request(self._client, "GET", f"/api/v1{path}", params=params)

    def _object(self, path: str, query: Query | None = None, *, ref: str | None = None) -> dict[str, Any]:
        try:
            data = self._get(path, query)
        except RunNotFound as error:
            raise error.of(ref or path.split("/")[2]) from None
        if not isinstance(data, dict):
            raise ServerUnreachable(self._server, "it answers, but not as a monitor server does")
        return data

    def _list(self, run_id: str, what: str, query: Query | None = None) -> Sequence[object]:
        try:
            return listed(self._get(f"/runs/{run_id}/{what}", query or {}))
        except RunNotFound as error:
            raise error.of(run_id) from None
