"""MLflow's tables: the columns that this code reads and writes, in a MetaData that creates nothing.

MLflow creates and migrates them (`mlflow/store/tracking/dbmodels/models.py`). The versions of MLflow with this schema
are those that `pyproject.toml` allows.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    inspect,
)

_MLFLOW: Final = MetaData()

EXPERIMENTS: Final = Table(
    "experiments",
    _MLFLOW,
    Column("experiment_id", Integer, primary_key=True),
    Column("name", String),
    Column("workspace", String),
)
MLFLOW_RUNS: Final = Table(
    "runs",
    _MLFLOW,
    Column("run_uuid", String, primary_key=True),
    Column("name", String),
    Column("status", String),
    Column("start_time", BigInteger),
    Column("end_time", BigInteger),
    Column("deleted_time", BigInteger),
    Column("lifecycle_stage", String),
    Column("experiment_id", Integer),
)
PARAMS: Final = Table(
    "params",
    _MLFLOW,
    Column("key", String, primary_key=True),
    Column("run_uuid", String, primary_key=True),
    Column("value", String),
)
MLFLOW_TAGS: Final = Table(
    "tags",
    _MLFLOW,
    Column("key", String, primary_key=True),
    Column("run_uuid", String, primary_key=True),
    Column("value", String),
)
METRICS: Final = Table(
    "metrics",
    _MLFLOW,
    Column("key", String, primary_key=True),
    Column("timestamp", BigInteger, primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("run_uuid", String, primary_key=True),
    Column("value", Double, primary_key=True),
    Column("is_nan", Boolean, primary_key=True),
)
LATEST: Final = Table(
    "latest_metrics",
    _MLFLOW,
    Column("key", String, primary_key=True),
    Column("run_uuid", String, primary_key=True),
    Column("value", Double),
    Column("timestamp", BigInteger),
    Column("step", BigInteger),
    Column("is_nan", Boolean),
)

TIED: Final = Table(
    "monitor_runs", MetaData(), Column("run_id", String, primary_key=True), Column("mlflow_run", String)
)
"""Our only column that exists only next to MLflow's tables: a run's id again, if MLflow has the run too.

It references `runs`, so that a run that MLflow permanently deletes, also by `mlflow gc`, takes its points along.
"""


def tied(bind: Engine | Connection) -> bool:
    """True if our runs reference MLflow's."""
    inspector = inspect(bind)
    if not inspector.has_table(MLFLOW_RUNS.name):
        return False
    return any(column["name"] == TIED.c.mlflow_run.name for column in inspector.get_columns(TIED.name))
