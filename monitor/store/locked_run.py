"""The row of one run within a write transaction: locked first, changed in memory, written once at the end."""

from __future__ import annotations

import functools
from typing import Final

from sqlalchemy import bindparam, select

from monitor.domain import Recommendation, RunInfo
from monitor.store.runs import rows
from monitor.store.sql.link import Link, Statement
from monitor.store.sql.schema import RUNS
from monitor.store.sql.upsert import insert_once

RUN: Final = RUNS.c.run_id == bindparam("run")
COLD: Final = ("config", "capture", "loss", "tags", "roles", "reading", "note")
"""Columns that few writes look at and that may be long: read when asked for."""
LOCK: Final = Statement(select(*(c for c in RUNS.c if c.key not in COLD)).where(RUN).with_for_update(key_share=True))
_REST: Final = Statement(select(*(RUNS.c[name] for name in COLD)).where(RUN))
_FIRST: Final[dict[str, object]] = {
    "status": "running",
    "attempt": 1,
    "verdict": "too_early",
    "action": "continue",
    "version": 0,
    "series_count": 0,
    "event_count": 0,
    "alert_count": 0,
    "compacted": True,
    "headline": "",
    "recommendation": {},
    "counts": {},
    "warnings": {},
    "tags": {},
    "config": {},
}


_CREATE: Final = Statement(
    lambda dialect: insert_once(RUNS, dialect).returning(RUNS.c.run_id),
    ("run_id", "project", "name", "owner", "created_ms", *_FIRST),
)


@functools.lru_cache(maxsize=256)
def _update(columns: tuple[str, ...]) -> Statement:
    """The statement that changes these columns of a run; built once, as building takes longer than running."""
    values = {name: bindparam(f"new_{name}", type_=RUNS.c[name].type) for name in columns}
    return Statement(RUNS.update().where(RUN).values(values))


class LockedRun:
    """The run's row, or that there is none yet.

    Attributes:
        run_id: the run, whether it exists yet or not.
        now_ms: the time of the transaction, milliseconds since the epoch.
    """

    def __init__(self, link: Link, run_id: str, now_ms: int) -> None:
        self.run_id = run_id
        self.now_ms = now_ms
        self._link = link
        self._place = {"run": run_id}
        self._changed: set[str] = set()
        self._cold = False
        self._row: dict[str, object] | None = None

    @property
    def exists(self) -> bool:
        """True where the run is stored and not deleted."""
        return self._row is not None and self._row["deleted_ms"] is None

    @property
    def deleted(self) -> bool:
        """True where the run was deleted and still awaits its purge."""
        return self._row is not None and self._row["deleted_ms"] is not None

    @property
    def run(self) -> RunInfo:
        """The run as it is, changes of this transaction included."""
        return rows.run_info(self._whole())

    @property
    def recommendation(self) -> Recommendation:
        """What the loop is to do."""
        return rows.recommendation(self._known["recommendation"])

    @property
    def _known(self) -> dict[str, object]:
        if self._row is None:
            raise LookupError(f"run {self.run_id} is not stored")
        return self._row

    def _whole(self) -> dict[str, object]:
        row = self._known
        if not self._cold:
            self._cold = True
            row.update(self._link.ask(_REST, self._place).first() or {})
        return row

    def get(self, column: str) -> object:
        """A column of the run's row, changes of this transaction included."""
        return (self._whole() if column in COLD else self._known)[column]

    def set(self, **columns: object) -> None:
        """Change columns of the run's row; one that keeps its value is not written."""
        row = self._known if self._cold or not any(name in COLD for name in columns) else self._whole()
        for name, value in columns.items():
            if row[name] != value:
                row[name] = value
                self._changed.add(name)

    def changes(self, column: str) -> bool:
        """True where this transaction changes a column of the run's row."""
        return column in self._changed

    def touch(self) -> None:
        """Let the run's `version` grow: what changed stands in another table."""
        self._changed.add("version")

    def create(self, *, project: str, name: str, owner: str | None, created_ms: int) -> bool:
        """Insert the run, attempt 1, running.

        Args:
            created_ms: when it began, by its writer's clock.

        Returns:
            False where another writer was faster: the run is locked and read instead.
        """
        fresh = {**_FIRST, "project": project, "name": name, "owner": owner, "created_ms": created_ms}
        done = self._link.ask(_CREATE, {"run_id": self.run_id, **fresh}).first() is not None
        self._row, self._cold = self._link.ask(LOCK, self._place).first(), False
        return done

    def flush(self, *, visible: bool = True) -> None:
        """Write what was set on the run; `Store.write` calls it before the commit.

        Args:
            visible: whether a reader can see a difference; the run's `version` then grows.
        """
        if not self._changed:
            return
        row = self._known
        if visible and self._changed - {"heartbeat_ms", "compacted"}:
            self.set(version=self.counter("version") + 1)
        values = {f"new_{name}": row[name] for name in self._changed}
        self._link.tell(_update(tuple(sorted(self._changed))), {**values, "run": self.run_id})
        self._changed.clear()

    def counter(self, column: str) -> int:
        """A column that counts."""
        value = self._known[column]
        assert isinstance(value, int)
        return value
