"""Routes for programs, agents and the front page: attention queue, ledger, explanations, waiting for events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Final

import anyio
import anyio.to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from monitor import insight
from monitor.api.bodies import json_response
from monitor.api.models import AttentionModel, ExplanationModel, HappeningsModel, LedgerModel, WaitModel
from monitor.api.problems import documented
from monitor.api.security import Viewer
from monitor.api.services import Served, Services, id_of
from monitor.api.watch import WAIT_S
from monitor.domain import Caller, Happenings, Saving
from monitor.errors import Forbidden
from monitor.insight.waiting import outcomes, until_of
from monitor.wire import Event, jsonable

router = APIRouter(tags=["runs"], default_response_class=Response, responses=documented(404, 422))

_STREAM: Final = "text/event-stream"
_Wait = Annotated[float, Query(ge=0, le=WAIT_S, description="Seconds to wait for something to happen.")]
_Named = Annotated[str | None, Query(max_length=250)]


@router.get("/attention", responses={200: {"model": AttentionModel}})
def get_attention(
    served: Served,
    caller: Viewer,
    limit: Annotated[int, Query(ge=1, le=1000)] = 10,
    project: _Named = None,
    sparkline: Annotated[int, Query(ge=0, le=1000)] = 0,
) -> Response:
    """Open runs that need attention, ranked by severity, remaining cost and novelty, with totals of the fleet."""
    found = insight.attention(
        served.store,
        served.settings,
        now_ms=served.clock(),
        limit=limit,
        project=_project(caller, project),
        sparkline=sparkline,
    )
    return json_response(found.to_dict())


@router.get("/change-mark", responses={200: {"model": dict[str, str]}})
def get_change_mark(served: Served, caller: Viewer) -> Response:  # noqa: ARG001  # any caller may know that something changed
    """A mark that changes whenever the store changes, so that clients re-read only then."""
    return json_response({"mark": served.store.change_mark()})


@router.get("/ledger", responses={200: {"model": LedgerModel}})
def get_ledger(
    served: Served,
    caller: Viewer,
    project: _Named = None,
    since: Annotated[int, Query(ge=0, lt=2**62, description="Milliseconds since the epoch.")] = 0,
    until: Annotated[int, Query(ge=0, le=2**62, description="Exclusive.")] = 2**62,
) -> Response:
    """What early stops saved and lost, by project and month and for each stop."""
    found = insight.ledger(
        served.store, served.settings, project=_project(caller, project), since_ms=since, until_ms=until
    )
    return json_response(found.to_dict())


@router.get("/runs/{ref:name}/saving", responses={200: {"model": Saving}})
def get_saving(served: Served, caller: Viewer, ref: str) -> Response:
    """What stopping the run now would save, with all numbers behind it."""
    return json_response(insight.saving_of(served.store, served.settings, id_of(served, caller, ref)).to_dict())


@router.get("/runs/{ref:name}/explain", responses={200: {"model": ExplanationModel}})
def get_explanation(served: Served, caller: Viewer, ref: str) -> Response:
    """Goal, verdict, evidence, best step and differences from the best run; `text` is a summary of under 500 tokens."""
    run_id = id_of(served, caller, ref)
    found = insight.explain(served.store, served.settings, run_id, now_ms=served.clock())
    return json_response(found)


@router.get("/wait", responses={200: {"model": WaitModel}})
async def get_wait(
    served: Served,
    caller: Viewer,
    run: Annotated[list[str], Query(min_length=1, max_length=100, description="Id, prefix of one, or name.")],
    until: Annotated[
        list[str] | None, Query(alias="for", description="`finish`, `stop`, `alert` or `verdict=NAME`.")
    ] = None,
    wait: _Wait = 0.0,
) -> Response:
    """Wait until the event happens in one of the runs. Returns the runs whose wait is over, if any."""
    wanted = until_of(until or ())
    run_ids = await anyio.to_thread.run_sync(lambda: list(dict.fromkeys(id_of(served, caller, ref) for ref in run)))
    deadline = anyio.current_time() + wait
    while True:
        seen = await anyio.to_thread.run_sync(served.store.versions, run_ids)
        found = await anyio.to_thread.run_sync(outcomes, served.store, run_ids, wanted)
        if found or not await served.watch.changed(run_ids, seen, deadline):
            return json_response({"runs": run_ids, "outcomes": [each.to_dict() for each in found]})


@router.get("/runs/{ref:name}/events", responses={200: {"model": list[Event] | HappeningsModel}})
async def get_events(
    request: Request,
    served: Served,
    caller: Viewer,
    ref: str,
    since: Annotated[str | None, Query(description="The cursor of the answer before; empty: from the start.")] = None,
    wait: _Wait = 0.0,
) -> Response:
    """Events of the run other than points, in order; with `since`, everything after that cursor.

    With `Accept: text/event-stream` it is a stream of server-sent events that lasts until the run has ended; the id of
    each is the cursor to resume from.
    """
    streams = _STREAM in request.headers.get("accept", "")
    if since is None and not streams:
        events = await anyio.to_thread.run_sync(lambda: served.store.events(id_of(served, caller, ref)))
        return json_response([event.to_dict() for event in events])
    cursor = since or request.headers.get("last-event-id", "")
    run_id = await anyio.to_thread.run_sync(id_of, served, caller, ref)
    found = await _happened(served, run_id, cursor, wait)
    if not streams:
        return json_response(found.to_dict())
    return StreamingResponse(_stream(served, run_id, found), media_type=_STREAM, headers={"Cache-Control": "no-store"})


def _project(caller: Caller, project: str | None) -> str | None:
    """The project that the response is limited to."""
    if caller.project is not None and project not in (None, caller.project):
        raise Forbidden(f"token {caller.name!r} is for the project {caller.project!r}; leave the project out")
    return caller.project or project


async def _happened(served: Services, run_id: str, cursor: str, wait: float) -> Happenings:
    """What happened since the cursor; waits if nothing has."""
    deadline = anyio.current_time() + wait
    while True:
        seen = await anyio.to_thread.run_sync(served.store.versions, [run_id])
        read = partial(insight.happened, served.store, run_id, cursor, now_ms=served.clock())
        found = await anyio.to_thread.run_sync(read)
        cursor = found.cursor
        if found.events or found.ended or not await served.watch.changed([run_id], seen, deadline):
            return found


async def _stream(served: Services, run_id: str, found: Happenings) -> AsyncIterator[bytes]:
    while True:
        for at, event in enumerate(found.events):
            mark = f"id: {found.cursor}\n" if at == len(found.events) - 1 else ""
            data = json.dumps(jsonable(event.to_dict()), separators=(",", ":"))
            yield f"{mark}event: {event.kind}\ndata: {data}\n\n".encode()
        if found.ended:
            yield f"id: {found.cursor}\nevent: end\ndata: {{}}\n\n".encode()
            return
        if not found.events:
            yield b": nothing yet\n\n"
        found = await _happened(served, run_id, found.cursor, WAIT_S)
