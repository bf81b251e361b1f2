"""The API over a real store, served by a real uvicorn on a free port."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI

from monitor.api import create_api
from monitor.ingest.engines import Engines
from monitor.settings import Settings
from monitor.store import Store
from monitor.wire import Batch, Columns, Event, encode_batch

NOW_MS = 1_700_000_000_000


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve an application on a thread; yields its address."""
    started = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: object = None) -> None:
            await super().startup(sockets=None)
            started.set()

    server = Server(uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    assert started.wait(60)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@dataclass
class Clock:
    now_ms: int = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


@dataclass
class Api:
    """A client of the server under test, and what the server stands on."""

    http: httpx.Client
    store: Store
    clock: Clock = field(default_factory=Clock)

    def post(self, batch: Batch) -> httpx.Response:
        return self.http.post(
            "/api/v1/batches", content=encode_batch(batch), headers={"Content-Type": "application/x-monitor-batch"}
        )


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API over a store of the module's own: once SQLite, once PostgreSQL."""
    url = None
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        url = server.create(server.template)
    settings, clock = Settings(dir=tmp_path_factory.mktemp("api"), database_url=url), Clock()
    with (
        Store.open(settings.store_url) as store,
        served(create_api(store, Engines(), settings, clock=clock)) as address,
        httpx.Client(base_url=address) as http,
    ):
        yield Api(http, store, clock)
    if url is not None:
        server.drop(url)


def a_start(name: str | None = None, *, project: str = "digits", time_ms: int = NOW_MS, **more: object) -> Event:
    data = {"project": project, "name": name or uuid.uuid4().hex[:8], "resume": "never", **more}
    return Event(kind="run", record=0, time_ms=time_ms, data=data)


def a_batch(
    losses: list[float],
    *,
    key: str = "train/loss",
    run_id: str | None = None,
    first: int = 0,
    start: bool = True,
    **more: object,
) -> Batch:
    """A run's start (record 0) and one record a loss, at steps 1, 2, 3…"""
    n, skip = len(losses), 1 if start and first == 0 else 0
    steps = np.arange(first + 1, first + 1 + n) if not skip else np.arange(1, n + 1)
    points = Columns(np.zeros(n, "u2"), steps.astype("i8"), np.array(losses, "f8"), np.full(n, NOW_MS) + steps)
    return Batch(
        run_id=run_id or uuid.uuid4().hex,
        writer="w1",
        first=first,
        count=n + skip,
        keys=(key,) if n else (),
        points=points if n else Columns.empty(),
        events=(a_start(**more),) if skip else (),  # type: ignore[arg-type]  # the caller names them
    )
