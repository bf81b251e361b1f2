"""What the routes need, provided by FastAPI's dependency injection."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, TypeVar

import anyio
import anyio.to_thread
from fastapi import Depends, Request
from starlette.convertors import PathConvertor, register_url_convertor

from monitor.api.identity import Provider
from monitor.api.keys import Keys
from monitor.api.metrics import Metrics
from monitor.api.readiness import Readiness
from monitor.api.watch import Watch
from monitor.domain import Caller, JobHealth
from monitor.errors import StoreBusy
from monitor.ingest.engines import Engines
from monitor.settings import Settings
from monitor.store import Store

PATIENCE_S: Final = 10.0
"""Maximum seconds that a request waits for its turn to write; its client gives up after 30 in total."""
DECODERS: Final = 2
"""Long bodies decoded at once: more would only contend for the GIL, and each takes many times its size."""
_Result = TypeVar("_Result")


class _Name(PathConvertor):
    """A run's name in a path. It may contain slashes, as in Starlette's `path`, and also newlines."""

    regex = "(?s:.*)"


register_url_convertor("name", _Name())


def no_jobs() -> Mapping[str, JobHealth]:
    """Job health of a server without jobs."""
    return {}


@dataclass(slots=True, kw_only=True)
class Services:
    """Everything a route may use.

    Attributes:
        clock: returns milliseconds since the epoch.
        keys: the tokens that the server knows.
        provider: the OpenID Connect provider; None if there is none.
        jobs: the health of the background jobs by name.
        lines_lost: how many lines of the log were dropped.
        links: addresses of "dashboard" and "mlflow", filled in once they run.
        writers: how many batches are committed at once. One on SQLite, which has a single writer: waiting here is
            fair and cheap, waiting for its lock is neither.
        decoders: how many long bodies are decoded at once.
        readiness: whether the store accepts points.
        metrics: counters of this process.
        watch: where requests wait for runs to change.
    """

    store: Store
    engines: Engines
    settings: Settings
    clock: Callable[[], int]
    keys: Keys
    provider: Provider | None = None
    jobs: Callable[[], Mapping[str, JobHealth]] = no_jobs
    lines_lost: Callable[[], int] = lambda: 0
    links: dict[str, str] = field(default_factory=dict)
    writers: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(1))
    decoders: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(DECODERS))
    readiness: Readiness = field(default_factory=Readiness)
    metrics: Metrics = field(default_factory=Metrics)
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch(self.store.versions)

    @property
    def store_kind(self) -> str:
        """The engine of the store: "sqlite" or "postgresql"."""
        return self.settings.store_url.split(":", maxsplit=1)[0].split("+", maxsplit=1)[0]


def store_id(settings: Settings) -> str:
    """Identifies a store without revealing where it is: 16 hex digits of a hash of its URL."""
    return hashlib.sha256(settings.store_url.encode()).hexdigest()[:16]


async def in_turn(served: Services, write: Callable[[], _Result]) -> _Result:
    """Run a write to the store on a thread, when its turn comes.

    Raises:
        StoreBusy: its turn did not come in time; nothing was written.
    """
    try:
        served.writers.acquire_nowait()
    except anyio.WouldBlock:
        try:
            with anyio.fail_after(PATIENCE_S):
                await served.writers.acquire()
        except TimeoutError:
            problem = "was busy with the batches before this one"
            raise StoreBusy(served.store.url, PATIENCE_S, problem) from None
    try:
        # Not from the shared pool, which reads may exhaust; the limiter of turns bounds the number of threads.
        return await anyio.to_thread.run_sync(write, limiter=anyio.CapacityLimiter(1))
    finally:
        served.writers.release()


def id_of(served: Services, caller: Caller, ref: str) -> str:
    """The id of a run that the caller may see."""
    return served.store.run(ref, within=caller.project).id


def services_of(request: Request) -> Services:
    """The services that `create_api` attached to the application."""
    found = request.app.state.services
    assert isinstance(found, Services)
    return found


async def _served(request: Request) -> Services:
    """A coroutine, so that FastAPI does not run it on a thread."""
    return services_of(request)


Served = Annotated[Services, Depends(_served)]
"""The type of a route's parameter that receives the services."""
