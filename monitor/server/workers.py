"""More processes that serve the API, for more concurrent runs than one interpreter can judge.

They listen on the server's own port, over the same PostgreSQL database, and the kernel distributes the connections
among them and the server. Only the server runs jobs. A worker that dies is restarted; its clients resend what was not
answered to whichever process accepts their connection. Each worker also listens on a loopback port of its own, where
the server checks its health, and asks the server there how the jobs are doing.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack

import httpx

from monitor.api.services import Services
from monitor.domain import JobHealth
from monitor.errors import SettingsError
from monitor.server.app import create_app, open_native
from monitor.server.children import Spec, until_told_to_stop
from monitor.server.logs import logging_as
from monitor.server.ports import bind, free_port, url_of
from monitor.server.serving import Serving
from monitor.settings import Settings

_LOOPBACK = "127.0.0.1"


def check_workers(settings: Settings) -> None:
    """Refuse more than one process where they would only wait for each other.

    Raises:
        SettingsError: the store is SQLite, or this is not Linux.
    """
    if settings.workers == 1:
        return
    if settings.store_url.startswith("sqlite"):
        problem = f"{settings.workers} processes would take turns at a SQLite file, which has one writer"
        raise SettingsError("workers", problem, "set MONITOR_DATABASE_URL to a PostgreSQL database, or use 1")
    if not sys.platform.startswith("linux"):
        raise SettingsError("workers", f"{sys.platform} does not spread connections over processes", "use 1")


def bind_all(settings: Settings) -> socket.socket:
    """Bind the server's port; with workers, so that they can listen there too.

    Raises:
        SettingsError: it is taken, perhaps by another server's workers.
    """
    sock = bind(settings.host, settings.port, "port")
    if settings.workers == 1:
        return sock
    port = sock.getsockname()[1]
    sock.close()  # it was free, which binding it shared would not tell
    return bind(settings.host, port, "port", shared=True)


def worker_specs(
    settings: Settings, sock: socket.socket, *, main: str, links: Mapping[str, str], mlflow: bool = False
) -> list[Spec]:
    """The worker processes besides the server.

    Args:
        settings: theirs, except for the port.
        main: the server's address on loopback.
        links: addresses of the server's other parts.
        mlflow: True to serve MLflow's API as well.
    """
    own = {"port": sock.getsockname()[1], "workers": 1}
    env = {**os.environ, **_environment(settings.model_copy(update=own))}
    specs = []
    for number in range(2, settings.workers + 1):
        port = free_port(_LOOPBACK, 0, "port")
        order = json.dumps({"port": port, "main": main, "links": dict(links), "mlflow": mlflow})
        specs.append(
            Spec(
                name=f"worker {number}",
                command=(sys.executable, "-m", "monitor.server.workers", order),
                url=url_of(_LOOPBACK, port),
                health="/healthz",
                env=env,
                log=settings.dir / "logs" / f"worker-{number}.log",
            )
        )
    return specs


def main(order: str) -> None:
    """Serve until stopped.

    Args:
        order: what `worker_specs` wrote.
    """
    told_to, settings = json.loads(order), Settings()
    with until_told_to_stop() as stop, logging_as(settings), ExitStack() as stack:
        jobs = _ask(told_to["main"], settings.token)
        app = create_app(settings, jobs_elsewhere=jobs, native=open_native() if told_to["mlflow"] else None)
        services: Services = app.state.services
        services.links.update(told_to["links"])
        sockets = [  # last, since the kernel sends connections here from now on
            stack.enter_context(bind(settings.host, settings.port, "port", shared=True)),
            stack.enter_context(bind(_LOOPBACK, told_to["port"], "port")),
        ]
        server = stack.enter_context(Serving(app, sockets, url_of(settings.host, settings.port), stop))
        stop.wait()
        server.raise_if_it_died()


def _environment(settings: Settings) -> dict[str, str]:
    """The settings that have a value, as environment variables."""
    given = settings.model_dump(mode="json", exclude_none=True)
    return {f"MONITOR_{k.upper()}": v if isinstance(v, str) else json.dumps(v) for k, v in given.items()}


def _ask(main: str, token: str | None) -> Callable[[], Mapping[str, JobHealth]]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask() -> Mapping[str, JobHealth]:
        with contextlib.suppress(httpx.HTTPError, ValueError, KeyError):
            found = httpx.get(f"{main}/api/v1/info", headers=headers, timeout=2).json()["jobs"]
            return {name: JobHealth(**health) for name, health in found.items()}
        return {}

    return ask


if __name__ == "__main__":
    main(sys.argv[1])
