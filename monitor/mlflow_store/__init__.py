"""MLflow: what a run looks like there, MLflow's tracking store over our chunks, and a mirror to a tracking server."""

from __future__ import annotations

from monitor.mlflow_store.exporter import Exporter
from monitor.mlflow_store.rest import MlflowServer

__all__ = ["Exporter", "MlflowServer"]
