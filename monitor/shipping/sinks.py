"""Where batches go: the embedded store in this process, a server over HTTP, or memory.

A sink does one thing: it takes a batch and returns a `Reply`, or raises. Retries, back-off and the order of batches
belong to the shipper. A batch may be sent again after any error: the receiver recognises it by its offset.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import time_ns
from typing import TYPE_CHECKING, Protocol

from monitor.domain import Recommendation, Reply
from monitor.errors import MonitorError, OffsetGap, RunExists, RunNotFound, ServerUnreachable
from monitor.http.address import shown
from monitor.http.answers import understood
from monitor.http.client import ANSWER_S, connect, request
from monitor.settings import Settings

if TYPE_CHECKING:
    import httpx

    from monitor.wire import Batch, Event


class Sink(Protocol):
    """Accepts batches of one or more writers, one call at a time."""

    def send(self, batch: Batch) -> Reply:
        """Store a batch, or a heartbeat.

        Raises:
            OffsetGap: the batch does not start where the writer's last one ended.
            ServerUnreachable: no answer, or not in time; the batch may have been stored anyway.
            ServerFailed: the receiver failed on this batch. Any unexpected exception means the same.
            BatchTooLarge: the receiver does not accept a batch of this size; a smaller one may pass.
            RunExists: the run exists, and its writer said `resume="never"`.
            RunNotFound: the run does not exist, and its writer wants to join or resume it.
        """

    def close(self) -> None:
        """Close connections."""


class EmbeddedSink:
    """The store in this process, through the same `ingest` that the server calls.

    Args:
        settings: names the database and the rules.
    """

    def __init__(self, settings: Settings, clock: Callable[[], int]) -> None:
        from monitor.ingest import ingest, liveness
        from monitor.ingest.engines import open_engines
        from monitor.store import Store
        from monitor.store.sql.connect import EMBEDDED_PATIENCE_S

        settings.make_dir()
        self._ingest = ingest
        self._clock = clock
        self._engines = open_engines(settings)
        self._store = Store.open(settings.store_url)
        self._store.patience_s = EMBEDDED_PATIENCE_S
        self._engines.follow(self._store.saved_rules)
        # without a server, nobody else would report killed runs
        liveness.check(self._store, settings, clock(), quiet=True)

    def send(self, batch: Batch) -> Reply:
        """Store a batch; see `Sink.send`."""
        return self._ingest(self._store, self._engines, batch, now_ms=self._clock())

    def close(self) -> None:
        """Close the database."""
        self._store.close()


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a run goes, as plain data. Calling it creates the sink, in this process or another.

    Attributes:
        settings: names the embedded store, the rules and the token.
        server: the server's address; None for the embedded store.
    """

    settings: Settings
    server: str | None = None

    def __call__(self) -> Sink:
        """Create the sink."""
        if self.server is not None:
            return HttpSink(self.server, self.settings.token)
        return EmbeddedSink(self.settings, lambda: time_ns() // 1_000_000)


class HttpSink:
    """A server's `/api/v1/batches`, over one persistent connection.

    Args:
        token: bearer token; None if the server requires none.
        answer_s: most seconds to wait for an answer.
    """

    def __init__(
        self,
        server: str,
        token: str | None = None,
        *,
        answer_s: float = ANSWER_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._server = shown(server.rstrip("/"))
        self._client = connect(server, token, answer_s=answer_s, transport=transport)

    def send(self, batch: Batch) -> Reply:
        """Store a batch; see `Sink.send`."""
        from monitor.wire import MEDIA_TYPE, encode_batch

        headers = {"Content-Type": MEDIA_TYPE}
        try:
            data = request(self._client, "POST", "/api/v1/batches", content=encode_batch(batch), headers=headers)
        except OffsetGap as gap:
            raise OffsetGap(batch.run_id, batch.writer, expected=gap.expected, got=batch.first) from None
        except RunExists:
            raise RunExists(batch.run_id) from None
        except RunNotFound:
            raise RunNotFound(batch.run_id) from None
        with understood(self._server):
            reply = Reply.from_dict(data)  # type: ignore[arg-type]  # `understood` checks it
            if type(reply.acked) is not int or reply.acked < batch.end:  # not an answer to this batch
                raise ServerUnreachable(self._server, f"it acknowledges {reply.acked!r:.40} records of {batch.end}")
        return reply

    def links(self) -> Mapping[str, str]:
        """Addresses of the server's other parts, such as "dashboard"; empty if it does not say."""
        try:
            data = request(self._client, "GET", "/api/v1/info")
        except MonitorError:
            return {}
        links = data.get("links") if isinstance(data, Mapping) else None
        return {str(name): str(link) for name, link in links.items()} if isinstance(links, Mapping) else {}

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class MemorySink:
    """An in-memory receiver that keeps the contract exactly, for tests of code built on the SDK.

    Args:
        before: called with each batch before it is stored; what it raises, `send` raises.
        after: called after a batch is stored, before the reply; raising here simulates a lost answer.

    Attributes:
        recommendation: returned in every reply.
        stop_requested: who asks the loop to stop.
        batches: all batches stored, heartbeats too.
    """

    def __init__(
        self, before: Callable[[Batch], None] | None = None, after: Callable[[Batch], None] | None = None
    ) -> None:
        self.recommendation = Recommendation()
        self.stop_requested: str | None = None
        self.batches: list[Batch] = []
        self._before, self._after = before, after
        self._acked: dict[tuple[str, str], int] = {}
        self._changed = threading.Condition()

    def send(self, batch: Batch) -> Reply:
        """Store a batch; see `Sink.send`."""
        if self._before is not None:
            self._before(batch)
        with self._changed:
            acked = self._acked.get((batch.run_id, batch.writer), 0)
            duplicate = bool(batch.count) and batch.end <= acked
            if not duplicate:
                if batch.first != acked:
                    raise OffsetGap(batch.run_id, batch.writer, expected=acked, got=batch.first)
                acked = self._acked[batch.run_id, batch.writer] = batch.end
                self.batches.append(batch)
                self._changed.notify_all()
        if self._after is not None:
            self._after(batch)
        return Reply(
            acked=acked, recommendation=self.recommendation, stop_requested=self.stop_requested, duplicate=duplicate
        )

    def close(self) -> None:
        """Nothing to close."""

    def wait_for(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until a condition on what was stored holds. False if it did not in time."""
        with self._changed:
            return self._changed.wait_for(condition, timeout_s)

    def points(self, run_id: str, key: str) -> list[tuple[int, float]]:
        """Steps and values of a series, in the order received."""
        rows: list[tuple[int, float]] = []
        for batch in self.batches:
            if batch.run_id == run_id and key in batch.keys:
                chosen = batch.points.key == batch.keys.index(key)
                rows += zip(batch.points.step[chosen].tolist(), batch.points.value[chosen].tolist(), strict=True)
        return rows

    def events(self, run_id: str, kind: str | None = None) -> list[Event]:
        """Events of a run, of one kind or all."""
        found = [e for batch in self.batches if batch.run_id == run_id for e in batch.events]
        return [e for e in found if kind is None or e.kind == kind]
