"""Alerts as they are listed, and the silences that cover them."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, case, func, or_, select, true

from monitor.domain import RUN_DELETED, AlertInfo, AlertPage, AlertQuery, AlertState, Severity, Silence
from monitor.domain.clocks import DIFFER_MS
from monitor.errors import AlertNotFound, WireError
from monitor.store.runs.work import LIVE
from monitor.store.sql.schema import ALERTS, RUNS, SILENCES

Change = Callable[[Mapping[str, object]], Mapping[str, object]]

_NAMES: Final = (
    "run_id", "rule", "count", "title", "body", "step", "created_ms", "fired_ms", "changed_ms", "resolved_ms",
    "resolution", "acked_by", "acked_note", "acked_ms", "mark", "mark_by",
)  # fmt: skip
_COLUMNS: Final = [
    *(ALERTS.c[name] for name in _NAMES),
    ALERTS.c.alert_id.label("id"),
    ALERTS.c.severity,
    ALERTS.c.state,
    RUNS.c.project,
    RUNS.c.name.label("run_name"),
    RUNS.c.tags,
]
_FIRING: Final = ALERTS.c.state == "firing"
_AT_ONCE: Final = 500
"""Most runs that one statement names."""


def page(connection: Connection, wanted: AlertQuery, now_ms: int, within: str | None = None) -> AlertPage:
    """One page of alerts of runs that are not deleted, with the number of alerts per state."""
    covering = _covering(connection, now_ms)
    state = _state(covering)
    chosen = _filtered(select(*_COLUMNS), wanted, within)
    counted = _filtered(select(state, func.count()), wanted, within).group_by(state)  # type: ignore[arg-type]  # of any columns
    counts = {str(each): 0 for each in AlertState} | {now: n for now, n in connection.execute(counted)}  # noqa: C416  # rows are no pairs
    if wanted.state is not None:
        chosen = chosen.where(state == str(wanted.state))
    if wanted.open:
        chosen = chosen.where(ALERTS.c.state != "resolved")
    if wanted.cursor is not None:
        at, last = _place(wanted.cursor)
        chosen = chosen.where(or_(ALERTS.c.changed_ms < at, and_(ALERTS.c.changed_ms == at, ALERTS.c.alert_id > last)))
    chosen = chosen.order_by(ALERTS.c.changed_ms.desc(), ALERTS.c.alert_id).limit(wanted.limit + 1)
    found = [_info(row, covering) for row in connection.execute(chosen).mappings()]
    more = len(found) > wanted.limit
    items = tuple(found[: wanted.limit])
    return AlertPage(items=items, cursor=f"{items[-1].changed_ms}-{items[-1].id}" if more else None, counts=counts)


def find(connection: Connection, alert_id: str, now_ms: int, within: str | None = None) -> AlertInfo:
    """One alert by its id or a unique prefix of it."""
    query = _listed(select(*_COLUMNS)).where(ALERTS.c.alert_id.startswith(alert_id, autoescape=True)).limit(2)
    if within is not None:
        query = query.where(RUNS.c.project == within)
    found = connection.execute(query).mappings().all()
    if len(found) != 1 or not alert_id:
        raise AlertNotFound(alert_id, several=len(found) > 1)
    return _info(found[0], _covering(connection, now_ms))


def standing(connection: Connection, run_ids: Collection[str]) -> tuple[AlertInfo, ...]:
    """All alerts of some runs that ever fired, including those of deleted runs."""
    wanted, found = sorted(run_ids), list[AlertInfo]()
    query = select(*_COLUMNS).join(RUNS, RUNS.c.run_id == ALERTS.c.run_id).where(ALERTS.c.state != "pending")
    for i in range(0, len(wanted), _AT_ONCE):
        some = connection.execute(query.where(ALERTS.c.run_id.in_(wanted[i : i + _AT_ONCE])))
        found += [_info(row, {}) for row in some.mappings()]
    return tuple(found)


def of_runs(connection: Connection, run_ids: Collection[str], now_ms: int) -> dict[str, tuple[AlertInfo, ...]]:
    """Run id -> its alerts that ever fired, with the silences in force, most recently changed first."""
    wanted, covering, found = sorted(run_ids), _covering(connection, now_ms), dict[str, list[AlertInfo]]()
    query = _listed(select(*_COLUMNS)).where(ALERTS.c.count > 0)
    query = query.order_by(ALERTS.c.changed_ms.desc(), ALERTS.c.alert_id)
    for i in range(0, len(wanted), _AT_ONCE):
        for row in connection.execute(query.where(ALERTS.c.run_id.in_(wanted[i : i + _AT_ONCE]))).mappings():
            found.setdefault(row["run_id"], []).append(_info(row, covering))
    return {run_id: tuple(infos) for run_id, infos in found.items()}


def unanswered(
    connection: Connection, before_ms: int, severities: Collection[Severity], now_ms: int
) -> tuple[AlertInfo, ...]:
    """Alerts that fire unanswered and were last sent before a time, including silenced ones."""
    long_ago = or_(ALERTS.c.told_ms < before_ms, ALERTS.c.told_ms > now_ms + DIFFER_MS)
    query = _listed(select(*_COLUMNS)).where(_FIRING, ALERTS.c.acked_ms.is_(None), long_ago)
    query = query.where(ALERTS.c.severity.in_([str(each) for each in severities]))
    rows = connection.execute(query).mappings().all()
    covering = _covering(connection, now_ms) if rows else {}
    return tuple(_info(row, covering) for row in rows)


def over(connection: Connection, before_ms: int) -> tuple[tuple[AlertInfo, str], ...]:
    """Alerts that still fire although their run is over, or nobody answered since a time; with the reason."""
    ended = RUNS.c.status.not_in(LIVE)
    why = case(
        (RUNS.c.deleted_ms.is_not(None), RUN_DELETED),
        (and_(ended, ALERTS.c.rule.not_in(("failed", "alert"))), "the run ended"),
        (and_(ended, ALERTS.c.acked_ms.is_not(None)), "acknowledged, and the run ended"),
        (and_(ALERTS.c.changed_ms < before_ms, RUNS.c.status != "running"), "nobody answered"),
    )
    query = select(*_COLUMNS, why.label("why")).join(RUNS, RUNS.c.run_id == ALERTS.c.run_id)
    rows = connection.execute(query.where(_FIRING, why.is_not(None))).mappings()
    return tuple((_info({k: v for k, v in row.items() if k != "why"}, {}), str(row["why"])) for row in rows)


def marks(connection: Connection, project: str | None) -> dict[str, dict[str, int]]:
    """Rule -> mark -> number of alerts."""
    query = _listed(select(ALERTS.c.rule, ALERTS.c.mark, func.count().label("n"))).where(ALERTS.c.mark.is_not(None))
    if project is not None:
        query = query.where(RUNS.c.project == project)
    found: dict[str, dict[str, int]] = {}
    for row in connection.execute(query.group_by(ALERTS.c.rule, ALERTS.c.mark)):
        found.setdefault(row.rule, {})[row.mark] = row.n
    return found


def silences(connection: Connection, now_ms: int | None = None) -> tuple[Silence, ...]:
    """The silences, those that end last first. With a time, only those then in force."""
    query = select(SILENCES).order_by(SILENCES.c.until_ms.desc(), SILENCES.c.id)
    if now_ms is not None:
        query = query.where(SILENCES.c.until_ms > now_ms, SILENCES.c.ended_ms.is_(None))
    return tuple(Silence(**row) for row in connection.execute(query).mappings())


def add_silence(connection: Connection, silence: Silence) -> None:
    """Store a silence."""
    connection.execute(SILENCES.insert(), silence.to_dict())


def end_silence(
    connection: Connection, silence_id: str, now_ms: int, within: str | None = None
) -> tuple[Silence, bool]:
    """End a silence now. Returns it, and whether it was in force.

    Raises:
        AlertNotFound: there is no such silence, or it is not for exactly the project `within`.
    """
    mine = SILENCES.c.id == silence_id
    if within is not None:
        mine = and_(mine, SILENCES.c.project == glob.escape(within))
    open_ = and_(mine, SILENCES.c.ended_ms.is_(None), SILENCES.c.until_ms > now_ms)
    ended = connection.execute(SILENCES.update().where(open_), {"ended_ms": now_ms}).rowcount == 1
    row = connection.execute(select(SILENCES).where(mine)).mappings().first()
    if row is None:
        raise AlertNotFound(silence_id, what="silence")
    return Silence(**row), ended


def literal(pattern: str | None) -> str | None:
    """The only text that a glob matches; None if it may match several.

    >>> literal("vision"), literal("a[[]b"), literal("vision*"), literal(None)
    ('vision', 'a[b', None, None)
    """
    text = None if pattern is None else re.sub(r"\[([*?[])\]", r"\1", pattern)
    return text if text is not None and glob.escape(text) == pattern else None


def _covering(connection: Connection, now_ms: int) -> dict[str, Silence]:
    """Id of a firing alert -> the silence that covers it the longest."""
    active = silences(connection, now_ms)
    if not active:
        return {}
    names = (
        ALERTS.c.alert_id,
        ALERTS.c.run_id,
        ALERTS.c.rule,
        ALERTS.c.severity,
        RUNS.c.project,
        RUNS.c.name,
        RUNS.c.tags,
    )
    found = {}
    for row in connection.execute(_listed(select(*names)).where(_FIRING)):
        of = {"project": row.project, "run_id": row.run_id, "run_name": row.name, "rule": row.rule}
        first = next((each for each in active if each.covers(**of, severity=row.severity, tags=row.tags)), None)
        if first is not None:
            found[row.alert_id] = first
    return found


def _state(covering: Collection[str]) -> ColumnElement[str]:
    silenced = ALERTS.c.alert_id.in_(sorted(covering)) if covering else ~true()
    return case(
        (and_(_FIRING, silenced), str(AlertState.SILENCED)),
        (and_(_FIRING, ALERTS.c.acked_ms.is_not(None)), str(AlertState.ACKNOWLEDGED)),
        else_=ALERTS.c.state,
    )


def _info(row: RowMapping | Mapping[str, Any], covering: Mapping[str, Silence]) -> AlertInfo:
    data, silence = dict(row), covering.get(row["id"])
    state = AlertState(data.pop("state"))
    if state is AlertState.FIRING and silence is not None:
        state = AlertState.SILENCED
        data |= {"silenced_by": silence.id, "silenced_until_ms": silence.until_ms}
    elif state is AlertState.FIRING and data["acked_ms"] is not None:
        state = AlertState.ACKNOWLEDGED
    return AlertInfo(state=state, severity=Severity(data.pop("severity")), **data)


def _listed(query: Select[Any]) -> Select[Any]:
    return query.select_from(ALERTS).join(RUNS, RUNS.c.run_id == ALERTS.c.run_id).where(RUNS.c.deleted_ms.is_(None))


def _filtered(query: Select[Any], wanted: AlertQuery, within: str | None) -> Select[Any]:
    query = _listed(query)
    exact: Sequence[tuple[ColumnElement[Any], object]] = (
        (RUNS.c.project, within),
        (RUNS.c.project, wanted.project),
        (ALERTS.c.rule, wanted.rule),
        (ALERTS.c.severity, None if wanted.severity is None else str(wanted.severity)),
        (ALERTS.c.run_id, wanted.run),
    )
    query = query.where(*(column == value for column, value in exact if value is not None))
    if wanted.search:
        places = (ALERTS.c.title, ALERTS.c.body, RUNS.c.name)
        query = query.where(or_(*(column.icontains(wanted.search, autoescape=True) for column in places)))
    return query


def _place(cursor: str) -> tuple[int, str]:
    at, _, last = cursor.partition("-")
    if not at.isdecimal() or len(at) > 18 or not last:
        raise WireError("cursor", f"{cursor!r:.60} is not the cursor of a page of alerts; leave it out to start over")
    return int(at), last
