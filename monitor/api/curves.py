"""Curves, positions and histories: reading points."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Annotated, Final, Literal

import anyio
from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Send

from monitor import wire
from monitor.api import arrow
from monitor.api.bodies import json_response
from monitor.api.models import CurveModel, CurvesModel, HistoryModel, PositionsModel
from monitor.api.problems import documented
from monitor.api.security import Viewer
from monitor.api.services import Served, id_of
from monitor.domain import CurveOf, Points
from monitor.errors import WireError

router = APIRouter(tags=["curves"], default_response_class=Response, responses=documented(404, 422))

PART_S: Final = 60.0
"""Seconds in which the client must read each part of a stream (a few MB)."""
_PART: Final = 8192
"""Numbers encoded as JSON at a time."""
_JSON: Final = "application/json"
_log = logging.getLogger(__name__)

_Key = Annotated[str, Query(min_length=1, max_length=wire.MAX_KEY, description="The series, such as `train/loss`.")]


_Axis = Literal["step", "epoch", "wall_time", "relative"]
_Low = Annotated[float | None, Query(allow_inf_nan=False, description="Left end of the window, on the x axis.")]
_High = Annotated[float | None, Query(allow_inf_nan=False, description="Right end of the window, on the x axis.")]
_Width = Annotated[int, Query(ge=1, le=20_000, description="Pixels that the curve is drawn on.")]
_Weight = Annotated[float, Query(ge=0, lt=1, description="Weight of the moving average; 0 for none.")]
_Step = Annotated[int, Field(ge=-(2**63), lt=2**63)]
AT_ONCE: Final = 500
"""Maximum number of curves, or of steps, per request."""
_SERIES: Final = "Each as the run's whole id, a slash, and the series: `<run id>/train/loss`."


@router.get("/runs/{ref:name}/curve", responses={200: {"model": CurveModel}})
def get_curve(
    served: Served,
    caller: Viewer,
    ref: str,
    key: _Key,
    x: _Axis = "step",
    lo: _Low = None,
    hi: _High = None,
    width: _Width = 2000,
    smoothing: _Weight = 0.0,
) -> Response:
    """A series downsampled for display. All extremes, gaps and both ends are kept."""
    curve = served.store.curve(id_of(served, caller, ref), key, x=x, lo=lo, hi=hi, width=width, smoothing=smoothing)
    return json_response(wire.curve_to_json(curve))


@router.get("/curves", responses={200: {"model": CurvesModel}})
def get_curves(
    served: Served,
    caller: Viewer,
    series: Annotated[list[str], Query(min_length=1, max_length=AT_ONCE, description=_SERIES)],
    smoothing: Annotated[
        list[Annotated[float, Field(ge=0, lt=1)]],
        Query(max_length=AT_ONCE, description="Weight of the moving average of each series, in their order."),
    ] = [],  # noqa: B006  # FastAPI copies it
    x: _Axis = "step",
    lo: _Low = None,
    hi: _High = None,
    width: _Width = 2000,
) -> Response:
    """Several series of one or more runs, downsampled as by `curve`."""
    if smoothing and len(smoothing) != len(series):
        raise WireError("smoothing", f"must be given for each of the {len(series)} series or for none")
    wanted = []
    for each, weight in zip(series, smoothing or [0.0] * len(series), strict=True):
        run_id, slash, key = each.partition("/")
        if not slash:
            raise WireError("series", f"must be a run's id, a slash and a key, got {each[:100]!r}")
        wanted.append(CurveOf(run_id, key, weight))
    found = served.store.curves(wanted, x=x, lo=lo, hi=hi, width=width, within=caller.project)
    return json_response({"curves": [wire.curve_to_json(curve) for curve in found]})


@router.get("/runs/{ref:name}/positions", responses={200: {"model": PositionsModel}})
def get_positions(
    served: Served,
    caller: Viewer,
    ref: str,
    key: Annotated[list[str], Query(min_length=1, max_length=AT_ONCE, description="Asked one after the other.")],
    step: Annotated[list[_Step], Query(min_length=1, max_length=AT_ONCE)],
    x: _Axis,
) -> Response:
    """Positions of steps on an axis, from the points of the given series."""
    found = served.store.positions(id_of(served, caller, ref), key, step, x=x)
    return json_response({"positions": [None if at is None else wire.number_to_json(at) for at in found]})


@router.get(
    "/runs/{ref:name}/history",
    responses={
        200: {
            "model": HistoryModel,
            "content": {
                media: {"schema": {"type": "string", "format": "binary"}}
                for media in (arrow.MEDIA_TYPE, wire.POINTS_MEDIA_TYPE)
            },
        }
    },
)
def get_history(
    served: Served,
    caller: Viewer,
    request: Request,
    ref: str,
    key: _Key,
    lo: Annotated[int | None, Query(ge=-(2**63), lt=2**63, description="First step.")] = None,
    hi: Annotated[int | None, Query(ge=-(2**63), lt=2**63, description="Last step, inclusive.")] = None,
    attempt: Annotated[int | None, Query(ge=1, lt=2**31, description="Points of this attempt alone.")] = None,
) -> Response:
    """All points of a series: as an Arrow stream or packed if the client accepts that, else as JSON."""
    run = served.store.run(ref, within=caller.project)
    headers, accept = {"Vary": "Accept"}, request.headers.get("accept", "")
    if arrow.MEDIA_TYPE in accept:
        batches = served.store.history_batches(run.id, key, lo=lo, hi=hi, attempt=attempt)
        first = next(batches, None)  # raises for an unknown series before the response starts
        epochs = first is not None and first.epochs is not None
        whole = batches if first is None else itertools.chain([first], batches)
        parts = arrow.encode_stream(whole, {"run_id": run.id, "run": run.name, "key": key}, epochs=epochs)
        return _Paced(_to_the_end(parts, batches), media_type=arrow.MEDIA_TYPE, headers=headers)
    points = served.store.history(run.id, key, lo=lo, hi=hi, attempt=attempt)
    if wire.POINTS_MEDIA_TYPE in accept:
        return Response(wire.encode_points(points), media_type=wire.POINTS_MEDIA_TYPE, headers=headers)
    return StreamingResponse(iterate_in_threadpool(json_parts(key, points)), media_type=_JSON, headers=headers)


class _Paced(StreamingResponse):
    """A streaming response with a timeout for slow readers: its read transaction keeps the database from vacuuming."""

    async def stream_response(self, send: Send) -> None:
        """Send the stream. Abort it if the client is too slow; the server then closes the connection."""

        async def in_time(message: Message) -> None:
            with anyio.fail_after(PART_S):
                await send(message)

        try:
            await super().stream_response(in_time)
        except TimeoutError:
            _log.warning("the reader of a history did not take a part of it within %g s and was cut off", PART_S)
        finally:
            await self.body_iterator.aclose()  # type: ignore[attr-defined]  # an async generator


async def _to_the_end(parts: Iterator[bytes], batches: Generator[Points]) -> AsyncIterator[bytes]:
    """Yield the parts, and end the read transaction at the end or when the client disconnects."""
    try:
        async for part in iterate_in_threadpool(parts):
            yield part
    finally:
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(batches.close)


def json_parts(key: str, points: Points) -> Iterator[bytes]:
    """Encode a series as strict JSON, one list per column, in parts: Python objects would take 20 times the memory."""
    yield b'{"key":' + json.dumps(key, ensure_ascii=False).encode(errors="replace")
    columns = {"steps": points.steps, "values": points.values, "times": points.times, "epochs": points.epochs}
    for name, column in columns.items():
        yield f',"{name}":'.encode()
        if column is None:
            yield b"null"
            continue
        yield b"["
        for start in range(0, len(column), _PART):
            part = column[start : start + _PART].tolist()
            if column.dtype.kind == "f":
                part = [wire.number_to_json(v) for v in part]
            text = json.dumps(part, separators=(",", ":"), allow_nan=False)[1:-1]
            yield ("," + text if start else text).encode()
        yield b"]"
    yield b"}"
