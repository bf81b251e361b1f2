"""The store: the only access to the database.

Who may change what: `write` is only for `ingest` and the jobs. Everything else reads, or changes a single row of the
outbox or of a mirror's progress. Every write is one transaction on one run. Reads of several statements see one
consistent state. A store may be used from any thread, and again in a forked child, which gets its own connections.
"""

from __future__ import annotations

from typing import Self

from monitor.domain import Alert, Caller, RunEdit, RunStatus, Stop, StopState
from monitor.errors import RunNotFound, StopRefused
from monitor.store.access import Tokens
from monitor.store.alerts import Alerts
from monitor.store.mirrors import Mirrors
from monitor.store.outbox import Outbox
from monitor.store.overview import Overview
from monitor.store.reads import Reads
from monitor.store.removal import Removal
from monitor.store.runs import edits
from monitor.store.saved import Saved
from monitor.store.sql.connect import STATEMENT_S, make_engine, parse_url
from monitor.store.sql.mlflow_schema import tied
from monitor.store.sql.version import prepare, refuse_missing


class Store(Reads, Overview, Alerts, Outbox, Mirrors, Removal, Saved, Tokens):
    """Runs and their points in SQLite or PostgreSQL. Created by `Store.open`.

    Any method raises `StoreError` if the database does not answer or refuses. What does not exist raises `RunNotFound`,
    `SeriesNotFound`, `AlertNotFound` or `TokenNotFound`; an argument that cannot be used, `WireError`.

    In all methods, `by` is who does it, for the audit log (None to record nobody), and `within` a project: what belongs
    to others then counts as missing. `now_ms` is in milliseconds since the epoch.
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
