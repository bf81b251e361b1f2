"""MLflow's tables as this code reads and writes them: the columns it needs, in a MetaData that creates nothing.

MLflow makes and migrates them (`mlflow/store/tracking/dbmodels/models.py`); which releases have them in this shape is
what `pyproject.toml` says of MLflow's version.
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
"""Our one column that exists only next to MLflow's tables: a run's id again, where MLflow has the run too.

It refers to `runs`, so that a run that MLflow permanently deletes, also by `mlflow gc`, takes its points along.
"""


def tied(bind: Engine | Connection) -> bool:
    """True where our runs refer to MLflow's."""
    inspector = inspect(bind)
    if not inspector.has_table(MLFLOW_RUNS.name):
        return False
    return any(column["name"] == TIED.c.mlflow_run.name for column in inspector.get_columns(TIED.name))
