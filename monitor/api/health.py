"""`/healthz`, `/readyz`, `/api/v1/info` and `/api/v1/alerts`: how the server is, and what it told people."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from monitor import __version__, wire
from monitor.api.bodies import json_response
from monitor.api.models import AlertsModel, HealthModel, InfoModel, ReadyModel
from monitor.api.problems import documented, problem
from monitor.api.services import Served, store_id
from monitor.domain import Delivery
from monitor.errors import StoreError

_log = logging.getLogger(__name__)

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
    try:
        served.store.runs(limit=1)
    except StoreError as error:
        # Open to everybody, so without the error's words, which name the database's host.
        _log.warning("not ready: %s", error)
        return problem(503, "store-error", "The store does not answer", "the server's log says why")
    jobs = {name: "failing" if health.failing else "ok" for name, health in served.jobs().items()}
    status = "degraded" if "failing" in jobs.values() else "ok"
    return json_response({"status": status, "store": served.store_kind, "jobs": jobs})


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
            "rules_hash": served.engine.default.config.hash,
            "project_rules": served.engine.hashes,
            "heartbeat_s": served.settings.heartbeat_s,
            "links": served.links,
            "jobs": {name: health.to_dict() for name, health in served.jobs().items()},
        }
    )


@router.get("/alerts", responses={200: {"model": AlertsModel}, **documented(404, 422, 503)})
def get_alerts(served: Served, run: str | None = None, limit: Annotated[int, Query(ge=1, le=10_000)] = 100) -> Response:
    """Alerts, newest first, with where they are on their way."""
    run_id = None if run is None else served.store.run(run).id
    rows = [_delivery(row) for row in served.store.alerts(run_id, limit)]
    return json_response({"alerts": rows, "channels": len(served.settings.alert_urls)})


def _delivery(row: Delivery) -> dict[str, object]:
    return {
        "id": row.id,
        "alert": row.alert.to_dict(),
        "attempts": row.attempts,
        "next_ms": row.next_ms,
        "delivered_ms": row.delivered_ms,
        "error": row.error,
    }
