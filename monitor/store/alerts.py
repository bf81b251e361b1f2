"""The store's methods for alerts and the silences that cover them."""

from __future__ import annotations

import glob
import re
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, case, func, or_, select, true

from monitor.domain import RUN_DELETED, AlertInfo, AlertPage, AlertQuery, AlertState, Caller, Mark, Severity, Silence
from monitor.domain.clocks import DIFFER_MS
from monitor.errors import AlertNotFound, WireError
from monitor.store.database import Database
from monitor.store.runs.audit import record
from monitor.store.runs.rows import LIVE
from monitor.store.sql.schema import ALERTS, RUNS, SILENCES

LONGEST_SILENCE_MS: Final = 3653 * 86_400_000
MAX_NOTE: Final = 2000
"""Most characters in the note of an acknowledgement."""

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


class Alerts(Database):
    """The store's methods for alerts and silences."""

    def alert_page(self, wanted: AlertQuery, now_ms: int, *, within: str | None = None) -> AlertPage:
        """One page of alerts of runs that are not deleted, most recently changed first, and their number per state."""
        with self._read() as connection:
            return _page(connection, wanted, now_ms, within)

    def alert(self, alert_id: str, now_ms: int, *, within: str | None = None) -> AlertInfo:
        """One alert.

        Args:
            alert_id: its id, or a unique prefix.
        """
        query = _listed(select(*_COLUMNS)).where(ALERTS.c.alert_id.startswith(alert_id, autoescape=True)).limit(2)
        if within is not None:
            query = query.where(RUNS.c.project == within)
        with self._read() as connection:
            found = connection.execute(query).mappings().all()
            if len(found) != 1 or not alert_id:
                raise AlertNotFound(alert_id, several=len(found) > 1)
            return _info(found[0], _covering(connection, now_ms))

    def acknowledge(
        self, alert_id: str, who: str, note: str, *, now_ms: int, by: Caller, within: str | None = None
    ) -> AlertInfo:
        """Acknowledge a firing alert: it is no longer repeated. Taking it over from somebody else is added to the note.

        Args:
            alert_id: its id, or a unique prefix.
            who: the name that is shown with it.
        """
        found = self.alert(alert_id, now_ms, within=within)

        def change(row: Mapping[str, object]) -> Mapping[str, object]:
            if row["state"] != "firing":
                raise WireError("alert", f"{found.id} is {row['state']}; only one that fires can be acknowledged")
            before, said = row["acked_by"], row["acked_note"]
            if before in (None, who):
                return {"acked_by": who, "acked_note": note, "acked_ms": now_ms}
            taken = f"taken over from {before}" + (f": {said}" if said else "")
            return {
                "acked_by": who,
                "acked_note": (f"{note} ({taken})" if note else taken)[:MAX_NOTE],
                "acked_ms": now_ms,
            }

        return self._changed_alert(found, now_ms, change, "alert.acknowledge", by, f"acknowledged as {who}")

    def mark_alert(
        self, alert_id: str, mark: Mark | None, who: str, *, now_ms: int, by: Caller, within: str | None = None
    ) -> AlertInfo:
        """Mark an alert as helpful or as a false alarm; None removes the mark."""
        found = self.alert(alert_id, now_ms, within=within)

        def change(_: Mapping[str, object]) -> Mapping[str, object]:
            return {"mark": mark, "mark_by": None if mark is None else who}

        detail = "mark taken back" if mark is None else f"marked as {mark}"
        return self._changed_alert(found, now_ms, change, "alert.mark", by, f"{detail} as {who}")

    def _changed_alert(
        self, found: AlertInfo, now_ms: int, change: Change, action: str, by: Caller, detail: str
    ) -> AlertInfo:
        with self.write(found.run_id, now_ms) as tx:
            if not tx.exists or not tx.change_alert(found.id, change):
                raise AlertNotFound(found.id)
            tx.audit(action, by, f"{found.rule}, {detail}", target=found.id)
        return self.alert(found.id, now_ms)

    def alert_marks(self, project: str | None = None) -> dict[str, dict[str, int]]:
        """Rule -> mark -> number of alerts."""
        query = _listed(select(ALERTS.c.rule, ALERTS.c.mark, func.count().label("n"))).where(ALERTS.c.mark.is_not(None))
        if project is not None:
            query = query.where(RUNS.c.project == project)
        found: dict[str, dict[str, int]] = {}
        with self._read() as connection:
            for row in connection.execute(query.group_by(ALERTS.c.rule, ALERTS.c.mark)):
                found.setdefault(row.rule, {})[row.mark] = row.n
        return found

    def silence(self, silence: Silence, *, by: Caller) -> Silence:
        """Add a silence. Its id is created here.

        Raises:
            WireError: it matches everything, has already ended, or lasts for more than ten years.
        """
        if not silence.matcher:
            raise WireError("silence", "matches every alert; give at least one of project, run, rule, severity, tag")
        if silence.until_ms <= silence.created_ms:
            raise WireError("until", "is in the past; a silence ends in the future")
        if silence.until_ms - silence.created_ms > LONGEST_SILENCE_MS:
            raise WireError("until", "is more than ten years ahead; change the rule or the channel's level instead")
        made = replace(silence, id=secrets.token_hex(4))
        with self._change() as connection:
            connection.execute(SILENCES.insert(), made.to_dict())
            _audit_silence(connection, "silence.create", made, by, made.created_ms)
        return made

    def silences(self, now_ms: int | None = None) -> tuple[Silence, ...]:
        """The silences, those that end last first.

        Args:
            now_ms: only those in force at this time; None for all there ever were.
        """
        with self._read() as connection:
            return silences(connection, now_ms)

    def unsilence(self, silence_id: str, *, now_ms: int, by: Caller, within: str | None = None) -> Silence:
        """End a silence now. One that has ended stays as it is.

        Args:
            within: only a silence for exactly this project.

        Raises:
            AlertNotFound: there is no such silence.
        """
        mine = SILENCES.c.id == silence_id
        if within is not None:
            mine = and_(mine, SILENCES.c.project == glob.escape(within))
        open_ = and_(mine, SILENCES.c.ended_ms.is_(None), SILENCES.c.until_ms > now_ms)
        with self._change() as connection:
            ended = connection.execute(SILENCES.update().where(open_), {"ended_ms": now_ms}).rowcount == 1
            row = connection.execute(select(SILENCES).where(mine)).mappings().first()
            if row is None:
                raise AlertNotFound(silence_id, what="silence")
            found = Silence(**row)
            if ended:
                _audit_silence(connection, "silence.end", found, by, now_ms)
            return found

    def alerts_of(self, run_id: str, now_ms: int) -> tuple[AlertInfo, ...]:
        """All alerts of a run that ever fired, with the silences in force, most recently changed first."""
        with self._read() as connection:
            return of_runs(connection, [run_id], now_ms).get(run_id, ())

    def repeat_alerts(self, before_ms: int, severities: Collection[Severity], *, now_ms: int) -> int:
        """Send again the alerts that fire unanswered and were last sent before a time. Returns how many.

        One that is silenced then is not sent: its wait begins again.
        """
        with self._read() as connection:
            due = _unanswered(connection, before_ms, severities, now_ms)
        done = 0
        for info in due:
            with self.write(info.run_id, now_ms) as tx:
                if info.state is AlertState.SILENCED:
                    tx.rest_alert(info.id)
                else:
                    done += tx.exists and tx.repeat_alert(info.id, before_ms)
        return done

    def sweep_alerts(self, before_ms: int, *, now_ms: int) -> int:
        """Resolve alerts of ended and deleted runs, and those unanswered since a time. Returns how many."""
        with self._read() as connection:
            over = _over(connection, before_ms)
        done = 0
        for info, why in over:
            with self.write(info.run_id, now_ms) as tx:
                done += tx.resolve_alert(info.id, why)
        return done


def _page(connection: Connection, wanted: AlertQuery, now_ms: int, within: str | None) -> AlertPage:
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


def _unanswered(
    connection: Connection, before_ms: int, severities: Collection[Severity], now_ms: int
) -> tuple[AlertInfo, ...]:
    """Alerts that fire unanswered and were last sent before a time, including silenced ones."""
    long_ago = or_(ALERTS.c.told_ms < before_ms, ALERTS.c.told_ms > now_ms + DIFFER_MS)
    query = _listed(select(*_COLUMNS)).where(_FIRING, ALERTS.c.acked_ms.is_(None), long_ago)
    query = query.where(ALERTS.c.severity.in_([str(each) for each in severities]))
    rows = connection.execute(query).mappings().all()
    covering = _covering(connection, now_ms) if rows else {}
    return tuple(_info(row, covering) for row in rows)


def _over(connection: Connection, before_ms: int) -> tuple[tuple[AlertInfo, str], ...]:
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


def silences(connection: Connection, now_ms: int | None = None) -> tuple[Silence, ...]:
    """The silences, those that end last first. With a time, only those then in force."""
    query = select(SILENCES).order_by(SILENCES.c.until_ms.desc(), SILENCES.c.id)
    if now_ms is not None:
        query = query.where(SILENCES.c.until_ms > now_ms, SILENCES.c.ended_ms.is_(None))
    return tuple(Silence(**row) for row in connection.execute(query).mappings())


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


def _audit_silence(connection: Connection, action: str, silence: Silence, by: Caller, now_ms: int) -> None:
    matcher = ", ".join(f"{name} {pattern}" for name, pattern in silence.matcher.items())
    project = literal(silence.project)
    record(connection, action, silence.id, by, now_ms, project=project, detail=f"{matcher}: as {silence.by}")
