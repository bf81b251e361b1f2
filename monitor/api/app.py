"""The application factory: puts the door, routes, errors and compression together."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import anyio
from fastapi import APIRouter, Depends, FastAPI
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from monitor import __version__
from monitor.api import alerts, attention, batches, curves, health, problems, rules, runs, signin, tokens, views
from monitor.api.bodies import CompressRemote
from monitor.api.door import Door
from monitor.api.identity import Oidc, Provider
from monitor.api.keys import Keys
from monitor.api.problems import documented
from monitor.api.security import check_parameters, declare_roles, described
from monitor.api.services import Services, no_jobs
from monitor.domain import JobHealth
from monitor.ingest.engines import Engines
from monitor.settings import Settings
from monitor.store import Store

_TAGS: Final = ("batches", "runs", "curves", "rules", "alerts", "views", "access", "health")
POSTGRES_WRITERS: Final = 8
"""Concurrent commits on PostgreSQL: while some wait for the disk, another uses the CPU. More would queue for it."""
_REFUSALS: Final = (401, 403, 408, 413, 415, 429, 503)
"""Responses that the door may send to any request."""


class Guarded(FastAPI):
    """An application behind the door, which is outermost: even the 500 response to a bug passes through it.

    If another application (MLflow's) shares the address, `state.beside` combines the two.
    """

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document. An absent recommendation is an empty object there, although its type says None."""
        if self.openapi_schema is None:
            found = super().openapi()["components"]["schemas"]["Recommendation"]["properties"]
            for name in ("forecast", "patience"):
                found[name]["anyOf"] = [
                    {"type": "object", "maxProperties": 0} if each == {"type": "null"} else each
                    for each in found[name]["anyOf"]
                ]
        assert self.openapi_schema is not None
        return self.openapi_schema

    def build_middleware_stack(self) -> ASGIApp:
        """Build the middleware stack, with the door outermost."""
        door = Door(super().build_middleware_stack(), self.state.services.keys)
        beside: Callable[[Door], ASGIApp] | None = getattr(self.state, "beside", None)
        return door if beside is None else beside(door)


def wall_clock_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def create_api(
    store: Store,
    engines: Engines,
    settings: Settings,
    *,
    clock: Callable[[], int] = wall_clock_ms,
    jobs: Callable[[], Mapping[str, JobHealth]] = no_jobs,
) -> FastAPI:
    """Create the API over a store. It opens, closes and starts nothing itself.

    Args:
        engines: evaluate incoming points by the rules of their project.
        settings: the token, and what `/api/v1/info` shows.
        jobs: the health of the background jobs by name.
    """
    app = Guarded(
        title="lossmonitor",
        version=__version__,
        summary="Training losses in, diagnosis out.",
        openapi_tags=[{"name": name} for name in _TAGS],
        docs_url=None,  # these pages load scripts from a CDN
        redoc_url=None,
    )
    writers = 1 if settings.store_url.startswith("sqlite") else POSTGRES_WRITERS
    app.state.services = Services(
        store=store, engines=engines, settings=settings, clock=clock, jobs=jobs, writers=anyio.CapacityLimiter(writers),
        keys=Keys(store, settings.token, clock, settings.rate_limit, asks=bool(settings.oidc)),
        provider=Provider(Oidc.of(settings.oidc)) if settings.oidc else None,
    )  # fmt: skip
    problems.install(app)
    app.add_middleware(CompressRemote)
    app.router.routes.extend(_routes())
    return app


@functools.cache
def _routes() -> list[BaseRoute]:
    """The routes. They depend on no application, so a process with several builds them and their models once."""
    found = APIRouter()
    found.include_router(health.probes)
    found.include_router(signin.router, responses=documented(403, 408, 413, 415, 429, 503))
    declare_roles(health.metrics.routes)
    found.include_router(health.metrics)
    checks = [Depends(described), Depends(check_parameters)]
    api = APIRouter(dependencies=checks, responses=documented(*_REFUSALS))
    # Routes are matched in this order, and nearly all requests are batches.
    routers = (batches, alerts, attention, curves, tokens, rules, runs, views, health)
    for router in (each.router for each in routers):
        declare_roles(router.routes)
        api.include_router(router)
    # Without a prefix, `include_router` builds all models only to check that no path is empty.
    found.include_router(api, prefix="/api/v1")
    return found.routes
