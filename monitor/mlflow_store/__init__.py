"""MLflow: what a run looks like there, and a mirror of all runs in a tracking server."""

from __future__ import annotations

from monitor.mlflow_store.exporter import Exporter
from monitor.mlflow_store.rest import MlflowServer

__all__ = ["Exporter", "MlflowServer"]
