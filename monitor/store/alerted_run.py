"""The alerts of one run within a write transaction: their current state, and the messages about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from sqlalchemy import bindparam, select

from monitor.domain import RUN_DELETED, Alert, Pending, Severity, alert_id
from monitor.domain.clocks import DIFFER_MS
from monitor.domain.formats import duration
from monitor.store.locked_run import LockedRun
from monitor.store.sql.link import Link, Statement
from monitor.store.sql.schema import ALERTS, OUTBOX
from monitor.store.sql.upsert import upsert

_ROWS: Final = Statement(select(ALERTS).where(ALERTS.c.run_id == bindparam("run")))
_SAVE: Final = Statement(lambda dialect: upsert(ALERTS, dialect), ALERTS.c.keys())
_DROP: Final = Statement(ALERTS.delete().where(ALERTS.c.run_id == bindparam("run"), ALERTS.c.key == bindparam("of")))
_MESSAGES: Final = Statement(
    OUTBOX.insert(), ("run_id", "id", "created_ms", "dedup_key", "alert", "attempts", "next_ms")
)
_BLANK: Final[dict[str, object]] = dict.fromkeys(ALERTS.c.keys())
_UNANSWERED: Final[dict[str, object]] = dict.fromkeys(("acked_by", "acked_note", "acked_ms"))
_LASTING: Final = ("failed", "alert")
"""Kinds that fire until somebody answers, whatever happens to the run."""

Row = dict[str, object]


class AlertedRun(LockedRun):
    """A locked run whose alerts can be changed."""

    def __init__(self, link: Link, run_id: str, now_ms: int) -> None:
        super().__init__(link, run_id, now_ms)
        self._raised: set[str] = set()
        self.alerted = False
        """True once this transaction has put messages into the outbox."""

    def raises(self, rule: str) -> bool:
        """True if this transaction puts a message into the outbox that this rule fires."""
        return rule in self._raised

    def firing(self) -> tuple[str, ...]:
        """The rules, and other kinds, whose alerts are firing."""
        return tuple(str(row["rule"]) for row in self._alert_rows().values() if row["state"] == "firing")

    def add_alerts(self, alerts: Sequence[Alert]) -> None:
        """Put messages into the outbox, and update the alerts that they are about."""
        if not alerts:
            return
        self.alerted = True
        self._raised.update(alert.kind for alert in alerts if alert.state == "firing")
        first = self.counter("alert_count") + 1
        self.set(alert_count=first - 1 + len(alerts))
        found = [
            {
                "run_id": self.run_id,
                "id": number,
                "created_ms": alert.created_ms,
                "dedup_key": alert.dedup_key[:250],
                "alert": alert.to_dict(),
                "attempts": 0,
                "next_ms": alert.created_ms,
            }
            for number, alert in enumerate(alerts, start=first)
        ]
        self._link.tell(_MESSAGES, *found)
        # "finished" is only news, not a state that lasts
        lasting = [alert for alert in alerts if alert.kind != "finished"]
        if lasting:
            self._follow(lasting)

    def pend_alerts(self, pending: Sequence[Pending]) -> None:
        """Add what may fire soon as pending alerts, and drop pending ones that no longer may."""
        rows = self._alert_rows()
        coming = {each.rule: each for each in pending if each.severity is not Severity.INFO}
        changed = []
        for rule, each in coming.items():
            row = rows.get(rule)
            if row is None or row["state"] != "firing":
                changed.append(self._pending(row, each))
        for key, row in rows.items():
            if row["state"] == "pending" and key not in coming:
                if row["count"]:
                    changed.append({**row, "state": "resolved", "changed_ms": self.now_ms})
                else:
                    self._link.tell(_DROP, {**self._place, "of": key})
        self._save_alerts(changed)

    def end_alerts(self, why: str, *, lasting: bool = False) -> None:
        """Resolve the alerts of a run that has ended, without a message.

        Args:
            why: shown with them, such as "the run was deleted".
            lasting: True to resolve also those that otherwise wait for an answer.
        """
        rows = self._alert_rows().values()
        over = [row for row in rows if row["state"] != "resolved" and (lasting or row["rule"] not in _LASTING)]
        for row in over:
            if not row["count"]:
                self._link.tell(_DROP, {**self._place, "of": row["key"]})
        self._save_alerts([self._resolved(row, why) for row in over if row["count"]])

    def revive_alerts(self) -> None:
        """Let alerts fire again that were resolved because the run was deleted, without a message."""
        gone = [row for row in self._alert_rows().values() if row["resolution"] == RUN_DELETED]
        back = {"state": "firing", "resolution": None, "resolved_ms": None, "changed_ms": self.now_ms}
        self._save_alerts([{**row, **back} for row in gone])

    def change_alert(self, alert: str, change: Callable[[Mapping[str, object]], Mapping[str, object]]) -> bool:
        """Change columns of an alert, depending on their current values.

        Args:
            change: takes the current columns and returns those to change; none to leave the alert as it is.

        Returns:
            False if the run has no such alert.
        """
        row = self._alert_row(alert)
        if row is None:
            return False
        changed = change(row)
        if changed:
            self._save_alerts([{**row, **changed}])
        return True

    def resolve_alert(self, alert: str, why: str) -> bool:
        """Resolve one alert by its id, without a message. False if it is not firing."""
        row = self._alert_row(alert)
        if row is None or row["state"] != "firing":
            return False
        self._save_alerts([self._resolved(row, why)])
        return True

    def repeat_alert(self, alert: str, before_ms: int) -> bool:
        """Put an alert into the outbox again. False if it was answered, resolved or repeated in the meantime."""
        row = self._alert_row(alert)
        if row is None or row["state"] != "firing" or row["acked_ms"]:
            return False
        told_ms = int(str(row["told_ms"]))
        if told_ms > self.now_ms + DIFFER_MS:  # in the future: the clock was set back since
            self.rest_alert(alert)
        if told_ms >= before_ms:
            return False
        run = self.run
        count, fired = int(str(row["count"])), int(str(row["fired_ms"]))
        again = Alert.of(
            run,
            kind=str(row["rule"]),
            state="firing",
            severity=Severity(str(row["severity"])),
            title=f"Still: {row['title']}",
            body=f"{row['body']}\nIt has fired for {duration(self.now_ms - fired)}, and nobody has answered.",
            step=run.last_step,
            created_ms=self.now_ms,
            dedup_key=f"{run.id}:{row['key']}" if ":" in str(row["key"]) else f"{run.id}:{row['key']}:again",
        )
        self.add_alerts([again])
        self._save_alerts([{**row, "told_ms": self.now_ms, "count": count}])
        return True

    def rest_alert(self, alert: str) -> None:
        """Restart an alert's wait for its repetition, as if it had just been sent."""
        self.change_alert(alert, lambda _: {"told_ms": self.now_ms})

    def _alert_rows(self) -> dict[str, Row]:
        return {str(row["key"]): dict(row) for row in self._link.ask(_ROWS, self._place).all()}

    def _alert_row(self, alert: str) -> Row | None:
        return next((row for row in self._alert_rows().values() if row["alert_id"] == alert), None)

    def _save_alerts(self, changed: Sequence[Row]) -> None:
        if changed:
            self._link.tell(_SAVE, *changed)
            self.touch()  # wakes up those who wait for news of the run

    def _follow(self, alerts: Sequence[Alert]) -> None:
        rows, changed = self._alert_rows(), dict[str, Row]()
        for alert in alerts:
            key = alert.key[:250]
            row = changed.get(key) or rows.get(key)
            if alert.state == "resolved":
                changed[key] = self._resolved(row or self._fired(row, alert), None)
            else:
                changed[key] = self._fired(row, alert)
        self._save_alerts(list(changed.values()))

    def _fired(self, row: Row | None, alert: Alert) -> Row:
        begins = row is None or row["state"] != "firing"
        base = {**(row or self._blank(alert.key[:250])), "rule": alert.kind[:64]}
        if begins:
            base |= {"fired_ms": self.now_ms, "resolved_ms": None, "resolution": None, **_UNANSWERED}
        return {
            **base,
            "state": "firing",
            "severity": str(alert.severity),
            "count": int(str(base["count"])) + (begins or alert.kind == "alert"),
            "title": alert.title,
            "body": alert.body,
            "step": alert.step,
            "changed_ms": self.now_ms,
            "told_ms": self.now_ms,
        }

    def _blank(self, key: str) -> Row:
        own = {"run_id": self.run_id, "key": key, "alert_id": alert_id(self.run_id, key)}
        return {**_BLANK, **own, "count": 0, "created_ms": self.now_ms}

    def _resolved(self, row: Row, why: str | None) -> Row:
        at = {"changed_ms": self.now_ms, "resolved_ms": self.now_ms}
        return {**row, "state": "resolved", "resolution": why, **at}

    def _pending(self, row: Row | None, each: Pending) -> Row:
        run = self.run
        since = row["changed_ms"] if row is not None and row["state"] == "pending" else self.now_ms
        return {
            **(row or self._blank(each.rule)),
            **_UNANSWERED,
            "rule": each.rule[:64],
            "severity": str(each.severity),
            "state": "pending",
            "title": f"{run.name}: {each.rule.replace('_', ' ')} may come ({run.project})",
            "body": each.explanation,
            "step": each.since_step,
            "changed_ms": since,
        }
