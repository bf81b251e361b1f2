"""Reads runs from wherever MLflow keeps them: a server, a database, or a folder of files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from monitor.errors import FileUnreadable
from monitor.importers.imported import ImportedRun, NotTraining
from monitor.importers.mlflow_files import read_run_folder, run_folders
from monitor.importers.mlflow_runs import History, MlflowRun
from monitor.importers.mlflow_server import read_server
from monitor.store.mlflow_tables import MlflowTables

PREFIX: Final = "mlflow:"
_SERVERS: Final = ("http://", "https://")
_DATABASES: Final = ("sqlite:", "postgresql:", "postgresql+", "postgres:")
_PASSWORD: Final = re.compile(r"(://[^/:@]*):[^/]*@")
_SQLITE: Final = b"SQLite format 3\0"


def is_address(source: str) -> bool:
    """True if a source is an MLflow address rather than a plain file or folder."""
    return source.startswith((PREFIX, *_SERVERS, *_DATABASES))


def without_password(source: str) -> str:
    """The source with its password hidden.

    >>> without_password("mlflow:postgresql://me:secret@host/db"), without_password("runs/a.csv")
    ('mlflow:postgresql://me:***@host/db', 'runs/a.csv')
    """
    return _PASSWORD.sub(r"\1:***@", source)


def read_address(source: str) -> Iterator[ImportedRun | FileUnreadable | NotTraining]:
    """All runs behind an address. A run that cannot be read is yielded as its error.

    Args:
        source: a tracking URI, with or without a leading `mlflow:`: `http://host:port`, `sqlite:///FILE`,
            `postgresql://...`, `file:///FOLDER` or a path.

    Raises:
        FileUnreadable: there is no MLflow store.
    """
    place = source.removeprefix(PREFIX)
    if place.startswith(_SERVERS):
        yield from read_server(place)
    elif place.startswith(_DATABASES):
        yield from read_database(place)
    else:
        yield from _read_path(_path(place))


def _path(place: str) -> Path:
    if place.startswith("file:"):
        return Path(unquote(urlsplit(place).path))
    if "://" in place:
        scheme = place.partition("://")[0]
        raise FileUnreadable(
            without_password(place),
            "",
            f"{scheme} cannot be read; start `mlflow server --backend-store-uri URI` and import from its address",
        )
    return Path(place).expanduser()


def _read_path(path: Path) -> Iterator[ImportedRun | FileUnreadable | NotTraining]:
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(_SQLITE)) == _SQLITE:
                yield from read_database(f"sqlite:///{path.absolute()}")
                return
    folders = run_folders(path) if path.is_dir() else []
    if not folders:
        raise FileUnreadable(
            str(path), "", "is not an MLflow store; name http://host:port, sqlite:///FILE or a folder such as mlruns"
        )
    for folder in folders:
        try:
            yield read_run_folder(folder, str(folder))
        except FileUnreadable as error:
            yield error


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
