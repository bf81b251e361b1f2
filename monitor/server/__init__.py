"""The composition root: puts store, engine, API, jobs, dashboard and MLflow together and runs them.

The rest of the package knows only its own room and what lies below it; what is bound to what is decided here.
"""

from __future__ import annotations

from monitor.server.app import create_app
from monitor.server.dashboard import run_dashboard
from monitor.server.up import up

__all__ = ["create_app", "run_dashboard", "up"]
