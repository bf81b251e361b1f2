"""`/healthz`, `/readyz`, `/api/v1/info` and `/api/v1/alerts`: how the server is, and what it told people."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from monitor import __version__, wire
from monitor.api.bodies import json_response
from monitor.api.models import AlertsModel, HealthModel, InfoModel, ReadyModel
from monitor.api.problems import documented
from monitor.api.services import Served, Services, store_id
from monitor.domain import Delivery

probes = APIRouter(tags=["health"], default_response_class=Response)
"""Open without a token, as probes have none; they tell nothing of the runs."""

router = APIRouter(tags=["health"], default_response_class=Response, responses=documented(401))


@probes.get("/healthz", responses={200: {"model": HealthModel}})
async def healthz(served: Served) -> Response:
    """The process answers; it does not touch the store."""
    return json_response(
        {"status": "ok", "name": "lossmonitor", "version": __version__, "store_id": store_id(served.settings)}
    )


@probes.get("/readyz", responses={200: {"model": ReadyModel}, **documented(503)})
def readyz(served: Served) -> Response:
    """The store answers. A failing background job is told, but does not make a server unready that takes points."""
    served.store.runs(limit=1)
    jobs = _jobs(served)
    degraded = any(job["failing"] for job in jobs.values())
    return json_response({"status": "degraded" if degraded else "ok", "store": served.store_kind, "jobs": jobs})


@router.get("/info", responses={200: {"model": InfoModel}})
def info(served: Served) -> Response:
    """What this server is: versions, store, rules, its other addresses and its jobs."""
    return json_response(
        {
            "name": "lossmonitor",
            "version": __version__,
            "wire": wire.VERSION,
            "store": served.store_kind,
            "store_id": store_id(served.settings),
            "rules_hash": served.engine.config.hash,
            "heartbeat_s": served.settings.heartbeat_s,
            "links": served.links,
            "jobs": _jobs(served),
        }
    )


@router.get("/alerts", responses={200: {"model": AlertsModel}, **documented(404, 422, 503)})
def get_alerts(served: Served, run: str | None = None, limit: Annotated[int, Query(ge=1, le=10_000)] = 100) -> Response:
    """Alerts, newest first, with where they are on their way."""
    run_id = None if run is None else served.store.run(run).id
    return json_response({"alerts": [_delivery(row) for row in served.store.alerts(run_id, limit)]})


def _delivery(row: Delivery) -> dict[str, object]:
    return {
        "id": row.id,
        "alert": row.alert.to_dict(),
        "attempts": row.attempts,
        "next_ms": row.next_ms,
        "delivered_ms": row.delivered_ms,
        "error": row.error,
    }


def _jobs(served: Services) -> dict[str, dict[str, object]]:
    return {name: health.to_dict() for name, health in served.jobs().items()}
