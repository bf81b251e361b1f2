"""Reads runs from an MLflow database (SQLite or PostgreSQL), without a server and without MLflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from monitor.errors import FileUnreadable
from monitor.importers.imported import ImportedRun, NotTraining
from monitor.importers.mlflow_runs import History, MlflowRun
from monitor.store.mlflow_tables import MlflowTables


def read_database(url: str) -> Iterator[ImportedRun | FileUnreadable | NotTraining]:
    """All runs, oldest experiment first. A run that cannot be read is yielded as its error.

    Args:
        url: the backend store URI, as given to MLflow.

    Raises:
        FileUnreadable: there is no MLflow database.
    """
    with MlflowTables(url) as tables:
        for experiment, name, deleted in tables.experiments():
            rows = tables.runs(experiment)
            names = {str(row["id"]): str(row["name"] or "") for row in rows}
            for row in rows:
                try:
                    yield _read(tables, row, names, name, deleted)
                except FileUnreadable as error:
                    yield error


def _read(
    tables: MlflowTables, row: Mapping[str, Any], names: Mapping[str, str], experiment: str, deleted: bool
) -> ImportedRun | NotTraining:
    ident = str(row["id"])
    tags = tables.tags(ident)
    parent = tags.get("mlflow.parentRunId")
    run = MlflowRun(
        id=ident,
        shown=f"{tables.name} run {ident}",
        name=row["name"],
        status=str(row["status"]),
        experiment=experiment,
        deleted=deleted or row["stage"] == "deleted",
        started_ms=row["started_ms"],
        finished_ms=row["finished_ms"],
        params=tables.params(ident),
        tags=tags,
        parent=parent and (names.get(parent) or parent),
        datasets=tables.datasets(ident),
        served=ident in tables.served,
    )
    return run.left_out() or run.imported(History(key, *tables.points(ident, key)) for key in tables.metrics(ident))
