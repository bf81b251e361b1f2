"""Reads over many runs at once, for the queue, the ledger and waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from monitor.domain import AlertInfo, Checkpoint, Finding, RunInfo, Stop
from monitor.store.database import Database
from monitor.store.runs import alerts, facts, rows, run_list, stops
from monitor.store.runs.facts import Facts
from monitor.store.sql.schema import FINDINGS


@dataclass(frozen=True, slots=True)
class Fleet:
    """The open runs that need attention, and counts of the rest, read at one moment.

    Attributes:
        findings: run id -> firing findings.
        ended: number of runs that ended since the given time.
        alerts: run id -> alerts that ever fired.
    """

    runs: tuple[RunInfo, ...]
    facts: Mapping[str, Facts]
    findings: Mapping[str, tuple[Finding, ...]]
    sparklines: Mapping[str, Mapping[str, tuple[float, ...]]]
    statuses: Mapping[str, int]
    ended: int
    alerts: Mapping[str, tuple[AlertInfo, ...]]


class Overview(Database):
    """The store's reads over many runs."""

    def facts(self, run_ids: Sequence[str]) -> dict[str, Facts]:
        """The facts from which the economics of runs are computed, by id."""
        with self._read() as connection:
            return facts.facts(connection, run_ids)

    def saved(self, run_ids: Sequence[str]) -> dict[str, tuple[Checkpoint, ...]]:
        """Run id -> the checkpoints that its loop saved, in the order reported."""
        with self._read() as connection:
            return facts.checkpoints(connection, run_ids)

    def infos(self, run_ids: Sequence[str]) -> dict[str, RunInfo]:
        """Runs by id, including deleted ones."""
        with self._read() as connection:
            return facts.of_ids(connection, run_ids)

    def versions(self, run_ids: Sequence[str]) -> dict[str, int]:
        """The versions of runs by id. Deleted runs are left out."""
        with self._read() as connection:
            return facts.versions(connection, run_ids)

    def stopped(self, since_ms: int, until_ms: int) -> tuple[tuple[str, Stop], ...]:
        """The stops that ended a run within a time span, with the run's id, oldest first."""
        with self._read() as connection:
            return stops.stopped(connection, since_ms, until_ms)

    def fleet(self, project: str | None, *, since_ms: int, now_ms: int, most: int = 1000, sparkline: int = 0) -> Fleet:
        """The open runs that need attention.

        Args:
            since_ms: from when on ended runs are counted.
            now_ms: decides which silences are in force.
            most: most runs returned; the newest.
            sparkline: values per sparkline; 0 for none.
        """
        with self._read() as connection:
            found = facts.troubled(connection, project, most)
            ids = [run.id for run in found]
            query = select(FINDINGS.c.run_id, *rows.FINDING_COLUMNS).where(
                FINDINGS.c.run_id.in_(ids), FINDINGS.c.state == "firing"
            )
            firing: dict[str, list[Finding]] = {}
            for row in connection.execute(query.order_by(FINDINGS.c.number)).mappings():
                data = dict(row)
                firing.setdefault(str(data.pop("run_id")), []).append(rows.finding(data))
            return Fleet(
                found,
                facts.facts(connection, ids),
                {run_id: tuple(those) for run_id, those in firing.items()},
                run_list.sparklines(connection, ids, sparkline) if sparkline and ids else {},
                facts.statuses(connection, project),
                facts.ended_since(connection, project, since_ms),
                alerts.of_runs(connection, ids, now_ms),
            )
