"""MLflow's own server application over our store, and the dispatch in front of it.

MLflow is imported only when an application is created: the process that starts the workers does not need it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.errors import SettingsError
from monitor.mlflow_store import direct

if TYPE_CHECKING:
    from monitor.mlflow_store.store import Store

SCHEMES: Final = ("sqlite", "postgresql")
"""Backends that our store supports. MLflow's own store serves all others."""
_OPEN: Final = frozenset({"/health", "/version"})
"""Paths answered without a token, for probes."""
_PROMETHEUS: Final = "prometheus_multiproc_dir"
"""Environment variable in which MLflow and the Prometheus client look for the folder of `--expose-prometheus`."""


def database_url() -> str:
    """The database of a server that `mlflow server` started.

    Raises:
        SettingsError: MLflow was started with an unsupported backend or kind of server.
    """
    from mlflow.server.constants import BACKEND_STORE_URI_ENV_VAR

    server = os.environ.get("_MLFLOW_SGI_NAME", "uvicorn")
    if server != "uvicorn":
        raise SettingsError(
            f"--{server}-opts", "starts a server that cannot serve ASGI", "leave it out: uvicorn is used"
        )
    url = os.environ.get(BACKEND_STORE_URI_ENV_VAR, "")
    scheme = url.partition(":")[0].partition("+")[0]
    if scheme not in SCHEMES or ":memory:" in url or url == "sqlite://":
        problem = f"{scheme or 'none'} is not supported by --app-name monitor"
        raise SettingsError("--backend-store-uri", problem, "write sqlite:///FILE or postgresql+psycopg://…")
    return url


def open_store() -> Store:
    """The tracking store of this process. MLflow's server creates it on its first request; from now on it is ours."""
    from mlflow.server import handlers

    from monitor.mlflow_store.store import Store

    for scheme in SCHEMES:
        handlers._tracking_store_registry.register(scheme, _build)
    found = handlers._get_tracking_store()
    assert isinstance(found, Store), f"MLflow made a {type(found).__name__} before ours was registered"
    return found


def make_app(store: Store, *, users: bool = False) -> Any:
    """Create MLflow's application.

    Args:
        store: the tracking store of this process.
        users: True to use MLflow's own users and permissions (its `basic-auth`).

    Raises:
        SettingsError: `users` is True, and what they need is not installed.
    """
    from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
    from mlflow.server.constants import ARTIFACTS_ONLY_ENV_VAR, PROMETHEUS_EXPORTER_ENV_VAR

    with warnings.catch_warnings():
        # MLflow uses a module that Starlette will remove; pyproject.toml caps Starlette's version.
        warnings.filterwarnings("ignore", message="starlette.middleware.wsgi is deprecated")
        if users:
            return _app_with_users()
        from mlflow.server.fastapi_app import app
    if any(os.environ.get(name) for name in (ARTIFACTS_ONLY_ENV_VAR, PROMETHEUS_EXPORTER_ENV_VAR)):
        return app
    return direct.InFront(app, store, workspaces=MLFLOW_ENABLE_WORKSPACES.get())


def _app_with_users() -> Any:
    """MLflow's `basic-auth`. Flask asks for a name and a password, so every request must go through it."""
    try:
        from mlflow.server.auth import create_app
    except ImportError as error:
        problem = f"needs a package that is not installed: {error.name}"
        raise SettingsError("--app-name monitor-basic-auth", problem, "run pip install 'mlflow[auth]'") from error
    return create_app()


def set_up(url: str, folder: Path, *, guarded: bool) -> None:
    """Configure MLflow's server through the environment, from which it reads its settings.

    Args:
        url: the database, as MLflow writes it.
        folder: where artifacts are stored.
        guarded: True if every request carries a token, so that its Host header need not be checked.
    """
    if guarded:  # before MLflow is imported, which reads it then
        os.environ.setdefault("MLFLOW_SERVER_ALLOWED_HOSTS", "*")
    from mlflow.server import constants

    os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = url
    os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = "mlflow-artifacts:/"
    os.environ[constants.ARTIFACTS_DESTINATION_ENV_VAR] = str(folder)
    os.environ[constants.SERVE_ARTIFACTS_ENV_VAR] = "true"
    os.environ["_MLFLOW_SGI_NAME"] = "uvicorn"
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    # Only `mlflow server` starts the processes of its generative-AI jobs.
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"


def _build(store_uri: str, artifact_uri: str | None = None) -> Store:
    """Create the tracking store. MLflow calls this."""
    from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
    from mlflow.server.constants import READ_REPLICA_BACKEND_STORE_URI_ENV_VAR as REPLICA

    from monitor.mlflow_store.store import Store, WorkspaceStore

    made = WorkspaceStore if MLFLOW_ENABLE_WORKSPACES.get() else Store
    return made(store_uri, artifact_uri, read_db_uri=os.environ.get(REPLICA))


class Beside:
    """Two applications at one address: ours answers its own paths, MLflow's everything else.

    MLflow's middleware never sees our requests; it would refuse hosts and origins by its own rules.

    Args:
        front: our application; it also gets the server's lifespan events.
        behind: MLflow's.
        refusal: returns the response that refuses a request to MLflow, or None if it may pass; None lets everybody in.
    """

    def __init__(
        self, front: ASGIApp, behind: ASGIApp, refusal: Callable[[Scope], Awaitable[Response | None]] | None = None
    ) -> None:
        self._front, self._behind, self._refusal = front, behind, refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application that answers it."""
        guarded = (
            self._refusal is not None and scope["type"] == "websocket"
        )  # MLflow has none that could ask for a token
        if scope["type"] == "lifespan" or guarded or is_ours(scope["path"]):
            await self._front(scope, receive, send)
            return
        refused = None
        if self._refusal is not None and scope["type"] == "http" and scope["path"] not in _OPEN:
            refused = await self._refusal(scope)
        await (self._behind if refused is None else refused)(scope, receive, send)


def is_ours(path: str) -> bool:
    """True for a path that our API answers. `/metrics` is MLflow's if `--expose-prometheus` is used.

    >>> [is_ours(path) for path in ("/api/v1/runs", "/signin", "/api/2.0/mlflow/runs/create", "/")]
    [True, True, False, False]
    """
    if path == "/metrics":
        return _PROMETHEUS not in os.environ
    return path.startswith("/api/v1/") or path in ("/healthz", "/readyz", "/signin", "/openapi.json")
