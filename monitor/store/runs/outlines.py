"""Runs with their series, findings and checkpoints. The number of statements does not depend on the number of runs."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from monitor.domain import Finding, RunInfo, RunSnapshot
from monitor.store.points.series import NAMES, SeriesState
from monitor.store.runs import facts, rows
from monitor.store.sql.schema import FINDINGS, SERIES


def outlines(connection: Connection, runs: Sequence[RunInfo]) -> dict[str, RunSnapshot]:
    """Each run without a description of its curves, by id."""
    ids = list(dict.fromkeys(run.id for run in runs))
    states, seen, saved = series(connection, ids), findings(connection, ids), facts.checkpoints(connection, ids)
    return {
        run.id: RunSnapshot(run, tuple(state.info() for state in states[run.id]), seen[run.id], saved[run.id])
        for run in runs
    }


def series(connection: Connection, run_ids: Sequence[str]) -> dict[str, list[SeriesState]]:
    """The series of each run; the one that is judged stands first within its role."""
    query = select(SERIES.c.run_id, *(SERIES.c[name] for name in NAMES)).where(SERIES.c.run_id.in_(run_ids))
    found: dict[str, list[SeriesState]] = {run_id: [] for run_id in run_ids}
    for row in connection.execute(query.order_by(SERIES.c.run_id, SERIES.c.series)).mappings():
        found[row["run_id"]].append(SeriesState.from_row(row))  # type: ignore[arg-type]  # keys are strings
    for states in found.values():
        for state in [state for state in states if state.judged]:
            first = next(at for at, other in enumerate(states) if other.role == state.role)
            states.insert(first, states.pop(next(at for at, other in enumerate(states) if other is state)))
    return found


def findings(
    connection: Connection, run_ids: Sequence[str], *, state: str | None = None
) -> dict[str, tuple[Finding, ...]]:
    """What the engine found in each run, by number; with a state, only the findings in it."""
    query = select(FINDINGS.c.run_id, *rows.FINDING_COLUMNS).where(FINDINGS.c.run_id.in_(run_ids))
    if state is not None:
        query = query.where(FINDINGS.c.state == state)
    found: dict[str, list[Finding]] = {run_id: [] for run_id in run_ids}
    for row in connection.execute(query.order_by(FINDINGS.c.run_id, FINDINGS.c.number)).mappings():
        data = dict(row)
        found[str(data.pop("run_id"))].append(rows.finding(data))
    return {run_id: tuple(those) for run_id, those in found.items()}
