"""MLflow: a mirror of runs, parameters, metrics and verdict tags in a tracking server."""

from __future__ import annotations

from monitor.mlflow_store.exporter import Exporter
from monitor.mlflow_store.rest import MlflowServer

__all__ = ["Exporter", "MlflowServer"]
