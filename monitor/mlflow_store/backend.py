"""What the MLflow stores of a process share: our store on the same database, and the rules."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, RESOURCE_DOES_NOT_EXIST, TEMPORARILY_UNAVAILABLE

from monitor.errors import MonitorError, RunNotFound, StoreError
from monitor.ingest.engines import Engines, open_engines
from monitor.settings import load
from monitor.store.mlflow import MlflowStore


@dataclass(frozen=True, slots=True)
class Backend:
    """Our store on an MLflow database, and the rules that judge its runs."""

    store: MlflowStore
    engines: Engines


_lock: Final = threading.Lock()
_backends: Final[dict[str, Backend]] = {}
_engines: Final[list[Engines]] = []


def use_engines(engines: Engines) -> None:
    """Make the stores of this process use these rules instead of those in the settings."""
    with _lock:
        _engines[:] = [engines]


def backend_of(url: str) -> Backend:
    """The backend of this process for a database; one each, just as MLflow has one engine each.

    Raises:
        StoreError: the database cannot be reached, or our schema in it has another version.
    """
    with _lock:
        if url not in _backends:
            store = MlflowStore.open(url)
            if not _engines:
                engines = open_engines(load())
                engines.follow(store.saved_rules)
                _engines.append(engines)
            _backends[url] = Backend(store, _engines[0])
        return _backends[url]


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@contextlib.contextmanager
def as_mlflow_says() -> Iterator[None]:
    """Convert our errors into MLflow's. Temporary ones become a 503, which its clients retry."""
    try:
        yield
    except RunNotFound as error:
        raise MlflowException(str(error), RESOURCE_DOES_NOT_EXIST) from error
    except StoreError as error:
        raise MlflowException(str(error), TEMPORARILY_UNAVAILABLE) from error
    except (MonitorError, OverflowError) as error:
        raise MlflowException(str(error), BAD_REQUEST) from error
