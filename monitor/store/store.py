"""The store: the one door to the database.

What may change what: `write` is for `ingest` and the jobs alone; everything else reads, or changes one row of the
outbox or of a mirror's book. Every write is one transaction on one run. Reads of several statements see one state of
the database. A store may be used from any thread, and again in a forked child, which gets connections of its own.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Engine, select

from monitor.domain import (
    Alert,
    Checkpoint,
    Counts,
    Curve,
    Delivery,
    Diagnosis,
    Finding,
    Points,
    RunInfo,
    RunPage,
    RunStatus,
    SeriesInfo,
)
from monitor.errors import RunNotFound
from monitor.roles import Role
from monitor.store import duties, history, migrate, rows, runs
from monitor.store.append import JUDGED
from monitor.store.connect import make_engine, parse_url, same_process, shown, translated
from monitor.store.schema import CHECKPOINTS, EVENTS, FINDINGS, RUNS, SERIES
from monitor.store.series import NAMES, SeriesState
from monitor.store.transaction import Transaction
from monitor.wire import Event


class Store:
    """Runs and their points in SQLite or PostgreSQL; made by `Store.open`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sqlite = engine.dialect.name == "sqlite"
        snapshot = {} if self._sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._reading = engine.execution_options(**snapshot)
        self._writing = threading.Lock()
        self._pid = os.getpid()

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Store:
        """Open a database.

        Args:
            url: `sqlite:///FILE` or `postgresql://…`.
            create: make the tables where the database has none.

        Raises:
            SchemaMismatch: the database is older or newer than this code; the message names the command that helps.
            StoreError: the database cannot be reached, or cannot be used.
        """
        engine = make_engine(parse_url(url))
        try:
            migrate.prepare(engine, create=create)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    @property
    def url(self) -> str:
        """Where the database is, without the password."""
        return shown(self._engine.url)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @contextlib.contextmanager
    def write(self, run_id: str, now_ms: int) -> Iterator[Transaction]:
        """One transaction on one run, which is locked first; committed at the end, rolled back on any exception.

        Raises:
            StoreBusy: another process held the SQLite database for too long.
            StoreError: the database refused.
        """
        self._after_fork()
        with self._one_writer(), translated(self._engine.url), self._engine.begin() as connection:
            transaction = Transaction(connection, run_id, now_ms)
            yield transaction
            transaction.flush()

    # Reads

    def runs(
        self,
        *,
        project: str | None = None,
        group: str | None = None,
        status: str | Sequence[str] | None = None,
        verdict: str | Sequence[str] | None = None,
        search: str | None = None,
        order: str = "-created",
        limit: int = 100,
        offset: int = 0,
        sparkline: int = 0,
        query: str | None = None,
    ) -> RunPage:
        """A page of the list of runs.

        Args:
            status: one status, or several.
            verdict: one verdict, or several.
            search: words that the name, project, group or the beginning of the id must contain.
            order: a key of `runs.SORT_KEYS`, with `-` for the highest first; runs without a value come last.
            limit: 0 to 1000.
            sparkline: values of each curve to send along, 0 for none; at most 64 are kept.
            query: in the language of `monitor.store.query`; holds besides the other filters, and its order comes first.

        Raises:
            QueryError: the query cannot be read; it points at the character.
            WireError: an argument cannot be used; `field` names it.
        """
        with self._read() as connection:
            return runs.list_runs(
                connection,
                project=project,
                group=group,
                status=status,
                verdict=verdict,
                search=search,
                order=order,
                limit=limit,
                offset=offset,
                sparkline=sparkline,
                query=query,
            )

    def run(self, ref: str) -> RunInfo:
        """A run by its id, a unique prefix of it, or a unique name.

        Raises:
            RunNotFound: none, or several.
        """
        with self._read() as connection:
            return runs.find_run(connection, ref)

    def projects(self) -> tuple[tuple[str, int], ...]:
        """Projects by name, with how many runs they hold."""
        with self._read() as connection:
            return runs.list_projects(connection)

    def series(self, run_id: str) -> tuple[SeriesInfo, ...]:
        """The series of a run, in the order in which they first appeared."""
        return tuple(state.info() for state in self._series(run_id))

    def history(
        self, run_id: str, key: str, *, lo: float | None = None, hi: float | None = None, attempt: int | None = None
    ) -> Points:
        """All points of a series, or those with lo <= step <= hi, in the order of their steps.

        Args:
            attempt: the points that this attempt logged, hidden ones too; None for the curve, on which the newest
                attempt's points win.

        Raises:
            SeriesNotFound: the run has no such series.
        """
        with self._read() as connection:
            return history.read_history(connection, run_id, key, lo=lo, hi=hi, attempt=attempt)

    def curve(
        self,
        run_id: str,
        key: str,
        *,
        x: str = "step",
        lo: float | None = None,
        hi: float | None = None,
        width: int = 2000,
        smoothing: float = 0.0,
    ) -> Curve:
        """A series reduced to what a screen shows: every extreme, every gap and both ends are kept.

        Args:
            x: `step`, `epoch`, `wall_time` (milliseconds since the epoch) or `relative` (seconds since the run's
                start). lo: left end of the window, in units of x. hi: right end of the window. width: pixels, 1 to
                100000; at most about 4 points a pixel come back. smoothing: weight of the past in an exponential
                moving average over all points, [0, 1); 0 for none.

        Raises:
            SeriesNotFound: the run has no such series.
            WireError: an argument cannot be used; `field` names it.
        """
        with self._read() as connection:
            return history.read_curve(connection, run_id, key, x=x, lo=lo, hi=hi, width=width, smoothing=smoothing)

    def findings(self, run_id: str) -> tuple[Finding, ...]:
        """What the engine found in a run, by number."""
        query = select(*rows.FINDING_COLUMNS).where(FINDINGS.c.run_id == run_id).order_by(FINDINGS.c.number)
        with self._read() as connection:
            return tuple(rows.finding(row) for row in connection.execute(query).mappings())

    def counts(self, run_id: str) -> Counts:
        """How many points the engine saw, and which series it does not judge.

        Raises:
            RunNotFound: no run has this id.
        """
        with self._read() as connection:
            runs.find_run(connection, run_id)
            data = connection.execute(select(RUNS.c.counts).where(RUNS.c.run_id == run_id)).scalar_one()
        judged = {str(role) for role in JUDGED} | {str(Role.UNMAPPED)}
        unmapped = tuple(s.key for s in self._series(run_id) if not s.judged and s.role in judged)
        return Counts(**{**data, "unmapped": unmapped})

    def diagnosis(self, run_id: str) -> Diagnosis:
        """The whole judgement on a run, as it stands.

        Raises:
            RunNotFound: no run has this id.
        """
        run = self.run(run_id)
        return Diagnosis(
            verdict=run.verdict,
            headline=run.headline,
            findings=self.findings(run.id),
            recommendation=run.recommendation,
            counts=self.counts(run.id),
        )

    def checkpoints(self, run_id: str) -> tuple[Checkpoint, ...]:
        """The files that the loop saved, in the order in which it said so."""
        columns = (CHECKPOINTS.c.step, CHECKPOINTS.c.path, CHECKPOINTS.c.time_ms)
        query = select(*columns).where(CHECKPOINTS.c.run_id == run_id).order_by(CHECKPOINTS.c.id)
        with self._read() as connection:
            return tuple(Checkpoint(**row) for row in connection.execute(query).mappings())

    def events(self, run_id: str) -> tuple[Event, ...]:
        """Everything that happened in a run besides points, in the order of arrival."""
        columns = (EVENTS.c.kind, EVENTS.c.record, EVENTS.c.time_ms, EVENTS.c.data)
        query = select(*columns).where(EVENTS.c.run_id == run_id).order_by(EVENTS.c.id)
        with self._read() as connection:
            return tuple(Event(**row) for row in connection.execute(query).mappings())

    # Duties of the jobs

    def live_runs(self) -> tuple[RunInfo, ...]:
        """Runs that may still send points."""
        with self._read() as connection:
            return duties.live_runs(connection)

    def set_status(
        self,
        run_id: str,
        status: RunStatus,
        *,
        now_ms: int,
        seen_heartbeat_ms: int | None = None,
        alert: Alert | None = None,
    ) -> bool:
        """Change a live run's status, unless it has moved since it was looked at.

        Args:
            seen_heartbeat_ms: the heartbeat on which the decision rests; None to decide in any case.
            alert: what to put into the outbox if the status is changed.

        Returns:
            False where the run is gone, has ended, has that status already, or has beaten since.
        """
        with self.write(run_id, now_ms) as tx:
            if not tx.exists:
                return False
            run = tx.run
            moved = seen_heartbeat_ms is not None and run.heartbeat_ms != seen_heartbeat_ms
            if not run.status.live or run.status == status or moved:
                return False
            tx.set(status=str(status))
            if not status.live:
                tx.set(finished_ms=now_ms)
            if alert is not None:
                tx.add_alerts([alert])
            return True

    def request_stop(self, run_id: str, who: str, *, now_ms: int) -> None:
        """Ask a run's loop to stop; it hears of it in the next reply.

        Raises:
            RunNotFound: no run has this id.
        """
        with self.write(run_id, now_ms) as tx:
            if not tx.exists:
                raise RunNotFound(run_id)
            tx.set(stop_requested=who[:250])

    def due_deliveries(self, now_ms: int, limit: int = 50) -> tuple[Delivery, ...]:
        """Alerts to deliver now; each is leased for a minute, so that no other worker takes it meanwhile."""
        with self._read() as connection:
            found = duties.due(connection, now_ms, limit)
        return tuple(delivery for delivery in found if self._take(delivery, now_ms))

    def delivered(self, run_id: str, id: int, now_ms: int) -> None:
        """Note that a channel took the alert."""
        with self._change() as connection:
            duties.delivered(connection, run_id, id, now_ms)

    def failed(self, run_id: str, id: int, next_ms: int, error: str) -> None:
        """Note that delivery failed, and when to try again."""
        with self._change() as connection:
            duties.failed(connection, run_id, id, next_ms, error)

    def alerts(self, run_id: str | None = None, limit: int = 100) -> tuple[Delivery, ...]:
        """The newest alerts, of one run or of all."""
        with self._read() as connection:
            return duties.alerts(connection, run_id, limit)

    def changed_runs(self, target: str, limit: int = 100) -> tuple[tuple[RunInfo, str | None], ...]:
        """Runs that a mirror has not seen in their present version, with their id there (None: not yet there)."""
        with self._read() as connection:
            return duties.changed_runs(connection, target, limit)

    def exported(self, run_id: str, target: str, version: int, external_id: str | None) -> None:
        """Note that a mirror has a run up to a version."""
        with self._change() as connection:
            duties.exported(connection, run_id, target, version, external_id)

    def compactable(self, limit: int = 100) -> tuple[str, ...]:
        """Runs that have ended and whose chunks were not merged for good yet."""
        ended = RUNS.c.status.not_in(duties.LIVE)
        query = select(RUNS.c.run_id).where(ended, RUNS.c.compacted.is_(False)).limit(limit)
        with self._read() as connection:
            return tuple(connection.execute(query).scalars())

    def compact(self, run_id: str, *, now_ms: int) -> int:
        """Merge all that can be merged of a run's chunks; how many chunks that saved."""
        with self.write(run_id, now_ms) as tx:
            if not tx.exists:
                return 0
            return tx.compact()

    def _take(self, delivery: Delivery, now_ms: int) -> bool:
        with self._change() as connection:
            return duties.take(connection, delivery, now_ms)

    def _series(self, run_id: str) -> list[SeriesState]:
        query = select(*(SERIES.c[name] for name in NAMES)).where(SERIES.c.run_id == run_id).order_by(SERIES.c.series)
        with self._read() as connection:
            return [SeriesState.from_row(row) for row in connection.execute(query).mappings()]  # type: ignore[arg-type]  # keys are strings

    @contextlib.contextmanager
    def _read(self) -> Iterator[Connection]:
        self._after_fork()
        with translated(self._engine.url), self._reading.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def _change(self) -> Iterator[Connection]:
        self._after_fork()
        with self._one_writer(), translated(self._engine.url), self._engine.begin() as connection:
            yield connection

    def _one_writer(self) -> contextlib.AbstractContextManager[object]:
        """Within one process SQLite's writers queue here, which is fair and wakes at once, and not at the file."""
        return self._writing if self._sqlite else contextlib.nullcontext()

    def _after_fork(self) -> None:
        if not same_process(self._pid):
            self._engine.dispose(close=False)
            self._writing = threading.Lock()
            self._pid = os.getpid()
