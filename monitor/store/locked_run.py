"""The row of one run within a write transaction: locked first, changed in memory, written once at the end."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

from sqlalchemy import bindparam, select

from monitor.domain import Recommendation, RunInfo
from monitor.store.runs import rows
from monitor.store.sql.link import Link, Statement
from monitor.store.sql.schema import RUNS
from monitor.store.sql.upsert import insert_once

RUN: Final = RUNS.c.run_id == bindparam("run")
COLD: Final = ("config", "capture", "loss", "tags", "roles", "reading", "note")
"""Columns that may be long and that few writes need; read only when needed."""
# `FOR NO KEY UPDATE`: other transactions may still insert rows that reference the run.
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
    """The statement that changes these columns of a run. Cached, because building it takes longer than running it."""
    values = {name: bindparam(f"new_{name}", type_=RUNS.c[name].type) for name in columns}
    return Statement(RUNS.update().where(RUN).values(values))


class LockedRun:
    """The run's locked row, or the fact that there is none yet.

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
        """True if the run is stored and not deleted."""
        return self._row is not None and self._row["deleted_ms"] is None

    @property
    def deleted(self) -> bool:
        """True if the run is deleted, but not purged yet."""
        return self._row is not None and self._row["deleted_ms"] is not None

    @property
    def run(self) -> RunInfo:
        """The run, including changes of this transaction."""
        return rows.run_info(self._whole())

    @property
    def recommendation(self) -> Recommendation:
        """What the loop should do."""
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
        """A column of the run's row, including changes of this transaction."""
        return (self._whole() if column in COLD else self._known)[column]

    def set(self, **columns: object) -> None:
        """Change columns of the run's row. A column that keeps its value is not written."""
        row = self._known if self._cold or not any(name in COLD for name in columns) else self._whole()
        for name, value in columns.items():
            if row[name] != value:
                row[name] = value
                self._changed.add(name)

    def changes(self, column: str) -> bool:
        """True if this transaction changes a column of the run's row."""
        return column in self._changed

    def touch(self) -> None:
        """Increment the run's `version`, for a change in another table."""
        self._changed.add("version")

    def create(self, *, project: str, name: str, owner: str | None, created_ms: int) -> bool:
        """Insert the run: attempt 1, running.

        Args:
            created_ms: when it began, by its writer's clock.

        Returns:
            False if another writer was faster; its row is then locked and read.
        """
        fresh = {**_FIRST, "project": project, "name": name, "owner": owner, "created_ms": created_ms}
        done = self._link.ask(_CREATE, {"run_id": self.run_id, **fresh}).first() is not None
        self._row, self._cold = self._link.ask(LOCK, self._place).first(), False
        return done

    def flush(self) -> None:
        """Write the changes of the run's row, with a new `version` if a reader can see them.

        `Store.write` calls it before the commit.
        """
        if not self._changed:
            return
        row = self._known
        # Heartbeats and compaction are not news: waking every reader for them would cost more than they tell.
        if self._changed - {"heartbeat_ms", "compacted"}:
            self.set(version=self.counter("version") + 1)
        values = {f"new_{name}": row[name] for name in self._changed}
        self._link.tell(_update(tuple(sorted(self._changed))), {**values, "run": self.run_id})
        self._changed.clear()

    def mapping(self, column: str) -> Mapping[str, object]:
        """A JSON column; empty if nothing is stored."""
        value = self.get(column)
        return value if isinstance(value, Mapping) else {}

    def counter(self, column: str) -> int:
        """The value of a counter column."""
        value = self._known[column]
        assert isinstance(value, int)
        return value
