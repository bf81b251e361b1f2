"""The application for the store that the settings name, with its background jobs."""

from __future__ import annotations

import contextlib
import logging
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio.to_thread
from fastapi import FastAPI

from monitor.alerts import open_channels
from monitor.api import create_api
from monitor.api.services import Services
from monitor.domain import JobHealth
from monitor.errors import SchemaMismatch, StoreError
from monitor.ingest.engines import Engines, open_engines
from monitor.jobs import Jobs
from monitor.mlflow_store import Exporter
from monitor.owner import process_owner
from monitor.server.children import need
from monitor.settings import Settings
from monitor.store import Store, opening
from monitor.store.sql import migrate

if TYPE_CHECKING:
    from monitor.server.native import Native

_log: Final = logging.getLogger(__name__)


def create_app(
    settings: Settings,
    *,
    jobs_elsewhere: Callable[[], Mapping[str, JobHealth]] | None = None,
    native: Callable[[Settings, Engines], Native] | None = None,
) -> FastAPI:
    """The API with its jobs, for any ASGI server. The store is closed when the server shuts the application down.

    Args:
        settings: which store, which token, where alerts go, and what is mirrored.
        jobs_elsewhere: if another process runs the jobs, a function that asks it for their health.
        native: opens MLflow's server over the same store, to be served at the same address; None for none.

    Raises:
        SettingsError: an alert URL or the MLflow address cannot be used.
        SchemaMismatch: the database has another schema; the message names the command that fixes it.
    """
    engines = open_engines(settings)
    mirror = None
    if jobs_elsewhere is None:
        channels = open_channels(settings)
        mirror = Exporter(settings.mlflow_tracking_uri) if settings.mlflow_tracking_uri else None
    mlflow = native(settings, engines) if native is not None else None
    store = mlflow.store if mlflow is not None else open_store(settings)
    engines.follow(store.saved_rules)
    jobs = None
    if jobs_elsewhere is None:
        rows = None if mlflow is None else mlflow.rows
        jobs = Jobs(store, settings, channels=channels, mirror=mirror, rows=rows)
        jobs_elsewhere = jobs.health
        note_rules(store, engines)
    app = create_api(store, engines, settings, jobs=jobs_elsewhere)
    if jobs is not None:
        jobs.links = app.state.services.links
    if mlflow is not None:
        app.state.beside = mlflow.beside
    app.router.lifespan_context = _lifespan(store, jobs, mirror, mlflow)
    return app


def open_native() -> Callable[[Settings, Engines], Native]:
    """The `native` argument of `create_app` that serves MLflow's API at the same address. Imports MLflow only now."""
    need("mlflow")
    from monitor.server.native import beside_ours

    return beside_ours


def open_store(settings: Settings) -> Store:
    """Open the store. A new one is created, and an older embedded one is migrated.

    A team's PostgreSQL is not migrated behind the back of its other servers; `monitor db upgrade` does that.

    Raises:
        SchemaMismatch: the database is newer than this code, or an older PostgreSQL.
    """
    url = settings.store_url
    if not url.startswith("sqlite"):
        return opening.open_store(url)
    settings.make_dir()
    try:
        return opening.open_store(url)
    except SchemaMismatch as mismatch:
        try:
            migrate.upgrade(url)
        except StoreError:
            # Newer than this code, so it cannot be upgraded. The first error says what to do.
            raise mismatch from None
    return opening.open_store(url)


def note_rules(store: Store, engines: Engines) -> None:
    """Record the rules in the audit log if they changed since the last start.

    A project that no longer has its own rules is recorded with the global ones. A store that is not writable does not
    keep a server from starting.
    """
    now_ms, who = time.time_ns() // 1_000_000, f"{process_owner()}@{socket.gethostname()}"
    try:
        known = [each.project for each in store.rules_history(limit=1000)]
        for version in engines.versions(known, who=who, now_ms=now_ms):
            store.note_rules(version)
    except StoreError as error:
        _log.warning("the rules were not recorded in the audit log: %s", error)


def with_own_token(settings: Settings) -> Settings:
    """Add a random token for this server's own processes, if the store has tokens and the settings have none.

    Nobody else knows it, and it ends with the server.
    """
    if settings.token is not None:
        return settings
    try:
        with Store.open(settings.store_url, create=False) as store:
            asks = store.has_tokens()
    except StoreError:  # no database yet, or another schema, which the start of the server reports
        return settings
    return settings.model_copy(update={"token": secrets.token_urlsafe(32)}) if asks else settings


def _lifespan(
    store: Store, jobs: Jobs | None, mirror: Exporter | None, mlflow: Native | None
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        if jobs is not None:
            jobs.start()
        try:
            async with contextlib.nullcontext() if mlflow is None else mlflow.lifespan():
                yield
        finally:
            if jobs is not None:
                await anyio.to_thread.run_sync(jobs.close)
            if mirror is not None:
                mirror.close()
            services: Services = app.state.services
            await anyio.to_thread.run_sync(services.keys.note)
            await anyio.to_thread.run_sync(store.close)

    return run
