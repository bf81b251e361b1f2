"""Reads over many runs at once, for the queue, the ledger and waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, exists, func, or_, select

from monitor.domain import AlertInfo, Checkpoint, Finding, Gauges, RunInfo, Stop
from monitor.store import alerts
from monitor.store.database import Database
from monitor.store.outbox import WAITS
from monitor.store.runs import facts, outlines, rows, run_list
from monitor.store.runs.facts import Facts
from monitor.store.runs.rows import LIVE
from monitor.store.sql.schema import ALERTS, FINDINGS, OUTBOX, RUNS, STOPS

_STORED: Final = RUNS.c.deleted_ms.is_(None)
_MOST: Final = 1000
"""Most runs of a fleet; the newest."""


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

    def live_runs(self) -> tuple[RunInfo, ...]:
        """Runs that run or hang. Lost ones, of which a store may have any number, are not among them."""
        query = select(*rows.INFO_COLUMNS).where(_STORED, RUNS.c.status.in_(("running", "stalled")))
        with self._read() as connection:
            return tuple(rows.run_info(row) for row in connection.execute(query).mappings())

    def gauges(self) -> Gauges:
        """The current number of live runs and of alerts."""
        live = select(RUNS.c.status, RUNS.c.verdict, func.count()).where(_STORED, RUNS.c.status.in_(LIVE))
        messages = select(func.count()).select_from(OUTBOX)
        statuses, verdicts = Counter[str](), Counter[str]()
        with self._read() as connection:
            for status, verdict, count in connection.execute(live.group_by(RUNS.c.status, RUNS.c.verdict)):
                statuses[status] += count
                verdicts[verdict] += count
            waiting = connection.execute(messages.where(*WAITS)).scalar_one()
            delivered = connection.execute(messages.where(OUTBOX.c.delivered_ms.is_not(None))).scalar_one()
        return Gauges(statuses=statuses, verdicts=verdicts, waiting=waiting, delivered=delivered)

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
        query = select(*rows.INFO_COLUMNS).where(RUNS.c.run_id.in_(run_ids))
        with self._read() as connection:
            return {row["run_id"]: rows.run_info(row) for row in connection.execute(query).mappings()}

    def versions(self, run_ids: Sequence[str]) -> dict[str, int]:
        """The versions of runs by id, which grow with every change that a reader can see; without deleted runs."""
        query = select(RUNS.c.run_id, RUNS.c.version).where(RUNS.c.run_id.in_(run_ids), _STORED)
        with self._read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def stopped(self, since_ms: int, until_ms: int) -> tuple[tuple[str, Stop], ...]:
        """The stops that ended a run within a time span, with the run's id, oldest first."""
        ended = STOPS.c.stopped_step.is_not(None) & STOPS.c.finished_ms.between(since_ms, until_ms - 1)
        query = select(STOPS.c.run_id, *rows.STOP_COLUMNS).where(ended).order_by(STOPS.c.finished_ms, STOPS.c.run_id)
        with self._read() as connection:
            found = [dict(row) for row in connection.execute(query).mappings()]
        return tuple((str(row.pop("run_id")), Stop(**row)) for row in found)

    def fleet(self, project: str | None, *, since_ms: int, now_ms: int, sparkline: int = 0) -> Fleet:
        """The open runs that need attention.

        Args:
            since_ms: from when on ended runs are counted.
            now_ms: decides which silences are in force.
            sparkline: values per sparkline; 0 for none.
        """
        with self._read() as connection:
            found = _troubled(connection, project)
            ids = [run.id for run in found]
            firing = outlines.findings(connection, ids, state="firing")
            open_ = select(RUNS.c.status, func.count()).where(*_of(project), RUNS.c.status.in_(LIVE))
            ended = select(func.count()).select_from(RUNS).where(*_of(project), RUNS.c.finished_ms >= since_ms)
            return Fleet(
                found,
                facts.facts(connection, ids),
                {run_id: those for run_id, those in firing.items() if those},
                run_list.sparklines(connection, ids, sparkline) if sparkline and ids else {},
                {row[0]: row[1] for row in connection.execute(open_.group_by(RUNS.c.status))},
                int(connection.execute(ended).scalar_one()),
                alerts.of_runs(connection, ids, now_ms),
            )


def _of(project: str | None) -> list[ColumnElement[bool]]:
    """The conditions for the stored runs of a project; None for all."""
    return [_STORED] if project is None else [_STORED, RUNS.c.project == project]


def _troubled(connection: Connection, project: str | None) -> tuple[RunInfo, ...]:
    """Open runs that need attention because of their status, advice, a firing finding or an alert, newest first."""
    serious, raised = (
        exists().where(
            table.c.run_id == RUNS.c.run_id, table.c.state == "firing", table.c.severity.in_(("critical", "warning"))
        )
        for table in (FINDINGS, ALERTS)
    )
    raised = raised.where(ALERTS.c.rule.in_(("alert", "threshold")))  # those of rules are findings
    query = select(*rows.INFO_COLUMNS).where(
        *_of(project),
        RUNS.c.status.in_(LIVE),
        or_(RUNS.c.status != "running", RUNS.c.action != "continue", serious, raised),
    )
    newest = connection.execute(query.order_by(RUNS.c.created_ms.desc()).limit(_MOST)).mappings()
    return tuple(rows.run_info(row) for row in newest)
