"""`/api/v1/runs/{ref}/curve` and `…/history`: the points on their way out."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from monitor import wire
from monitor.api.bodies import json_response
from monitor.api.models import CurveModel, HistoryModel
from monitor.api.problems import documented
from monitor.api.services import Served
from monitor.domain import Points

router = APIRouter(tags=["curves"], default_response_class=Response, responses=documented(401, 404, 422, 503))

_Key = Annotated[str, Query(min_length=1, max_length=wire.MAX_KEY, description="The series, such as `train/loss`.")]


@router.get("/runs/{ref}/curve", responses={200: {"model": CurveModel}})
def get_curve(
    served: Served,
    ref: str,
    key: _Key,
    x: Literal["step", "epoch", "wall_time", "relative"] = "step",
    lo: Annotated[
        float | None, Query(allow_inf_nan=False, description="Left end of the window, on the x axis.")
    ] = None,
    hi: Annotated[
        float | None, Query(allow_inf_nan=False, description="Right end of the window, on the x axis.")
    ] = None,
    width: Annotated[int, Query(ge=1, le=20_000, description="Pixels that the curve is drawn on.")] = 2000,
    smoothing: Annotated[float, Query(ge=0, lt=1, description="Weight of the moving average; 0 for none.")] = 0.0,
) -> Response:
    """A series reduced to what a screen shows; every extreme, every gap and both ends are kept."""
    run = served.store.run(ref)
    curve = served.store.curve(run.id, key, x=x, lo=lo, hi=hi, width=width, smoothing=smoothing)
    return json_response(wire.curve_to_json(curve))


@router.get(
    "/runs/{ref}/history",
    responses={
        200: {
            "model": HistoryModel,
            "content": {wire.POINTS_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
def get_history(
    served: Served,
    request: Request,
    ref: str,
    key: _Key,
    lo: Annotated[int | None, Query(ge=-(2**63), lt=2**63, description="First step.")] = None,
    hi: Annotated[int | None, Query(ge=-(2**63), lt=2**63, description="Last step, inclusive.")] = None,
    attempt: Annotated[int | None, Query(ge=1, lt=2**31, description="Points of this attempt alone.")] = None,
) -> Response:
    """Every point of a series: packed for those who accept `application/x-monitor-points`, else JSON."""
    run = served.store.run(ref)
    points = served.store.history(run.id, key, lo=lo, hi=hi, attempt=attempt)
    headers = {"Vary": "Accept"}
    if wire.POINTS_MEDIA_TYPE in request.headers.get("accept", ""):
        return Response(wire.encode_points(points), media_type=wire.POINTS_MEDIA_TYPE, headers=headers)
    response = json_response(points_to_json(key, points))
    response.headers.update(headers)
    return response


def points_to_json(key: str, points: Points) -> dict[str, object]:
    """A series as strict JSON data, one list a column."""
    epochs = points.epochs
    return {
        "key": key,
        "steps": points.steps.tolist(),
        "values": [wire.number_to_json(v) for v in points.values.tolist()],
        "times": points.times.tolist(),
        "epochs": None if epochs is None else [wire.number_to_json(v) for v in epochs.tolist()],
    }
