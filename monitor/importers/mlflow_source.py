"""Reads runs from wherever MLflow keeps them: a server, a database, or a folder of files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from monitor.errors import FileUnreadable
from monitor.importers.imported import ImportedRun, NotTraining
from monitor.importers.mlflow_database import read_database
from monitor.importers.mlflow_files import read_run_folder, run_folders
from monitor.importers.mlflow_server import read_server

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
