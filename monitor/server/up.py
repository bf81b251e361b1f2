"""`monitor up`: runs the server in this process, MLflow's if requested, and the dashboard, until stopped."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from monitor.api.services import Services, store_id
from monitor.errors import SettingsError
from monitor.server.app import create_app, open_native, with_own_token
from monitor.server.children import Child, Spec, keep_running, until_told_to_stop
from monitor.server.dashboard import dashboard_spec
from monitor.server.leftovers import ship_in_background
from monitor.server.logs import logging_as
from monitor.server.ports import bind, check_exposure, free_port, running_there, url_of
from monitor.server.serving import Serving
from monitor.server.workers import bind_all, check_workers, worker_specs
from monitor.settings import Settings

LOOPBACK: Final = "127.0.0.1"

_log = logging.getLogger(__name__)


def up(
    settings: Settings,
    *,
    dashboard: bool = True,
    mlflow: bool = False,
    ready: Callable[[dict[str, str]], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Run the server and the requested parts until SIGINT, SIGTERM or `stop`.

    The dashboard always listens on loopback. If a healthy server on the same store already has the port, `ready` gets
    its addresses, and nothing is started.

    Args:
        dashboard: start the dashboard.
        mlflow: also serve MLflow's API and pages at the server's address, over the same store.
        ready: called once with the addresses by part ("api", "dashboard", "mlflow") when all of them answer.
        stop: ends the server when it is set.

    Raises:
        SettingsError: a host that others can reach without a token, a port that is taken, an invalid alert URL, or more
            than one worker over SQLite.
        StoreError: the database cannot be reached, or has another schema.
        ServerUnreachable: the dashboard did not start; the message holds the last lines that it wrote.
    """
    settings = with_own_token(settings)
    check_exposure(settings)
    check_workers(settings)
    with until_told_to_stop(stop) as told, logging_as(settings) as log, ExitStack() as stack:
        try:
            sock = stack.enter_context(bind_all(settings))
        except SettingsError:
            # The port is taken, perhaps by a server of ours on the same store.
            there = running_there(settings, store_id(settings))
            if there is None:
                raise
            _log.warning("already running at %s", there["api"])
            if ready:
                ready(there)
            return
        url = url_of(settings.host, int(sock.getsockname()[1]))
        specs = _specs(settings, url, dashboard=dashboard)
        app = create_app(settings, native=open_native() if mlflow else None)
        links = {spec.name.lower(): spec.url for spec in specs} | ({"mlflow": url} if mlflow else {})
        services: Services = app.state.services
        services.links.update(links)
        if log is not None:
            services.lines_lost = log.lines_lost
        sockets = [sock]
        if settings.workers > 1:
            sockets.append(stack.enter_context(bind(LOOPBACK, 0, "port")))
            specs += worker_specs(
                settings, sock, main=url_of(LOOPBACK, sockets[1].getsockname()[1]), links=links, mlflow=mlflow
            )
        server = stack.enter_context(Serving(app, sockets, url, told))
        ship_in_background(settings, url)
        keep_running(
            [Child(spec) for spec in specs], told, ready=lambda: ready({"api": url, **links}) if ready else None
        )
        server.raise_if_it_died()


def _specs(settings: Settings, url: str, *, dashboard: bool) -> list[Spec]:
    """The child processes requested. Their ports are checked before anything is started."""
    settings.make_dir()
    if not dashboard:
        return []
    port = free_port(LOOPBACK, settings.dashboard_port, "dashboard_port")
    return [dashboard_spec(settings, host=LOOPBACK, port=port, server_url=url, log=True)]
