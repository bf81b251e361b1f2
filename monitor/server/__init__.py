"""The composition root: assembles store, engine, API, jobs, dashboard and MLflow, and runs them.

The other packages know only themselves and the layers below. How they are connected is decided here.
"""

from __future__ import annotations

from monitor.server.app import create_app
from monitor.server.dashboard import run_dashboard
from monitor.server.up import up

__all__ = ["create_app", "run_dashboard", "up"]
