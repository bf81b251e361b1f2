"""Alerts of a server, over its public API."""

# ruff: noqa: D102  # the methods are documented once, in `Api`

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from monitor.domain import Alert, AlertInfo, AlertPage, AlertQuery, DeadLetter, Delivery, Mark, Silence
from monitor.reader.alerting import MAX_FOR_S
from monitor.reader.answers import Asking


class RemoteAlerts(Asking):
    """The alerts of a server."""

    def alert_page(self, wanted: AlertQuery) -> AlertPage:
        data = self._object("/alerts", asdict(wanted))
        items = tuple(AlertInfo.from_dict(row) for row in data["alerts"])
        return AlertPage(items=items, cursor=data["cursor"], counts=dict(data["counts"]))

    def alert(self, alert_id: str) -> AlertInfo:
        return AlertInfo.from_dict(self._object(f"/alerts/{segment(alert_id)}"))

    def acknowledge(self, alert_id: str, by: str, note: str) -> AlertInfo:
        return self._answered(f"/alerts/{segment(alert_id)}/acknowledge", {"by": by, "note": note})

    def mark_alert(self, alert_id: str, mark: Mark | None, by: str) -> AlertInfo:
        return self._answered(f"/alerts/{segment(alert_id)}/mark", {"mark": mark, "by": by})

    def alert_marks(self, project: str | None) -> Mapping[str, Mapping[str, int]]:
        found: Mapping[str, Mapping[str, int]] = self._object("/alerts/marks", {"project": project})["marks"]
        return found

    def silence(self, silence: Silence, for_s: float | None) -> Silence:
        end = {"until_ms": silence.until_ms} if for_s is None or not 0 < for_s <= MAX_FOR_S else {"for_s": for_s}
        body = {**silence.matcher, "reason": silence.reason, "by": silence.by, **end}
        return Silence(**self._send("POST", "/silences", body))

    def silences(self, over: bool) -> tuple[Silence, ...]:
        rows = self._object("/silences", {"over": str(over).lower()})["silences"]
        return tuple(Silence(**row) for row in rows)

    def unsilence(self, silence_id: str) -> Silence:
        return Silence(**self._send("DELETE", f"/silences/{segment(silence_id)}"))

    def deliveries(self, run: str | None, limit: int) -> tuple[Delivery, ...]:
        rows = self._object("/deliveries", {"run": run, "limit": limit})["deliveries"]
        return tuple(Delivery(**{**row, "alert": Alert.from_dict(row["alert"])}) for row in rows)

    def dead_letters(self, limit: int) -> tuple[DeadLetter, ...]:
        rows: Any = self._get("/deliveries/dead", {"limit": limit})
        return tuple(DeadLetter(**row) for row in rows)

    def retry(self, message: str | None, channel: str | None) -> int:
        return int(self._send("POST", "/deliveries/retry", {"message": message, "channel": channel})["retried"])

    def channels(self) -> tuple[Mapping[str, object], ...]:
        return tuple(dict(row) for row in self._object("/channels")["channels"])

    def add_channel(self, name: str, table: Mapping[str, object]) -> Mapping[str, object]:
        return self._send("PUT", f"/channels/{segment(name)}", dict(table))

    def remove_channel(self, name: str) -> None:
        self._send("DELETE", f"/channels/{segment(name)}")

    def test_channel(self, name: str) -> None:
        self._send("POST", f"/channels/{segment(name)}/test")

    def _answered(self, path: str, body: Mapping[str, object]) -> AlertInfo:
        return AlertInfo.from_dict(self._send("POST", path, body))

    def _send(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        found = self._change(method, path, body)
        if not isinstance(found, dict):
            raise TypeError(type(found).__name__)
        return found


def segment(ref: str) -> str:
    """A reference as one segment of a URL path. Dots are escaped too, because `..` would mean the parent folder."""
    return quote(ref, safe="").replace(".", "%2E")
