"""`/healthz`, `/readyz`, `/metrics` and `/api/v1/info`: the state of the server."""

from __future__ import annotations

import logging

from fastapi import APIRouter, Depends
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response

from monitor import __version__, wire
from monitor.api.bodies import json_response
from monitor.api.models import HealthModel, InfoModel, ReadyModel
from monitor.api.problems import documented, problem
from monitor.api.readiness import problem_of
from monitor.api.security import Viewer, described
from monitor.api.services import Served, store_id
from monitor.domain import Json
from monitor.errors import Forbidden

_log = logging.getLogger(__name__)

probes = APIRouter(tags=["health"], default_response_class=Response)
"""Need no token, since probes have none; they reveal nothing about the runs."""

metrics = APIRouter(tags=["health"], default_response_class=Response, dependencies=[Depends(described)])
"""At the path that Prometheus expects, but behind a token: it tells how many runs there are."""

router = APIRouter(tags=["health"], default_response_class=Response)


@probes.get("/healthz", responses={200: {"model": HealthModel}})
async def healthz(served: Served) -> Response:
    """The process is alive. Does not touch the store."""
    return json_response(
        {"status": "ok", "name": "lossmonitor", "version": __version__, "store_id": store_id(served.settings)}
    )


@probes.get("/readyz", responses={200: {"model": ReadyModel}, **documented(503)})
async def readyz(served: Served) -> Response:
    """The store accepts points. A failing background job is reported, but does not make the server unready."""

    def look() -> Json | None:
        trouble = problem_of(served.store, served.settings)
        if trouble is not None:
            _log.warning("not ready: %s", trouble)
            return None
        jobs = {name: "failing" if health.failing else "ok" for name, health in served.jobs().items()}
        status = "degraded" if "failing" in jobs.values() else "ok"
        return {"status": status, "store": served.store_kind, "jobs": jobs}

    found = await served.readiness.ask(look)
    if found is None:
        # Open to everybody, so without the error text, which names the database's host.
        return problem(503, "store-error", "The store takes no points", "the server's log says why")
    return json_response(found)


@metrics.get(
    "/metrics",
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **documented(401, 403, 429, 503)},
)
def get_metrics(served: Served, caller: Viewer) -> Response:
    """Metrics of this process for Prometheus. If the server requires tokens, needs one for all projects."""
    if caller.project is not None:
        raise Forbidden(f"/metrics counts all projects, and token {caller.name!r} reaches {caller.project!r} alone")
    return Response(served.metrics.text(served), media_type=CONTENT_TYPE_PLAIN_0_0_4)


@router.get("/info", responses={200: {"model": InfoModel}})
def info(served: Served, caller: Viewer) -> Response:
    """Versions, store, rules, other addresses and background jobs of this server."""
    jobs = {name: health.to_dict() for name, health in served.jobs().items()}
    if caller.project is not None:
        jobs = {name: {**health, "last_error": None} for name, health in jobs.items()}  # may name others' runs
    return json_response(
        {
            "name": "lossmonitor",
            "version": __version__,
            "wire": wire.VERSION,
            "store": served.store_kind,
            "store_id": store_id(served.settings),
            "rules_hash": served.engines.default.config.hash,
            "project_rules": {k: v for k, v in served.engines.hashes.items() if caller.project in (None, k)},
            "heartbeat_s": served.settings.heartbeat_s,
            "links": served.links,
            "jobs": jobs,
        }
    )
