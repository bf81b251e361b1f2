"""Reads over many runs at once: what queues, ledgers and waits are made from."""

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
    """The open runs that something is to be said of, and the rest in numbers, read at one moment.

    Attributes:
        findings: of each of `runs`, what fires.
        ended: runs that have ended since the time that was asked for.
        alerts: of each of `runs`, those that ever fired.
    """

    runs: tuple[RunInfo, ...]
    facts: Mapping[str, Facts]
    findings: Mapping[str, tuple[Finding, ...]]
    sparklines: Mapping[str, Mapping[str, tuple[float, ...]]]
    statuses: Mapping[str, int]
    ended: int
    alerts: Mapping[str, tuple[AlertInfo, ...]]


class Overview(Database):
    """The reads over many runs."""

    def facts(self, run_ids: Sequence[str]) -> dict[str, Facts]:
        """What the economics of runs rest on, by id."""
        with self._read() as connection:
            return facts.facts(connection, run_ids)

    def saved(self, run_ids: Sequence[str]) -> dict[str, tuple[Checkpoint, ...]]:
        """By run, the files that its loop saved, in the order in which it said so."""
        with self._read() as connection:
            return facts.checkpoints(connection, run_ids)

    def infos(self, run_ids: Sequence[str]) -> dict[str, RunInfo]:
        """Runs by their ids; those that were deleted too."""
        with self._read() as connection:
            return facts.of_ids(connection, run_ids)

    def versions(self, run_ids: Sequence[str]) -> dict[str, int]:
        """The versions of runs, by id; a run that was deleted has none."""
        with self._read() as connection:
            return facts.versions(connection, run_ids)

    def stopped(self, since_ms: int, until_ms: int) -> tuple[tuple[str, Stop], ...]:
        """The stops that ended a run as stopped within a time, each with the run's id, the oldest first."""
        with self._read() as connection:
            return stops.stopped(connection, since_ms, until_ms)

    def fleet(self, project: str | None, *, since_ms: int, now_ms: int, most: int = 1000, sparkline: int = 0) -> Fleet:
        """The open runs that something is to be said of.

        Args:
            project: of this one; None: of all.
            since_ms: from when on ended runs are counted.
            now_ms: which silences are in force.
            most: runs, at most; the newest.
            sparkline: values of each small curve; 0 for none.
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
