"""Converts database rows to domain values and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, select

from monitor.domain import Alert, Delivery, Finding, FindingState, Recommendation, RunInfo, RunStatus, Severity, Stop
from monitor.store.sql.schema import FINDINGS, RUNS, STOPS

LIVE: Final = ("running", "stalled", "lost")
"""The statuses of runs that have not ended."""
_INFO_NAMES: Final = tuple(name for name in RunInfo.__slots__ if name not in ("id", "status", "recommendation"))
INFO_COLUMNS: Final = [RUNS.c.run_id, RUNS.c.status, RUNS.c.recommendation, *(RUNS.c[name] for name in _INFO_NAMES)]
"""The columns of a `RunInfo`."""
FINDING_COLUMNS: Final = [FINDINGS.c[name] for name in Finding.__slots__]
STOP_COLUMNS: Final = [STOPS.c[name] for name in Stop.__slots__]


def run_info(row: RowMapping | Mapping[str, object]) -> RunInfo:
    """A run from its row. For a run that has ended, the recommendation says what it was worth."""
    status, advice = RunStatus(str(row["status"])), recommendation(row["recommendation"])
    return RunInfo(
        id=str(row["run_id"]),
        status=status,
        recommendation=advice.of_run_over(status) if status.over else advice,
        **{name: row[name] for name in _INFO_NAMES},  # type: ignore[arg-type]  # the columns have these types
    )


def recommendation(data: object) -> Recommendation:
    """A recommendation from its JSON column."""
    if not isinstance(data, Mapping) or not data:
        return Recommendation()
    return Recommendation.from_dict(data)


def finding(row: RowMapping | Mapping[str, Any]) -> Finding:
    """A finding from its row."""
    data: dict[str, Any] = dict(row)
    state, severity = FindingState(data.pop("state")), Severity(data.pop("severity"))
    return Finding(state=state, severity=severity, **data)


def finding_row(run_id: str, found: Finding) -> dict[str, object]:
    """The row of a finding."""
    row = {name: getattr(found, name) for name in Finding.__slots__}
    return {
        **row,
        "run_id": run_id,
        "state": str(found.state),
        "severity": str(found.severity),
        "evidence": dict(found.evidence),
    }


def delivery(row: RowMapping) -> Delivery:
    """A message from its outbox row."""
    names = ("id", "attempts", "next_ms", "delivered_ms", "error")
    return Delivery(alert=Alert.from_dict(row["alert"]), **{name: row[name] for name in names})


def read_stops(connection: Connection, run_id: str) -> tuple[Stop, ...]:
    """The stops of a run, by number."""
    query = select(*STOP_COLUMNS).where(STOPS.c.run_id == run_id).order_by(STOPS.c.id)
    return tuple(Stop(**row) for row in connection.execute(query).mappings())
