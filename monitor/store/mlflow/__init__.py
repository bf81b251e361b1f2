"""Our store next to MLflow's tables: MLflow keeps runs, params and tags, we keep the metric histories."""

from __future__ import annotations

from monitor.store.mlflow.points import Logged, as_mlflow
from monitor.store.mlflow.store import DELETED_BY_MLFLOW, MlflowStore, mlflow_url
from monitor.store.mlflow.transaction import RUN_NAME, WRITER, MlflowRun, MlflowTransaction

__all__ = [
    "DELETED_BY_MLFLOW",
    "RUN_NAME",
    "WRITER",
    "Logged",
    "MlflowRun",
    "MlflowStore",
    "MlflowTransaction",
    "as_mlflow",
    "mlflow_url",
]
