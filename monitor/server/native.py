"""MLflow's server and ours at one address, over one database."""

from __future__ import annotations

import contextlib
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp

from monitor.api.door import Door
from monitor.errors import SettingsError
from monitor.ingest.engines import Engines
from monitor.mlflow_store import app as mlflow_app
from monitor.mlflow_store.app import Beside
from monitor.mlflow_store.rows import Rows
from monitor.server.app import create_app as create_our_app
from monitor.server.app import open_store
from monitor.settings import Settings, load
from monitor.store.mlflow import MlflowStore, mlflow_url


@dataclass(frozen=True, slots=True, kw_only=True)
class Native:
    """MLflow's server, as used by our application.

    Attributes:
        store: our store in the database with MLflow's tables.
        rows: writes what MLflow should know about our runs.
        app: MLflow's application.
        guarded: True if requests to MLflow must pass our door too: they need a token if the server has any.
    """

    store: MlflowStore
    rows: Rows
    app: Any
    guarded: bool

    def beside(self, front: Door) -> ASGIApp:
        """Both applications, ours in front."""
        return Beside(front, self.app, front.refusal_by_mlflow if self.guarded else None)

    def lifespan(self) -> AbstractAsyncContextManager[Any]:
        """What MLflow's application does when a server starts and ends. A mounted application would not hear of it."""
        context = getattr(getattr(self.app, "router", None), "lifespan_context", None)
        return contextlib.nullcontext() if context is None else context(self.app)


def beside_ours(settings: Settings, engines: Engines) -> Native:
    """MLflow's server over the store of `monitor up`.

    Every request to it needs a token if the server requires one.

    Raises:
        SchemaMismatch: our schema in the database has another version; the message names the command that fixes it.
    """
    open_store(settings).close()  # created or migrated, before MLflow creates its tables next to ours
    folder = settings.dir / "mlartifacts"
    mlflow_app.set_up(mlflow_url(settings.store_url), folder, guarded=settings.token is not None)
    return _opened(engines, guarded=True)


def _opened(engines: Engines, *, guarded: bool, users: bool = False) -> Native:
    from monitor.mlflow_store.backend import use_engines

    use_engines(engines)
    tracking = mlflow_app.open_store()
    app = mlflow_app.make_app(tracking, users=users)
    return Native(store=tracking.ours, rows=Rows(tracking), app=app, guarded=guarded)


def create_app() -> FastAPI:
    """What `mlflow server --app-name monitor` serves: MLflow's API and pages, and ours, over its database.

    MLflow's routes require no token, as in MLflow's own server.

    Raises:
        SettingsError: MLflow was started with a backend or a server that this cannot serve.
    """
    settings = load(database_url=mlflow_app.database_url())
    return create_our_app(settings, native=lambda _, engines: _opened(engines, guarded=False))


def create_app_with_users() -> FastAPI:
    """What `mlflow server --app-name monitor-basic-auth` serves: the same, with MLflow's users and permissions.

    These apply to MLflow's routes. Ours require the monitor's token, which must be set, and which gives access to every
    run.

    Raises:
        SettingsError: as `create_app`; or there is no token, or MLflow's users cannot be served.
    """
    settings = load(database_url=mlflow_app.database_url())
    if settings.token is None:
        problem = "not set, so that the monitor's routes would answer without MLflow's users being asked"
        raise SettingsError("MONITOR_TOKEN", problem, "set it to a long random text")
    return create_our_app(settings, native=lambda _, engines: _opened(engines, guarded=False, users=True))
