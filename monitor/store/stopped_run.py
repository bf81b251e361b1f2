"""The stops requested of a run, and the audit of its changes, within a write transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from monitor.domain import AuditEntry, Caller, Stop
from monitor.store.alerted_run import AlertedRun
from monitor.store.runs.audit import audit_row
from monitor.store.runs.rows import read_stops
from monitor.store.sql.link import Statement
from monitor.store.sql.schema import AUDIT, STOPS

_NEW_AUDIT: Final = Statement(AUDIT.insert(), AUDIT.c.keys())


class StoppedRun(AlertedRun):
    """A locked run that can be asked to stop."""

    def audit(self, action: str, by: Caller, detail: str = "", *, target: str | None = None) -> None:
        """Record in the audit log who changed the run, in the transaction of the change.

        Args:
            action: such as "run.stop".
            detail: details besides the run's name.
            target: the id of what was changed; None for the run.
        """
        entry = AuditEntry(
            time_ms=self.now_ms, who=by.name, action=action, target=target or self.run_id,
            project=str(self._known["project"]), address=by.address,
            detail=f"{self._known['name']}{': ' if detail else ''}{detail}",
        )  # fmt: skip
        self._link.tell(_NEW_AUDIT, audit_row(entry))

    def stops(self) -> tuple[Stop, ...]:
        """The stops of the run, by number."""
        return read_stops(self._link.plain, self.run_id)

    def add_stop(self, stop: Stop) -> Stop:
        """Store a stop under the run's next number."""
        number = self.counter("stop_count") + 1
        self.set(stop_count=number)
        numbered = replace(stop, id=number)
        row = {name: getattr(numbered, name) for name in Stop.__slots__}
        self._link.plain.execute(STOPS.insert().values(run_id=self.run_id, **row))
        return numbered

    def change_stop(self, number: int, **columns: object) -> None:
        """Change fields of a stop."""
        mine = (STOPS.c.run_id == self.run_id, STOPS.c.id == number)
        self._link.plain.execute(STOPS.update().where(*mine).values(**columns))

    def request_stop(self, who: str, reason: str, rule: str | None = None) -> Stop:
        """Ask the loop to stop. If a stop is already open, it stays as it is."""
        known = self.open_stop()
        if known is not None:
            return known
        run = self.run
        asked = Stop(
            id=0, who=who[:250], reason=reason, rule=rule, attempt=run.attempt, step=run.last_step,
            requested_ms=self.now_ms,
        )  # fmt: skip
        stop = self.add_stop(asked)
        self.set(stop_requested=stop.who, stop_request=stop.id, stop_state=str(stop.state))
        return stop

    def open_stop(self) -> Stop | None:
        """The stop that the loop is currently asked for; None if there is none."""
        number = self.get("stop_request")
        return None if number is None else next((stop for stop in self.stops() if stop.id == number), None)

    def move_stop(self, stop: Stop, **columns: object) -> Stop:
        """Record the progress of the open stop."""
        moved = replace(stop, **columns)  # type: ignore[arg-type]  # fields of a stop
        self.change_stop(stop.id, **columns)
        self.set(stop_state=str(moved.state))
        return moved

    def close_stop(self, stop: Stop, **columns: object) -> Stop:
        """Close the open stop: withdrawn, refused, or finished with the run."""
        moved = self.move_stop(stop, **columns)
        self.set(stop_request=None)
        if moved.finished_ms is None:
            self.set(stop_requested=None)
        return moved
