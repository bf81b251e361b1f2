"""Starts the dashboard: Streamlit in its own process."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable, Mapping

from monitor._resources import DASHBOARD_APP
from monitor.server.children import Child, Spec, keep_running, need, until_told_to_stop
from monitor.server.ports import check_dashboard_exposure, free_port, url_of
from monitor.settings import Settings


def dashboard_spec(settings: Settings, *, host: str, port: int, server_url: str | None, log: bool) -> Spec:
    """The process that serves the dashboard.

    Args:
        settings: the folder, and the database if there is no server. The token is not passed on: the dashboard acts
            with the tokens of the people who sign in.
        server_url: server that it reads from; None for the embedded store.
        log: True to write its output to `logs/dashboard.log` in the folder instead of standard error.
    """
    need("streamlit")
    flags: tuple[str, ...] = runpy.run_path(str(DASHBOARD_APP.with_name("options.py")))["STREAMLIT_FLAGS"]
    return Spec(
        name="dashboard",
        command=(
            *(sys.executable, "-m", "streamlit", "run", str(DASHBOARD_APP), *flags),
            *(f"--server.address={host}", f"--server.port={port}"),
            *(f"--server.corsAllowedOrigins=https://{name}" for name in settings.dashboard_hosts),
        ),
        url=url_of(host, port),
        health="/_stcore/health",
        env=_environment(settings, server_url, host),
        log=settings.dir / "logs" / "dashboard.log" if log else None,
        # Not the current folder, whose `dashboard/` or `.streamlit/` may be unrelated.
        folder=settings.dir,
    )


def run_dashboard(settings: Settings, ready: Callable[[dict[str, str]], None] | None = None) -> None:
    """Run only the dashboard until stopped. It reads from `server_url`, else from the embedded store.

    Args:
        settings: `host` and `dashboard_port` are where it listens.
        ready: called with its address once it answers.

    Raises:
        SettingsError: the host can be reached from other machines, but no server authenticates users; or the port is
            taken.
    """
    check_dashboard_exposure(settings)
    port = free_port(settings.host, settings.dashboard_port, "dashboard_port")
    settings.make_dir()
    spec = dashboard_spec(settings, host=settings.host, port=port, server_url=settings.server_url, log=False)
    with until_told_to_stop() as stop:
        keep_running([Child(spec)], stop, ready=lambda: ready({"dashboard": spec.url}) if ready else None)


def _environment(settings: Settings, server_url: str | None, host: str) -> Mapping[str, str]:
    env = {**os.environ, "MONITOR_DIR": str(settings.dir)}
    given = {
        "MONITOR_HOST": host,
        "MONITOR_SERVER_URL": server_url,
        "MONITOR_TOKEN": None,
        "MONITOR_OIDC": None,  # only the server talks to the provider
        "MONITOR_DASHBOARD_HOSTS": " ".join(settings.dashboard_hosts) or None,
        "MONITOR_DATABASE_URL": None if server_url else settings.database_url,
    }
    for name, value in given.items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = value
    return env
