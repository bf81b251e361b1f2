"""The store's methods that remove: runs that are deleted, restored and purged, and points that are downsampled away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Select, exists, or_, select

from monitor.domain import RUN_DELETED, Access, Caller, RunInfo
from monitor.errors import RunNotFound, WireError
from monitor.store.database import Database
from monitor.store.points.downsampling import LEAST
from monitor.store.runs import run_list
from monitor.store.runs.rows import LIVE
from monitor.store.sql.schema import RUNS, SERIES

if TYPE_CHECKING:
    from monitor.store.transaction import Transaction

_RETENTION: Final = Caller(name="retention", access=Access.ADMIN)


class Removal(Database):
    """Deletes runs and restores them, and makes old ones smaller."""

    def delete(self, run_id: str, *, now_ms: int, by: Caller | None = None) -> None:
        """Hide a run from all lists. Its name is free at once; its rows stay until `purge`.

        Raises:
            RunNotFound: no run has this id, or it is already deleted.
        """
        with self.write(run_id, now_ms) as tx:
            if not tx.exists:
                raise RunNotFound(run_id)
            _hide(tx, now_ms, by)

    def deleted(self, *, within: str | None = None) -> tuple[tuple[RunInfo, int], ...]:
        """The runs that `restore` can bring back, with the time of deletion (ms since the epoch), latest first."""
        with self._read() as connection:
            return run_list.list_deleted(connection, within)

    def restore(self, ref: str, *, now_ms: int, by: Caller | None = None, within: str | None = None) -> RunInfo:
        """Restore a deleted run that is not purged yet.

        Args:
            ref: its id, or a prefix of it or a name that is unique among the deleted runs.
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

    def retirable(self, *, before_ms: int, project: str | None = None) -> tuple[str, ...]:
        """The runs that `retire` would delete, oldest first."""
        with self._read() as connection:
            return tuple(connection.execute(_ended(before_ms, project)).scalars())

    def purgeable(self, *, before_ms: int) -> tuple[str, ...]:
        """The runs that `purge` would remove, oldest first."""
        query = select(RUNS.c.run_id).where(RUNS.c.deleted_ms < before_ms).order_by(RUNS.c.deleted_ms)
        with self._read() as connection:
            return tuple(connection.execute(query).scalars())

    def thinnable(self, *, before_ms: int, points: int, project: str | None = None) -> tuple[str, ...]:
        """The runs that `thin` would downsample, oldest first."""
        long = exists().where(SERIES.c.run_id == RUNS.c.run_id, SERIES.c.count > 2 * points)
        with self._read() as connection:
            return tuple(connection.execute(_ended(before_ms, project).where(long)).scalars())

    def retire(self, *, before_ms: int, now_ms: int, project: str | None = None) -> tuple[str, ...]:
        """Delete runs that ended before a time, of one project or all. Returns their ids.

        A run that another worker deletes in the meantime is not among them, and one that is resumed stays.
        """
        found = self.retirable(before_ms=before_ms, project=project)
        return tuple(run_id for run_id in found if self._retire(run_id, now_ms))

    def _retire(self, run_id: str, now_ms: int) -> bool:
        with self.write(run_id, now_ms) as tx:
            over = tx.exists and not tx.run.status.live
            if over:
                _hide(tx, now_ms, _RETENTION)
        return over

    def purge(self, *, before_ms: int) -> tuple[str, ...]:
        """Permanently remove what was deleted before a time, one transaction per run. Returns the ids removed.

        A run that is restored in the meantime stays.
        """
        gone = []
        for run_id in self.purgeable(before_ms=before_ms):
            mine = (RUNS.c.run_id == run_id, RUNS.c.deleted_ms < before_ms)
            with self._change() as connection:
                removed = connection.execute(RUNS.delete().where(*mine)).rowcount == 1
            if removed:
                gone.append(run_id)
        return tuple(gone)

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

    def compactable(self) -> tuple[str, ...]:
        """Up to 100 ended runs whose chunks have not had their final merge."""
        ended = RUNS.c.status.not_in(LIVE)
        query = select(RUNS.c.run_id).where(ended, RUNS.c.compacted.is_(False)).limit(100)
        with self._read() as connection:
            return tuple(connection.execute(query).scalars())

    def compact(self, run_id: str, *, now_ms: int) -> int:
        """Merge the chunks of a run as far as possible. Returns how many chunks that saved."""
        with self.write(run_id, now_ms) as tx:
            if not tx.exists:
                return 0
            return tx.compact()


def _hide(tx: Transaction, now_ms: int, by: Caller | None) -> None:
    """Hide a run from all lists, and end its alerts."""
    tx.end_alerts(RUN_DELETED, lasting=True)
    tx.set(deleted_ms=now_ms)
    if by is not None:
        tx.audit("run.delete", by)


def _ended(before_ms: int, project: str | None) -> Select[Any]:
    """Runs that ended, and were last heard of, before a time and are not deleted yet, oldest first.

    The end is by the client's clock, which may be years behind; when it was heard of, by the server's.
    """
    heard = or_(RUNS.c.heartbeat_ms.is_(None), RUNS.c.heartbeat_ms < before_ms)
    query = select(RUNS.c.run_id).where(RUNS.c.deleted_ms.is_(None), RUNS.c.status.not_in(LIVE), heard)
    query = query.where(RUNS.c.finished_ms < before_ms).order_by(RUNS.c.finished_ms)
    return query if project is None else query.where(RUNS.c.project == project)
