"""The store: the only access to the database.

Who may change what: `write` is only for `ingest` and the jobs. Everything else reads, or changes a single row of the
outbox or of a mirror's progress. Every write is one transaction on one run. Reads of several statements see one
consistent state. A store may be used from any thread, and again in a forked child, which gets its own connections.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from typing import Self

from sqlalchemy import select

from monitor.domain import (
    RUN_DELETED,
    Access,
    Alert,
    Caller,
    Gauges,
    RunEdit,
    RunInfo,
    RunStatus,
    SavedView,
    Stop,
    StopState,
)
from monitor.errors import RunNotFound, StopRefused, WireError
from monitor.store.access import Tokens
from monitor.store.alerting import Alerting
from monitor.store.overview import Overview
from monitor.store.points.downsampling import LEAST
from monitor.store.reads import Reads
from monitor.store.rule_settings import RuleSettings
from monitor.store.runs import edits, expired, mirror, run_list, views, work
from monitor.store.runs.audit import record
from monitor.store.sql.connect import STATEMENT_S, make_engine, parse_url
from monitor.store.sql.mlflow_schema import tied
from monitor.store.sql.schema import RUNS
from monitor.store.sql.version import prepare, refuse_missing

_RETENTION = Caller(name="retention", access=Access.ADMIN)


class Store(Reads, Overview, Alerting, Tokens, RuleSettings):
    """Runs and their points in SQLite or PostgreSQL. Created by `Store.open`.

    Any method raises `StoreError` if the database does not answer or refuses. What does not exist raises `RunNotFound`,
    `SeriesNotFound`, `AlertNotFound` or `TokenNotFound`; an argument that cannot be used, `WireError`. `by` is who does
    it, for the audit log.
    """

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Self:
        """Open a database.

        Args:
            create: create the tables if the database has none.

        Raises:
            SchemaMismatch: the database is older or newer than this code; the message names the command that helps.
            StoreError: the database cannot be reached, or cannot be used.
        """
        parsed = parse_url(url)
        if not create:
            refuse_missing(parsed)
        engine = make_engine(parsed, statement_s=STATEMENT_S)
        try:
            prepare(engine, create=create)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    def beside_mlflow(self) -> bool:
        """True if MLflow's tables are in the same database and the runs are tied to them."""
        with self._read() as connection:
            return tied(connection)

    def live_runs(self) -> tuple[RunInfo, ...]:
        """Runs that run or hang, without lost ones."""
        with self._read() as connection:
            return work.live_runs(connection)

    def gauges(self) -> Gauges:
        """The current number of runs and alerts."""
        with self._read() as connection:
            return work.gauges(connection)

    def set_status(
        self,
        run_id: str,
        status: RunStatus,
        *,
        now_ms: int,
        seen_heartbeat_ms: int | None = None,
        alert: Alert | None = None,
    ) -> bool:
        """Change a live run's status, unless it has changed since it was read.

        Args:
            seen_heartbeat_ms: the heartbeat on which the decision is based; None to decide in any case.
            alert: put into the outbox if the status is changed.

        Returns:
            False if the run is gone, has ended, already has that status, or has sent a heartbeat since.
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
                tx.end_alerts(f"the run {status}")
            if alert is not None:
                tx.add_alerts([alert])
            return True

    def request_stop(self, run_id: str, who: str, *, now_ms: int, reason: str = "", by: Caller | None = None) -> Stop:
        """Ask a run's loop to stop. The next reply tells it.

        Args:
            who: the name shown to the loop.
            by: who asks, for the audit log; None to record nobody.

        Returns:
            The stop; if one is already open, that one.
        """
        with self.write(run_id, now_ms) as tx:
            if not tx.exists:
                raise RunNotFound(run_id)
            if not tx.run.status.live:
                raise StopRefused(run_id, f"it is {tx.run.status}", "there is nothing to stop")
            if by is not None:
                tx.audit("run.stop", by, f"asked as {who[:250]}")
            return tx.request_stop(who, reason)

    def withdraw_stop(self, run_id: str, who: str, *, now_ms: int, by: Caller | None = None) -> Stop:
        """Withdraw a stop that the loop has not received yet.

        Args:
            who: the name shown in the stop's note.
            by: who asks, for the audit log; None to record nobody.

        Raises:
            StopRefused: none is open, or the loop has received it.
        """
        with self.write(run_id, now_ms) as tx:
            if not tx.exists:
                raise RunNotFound(run_id)
            stop = tx.open_stop()
            if stop is None:
                status = tx.run.status
                why = "no stop is asked for" if status.live else f"it is {status}"
                raise StopRefused(run_id, why, "there is nothing to withdraw")
            if stop.state is not StopState.REQUESTED:
                raise StopRefused(run_id, f"its loop has the stop already ({stop.state})", "it cannot be withdrawn")
            if by is not None:
                tx.audit("run.withdraw_stop", by, f"withdrawn as {who[:250]}")
            return tx.close_stop(stop, withdrawn_ms=now_ms, note=f"withdrawn by {who}"[:250])

    def edit(self, run_id: str, edit: RunEdit, *, now_ms: int, by: Caller | None = None) -> None:
        """Change a run's name, note and tags at a person's request.

        Raises:
            WireError: the name is empty, a text is too long, or the run would have too many tags.
        """
        changes = edits.checked(edit)
        with self.write(run_id, now_ms) as tx:
            if not tx.exists:
                raise RunNotFound(run_id)
            tx.edit(changes)
            if by is not None:
                tx.audit("run.edit", by)

    def views(self, page: str, *, within: str | None = None) -> tuple[SavedView, ...]:
        """The saved views of a dashboard page: a project's, or those of people who see all projects."""
        with self._read() as connection:
            return views.saved(connection, page, within)

    def save_view(self, view: SavedView, *, by: Caller, within: str | None = None) -> SavedView:
        """Save a view of the dashboard, replacing one of the same page and name.

        Raises:
            WireError: it has no name, is too long, or there are too many.
        """
        with self._change() as connection:
            kept = views.save(connection, view, within)
            record(connection, "view.save", f"{kept.page}/{kept.name}", by, kept.saved_ms, project=within)
            return kept

    def forget_view(self, page: str, name: str, *, now_ms: int, by: Caller, within: str | None = None) -> None:
        """Delete a saved view if it exists."""
        with self._change() as connection:
            if views.forget(connection, page, name, within):
                record(connection, "view.delete", f"{page}/{name}", by, now_ms, project=within)

    def changed_runs(
        self, target: str, limit: int = 100, *, without: Collection[str] = ()
    ) -> tuple[tuple[RunInfo, str | None], ...]:
        """Runs whose current version a mirror has not seen, with their id there (None: not there yet).

        Unfinished ones come first.

        Args:
            without: ids of runs to leave out.
        """
        with self._read() as connection:
            return mirror.changed_runs(connection, target, limit, without)

    def exported(self, run_id: str, target: str, version: int, external_id: str | None) -> None:
        """Record that a mirror has a run up to a version."""
        with self._change() as connection:
            mirror.exported(connection, run_id, target, version, external_id)

    def mirrored_as(self, run_id: str, target: str, external_id: str, *, instead_of: str | None) -> str:
        """Record a run's id in a mirror, unless another server was first.

        Args:
            instead_of: the previously recorded id; None for none.

        Returns:
            The id that is recorded, by this server or another.
        """
        with self._change() as connection:
            return mirror.mirrored_as(connection, run_id, target, external_id, instead_of)

    def mirrored_ids(self, target: str, limit: int) -> tuple[str, ...]:
        """A mirror's ids of its newest runs."""
        with self._read() as connection:
            return mirror.newest_ids(connection, target, limit)

    def mirror_again(self, target: str) -> None:
        """Treat every run as changed since a mirror last saw it."""
        with self._change() as connection:
            mirror.start_again(connection, target)

    def arrived(self, run_id: str, target: str, most: int) -> tuple[mirror.Arrived, ...]:
        """Points that a mirror still lacks, about `most` over all series."""
        with self._read() as connection:
            return tuple(mirror.arrived(connection, run_id, target, most))

    def mirrored(self, run_id: str, target: str, far: Sequence[tuple[mirror.Arrived, int]]) -> None:
        """Record how many points a mirror now has of each result of `arrived`."""
        with self._change() as connection:
            mirror.note(connection, run_id, target, far)

    def delete(self, run_id: str, *, now_ms: int, by: Caller | None = None) -> None:
        """Hide a run from all lists. Its name is free at once; its rows stay until `purge`.

        Raises:
            RunNotFound: no run has this id, or it is already deleted.
        """
        with self.write(run_id, now_ms) as tx:
            if not tx.exists:
                raise RunNotFound(run_id)
            tx.end_alerts(RUN_DELETED, lasting=True)
            tx.set(deleted_ms=now_ms)
            if by is not None:
                tx.audit("run.delete", by)

    def deleted(self, *, within: str | None = None) -> tuple[tuple[RunInfo, int], ...]:
        """The runs that `restore` can bring back, with the time of deletion (ms since the epoch), latest first."""
        with self._read() as connection:
            return run_list.list_deleted(connection, within)

    def restore(self, ref: str, *, now_ms: int, by: Caller | None = None, within: str | None = None) -> RunInfo:
        """Restore a deleted run that is not purged yet.

        Args:
            ref: its id, or a prefix of it or a name that is unique among the deleted runs.
            within: only a run of this project.
        """
        with self._read() as connection:
            found = run_list.find_run(connection, ref, deleted=True, within=within)
        with self.write(found.id, now_ms) as tx:
            if not tx.deleted:
                raise RunNotFound(ref, deleted=True)
            tx.restore()
            if by is not None:
                tx.audit("run.restore", by)
        return found

    def retirable(self, *, before_ms: int, project: str | None = None, limit: int = 100_000) -> tuple[str, ...]:
        """The runs that `retire` would delete, oldest first."""
        with self._read() as connection:
            return expired.retired(connection, project, before_ms, limit)

    def purgeable(self, *, before_ms: int, limit: int = 100_000) -> tuple[str, ...]:
        """The runs that `purge` would remove, oldest first."""
        with self._read() as connection:
            return expired.purgeable(connection, before_ms, limit)

    def thinnable(self, *, before_ms: int, points: int, project: str | None = None) -> tuple[str, ...]:
        """The runs that `thin` would downsample, oldest first."""
        with self._read() as connection:
            return expired.thinnable(connection, project, before_ms, points)

    def retire(self, *, before_ms: int, now_ms: int, project: str | None = None, limit: int = 1000) -> tuple[str, ...]:
        """Delete runs that ended before a time, of one project or all. Returns their ids.

        Args:
            limit: most runs to delete; call again while it is reached.
        """
        found = self.retirable(before_ms=before_ms, project=project, limit=limit)
        for run_id in found:
            with contextlib.suppress(RunNotFound):  # another worker was faster
                self.delete(run_id, now_ms=now_ms, by=_RETENTION)
        return found

    def purge(self, *, before_ms: int, limit: int = 1000) -> tuple[str, ...]:
        """Permanently remove what was deleted before a time, one transaction per run. Returns the ids removed."""
        found = self.purgeable(before_ms=before_ms, limit=limit)
        return tuple(run_id for run_id in found if self._purge(run_id, before_ms))

    def _purge(self, run_id: str, before_ms: int) -> bool:
        with self._change() as connection:
            return expired.purge(connection, run_id, before_ms)

    def thin(
        self, *, before_ms: int, points: int, now_ms: int, project: str | None = None
    ) -> Iterator[tuple[str, int, int]]:
        """Downsample curves of runs that ended before a time, one transaction per run; see `points/downsampling.py`.

        Args:
            points: about how many points of each series to keep, >= 500; a series of up to twice as many is left alone.

        Yields:
            Run id, points kept, points removed; only for runs where points were removed.

        Raises:
            WireError: `points` is too small.
        """
        if points < LEAST:
            raise WireError("points", f"must be at least {LEAST}, got {points}")
        for run_id in self.thinnable(before_ms=before_ms, points=points, project=project):
            with self.write(run_id, now_ms) as tx:
                if not tx.exists or tx.run.status.live:
                    continue
                kept, left_out = tx.thin(points)
            if left_out:
                yield run_id, kept, left_out

    def compactable(self, limit: int = 100) -> tuple[str, ...]:
        """Ended runs whose chunks have not had their final merge."""
        ended = RUNS.c.status.not_in(work.LIVE)
        query = select(RUNS.c.run_id).where(ended, RUNS.c.compacted.is_(False)).limit(limit)
        with self._read() as connection:
            return tuple(connection.execute(query).scalars())

    def compact(self, run_id: str, *, now_ms: int) -> int:
        """Merge the chunks of a run as far as possible. Returns how many chunks that saved."""
        with self.write(run_id, now_ms) as tx:
            if not tx.exists:
                return 0
            return tx.compact()
