"""Alerts in the embedded store, in this process."""

# ruff: noqa: D102  # the methods are documented once, in `Api`

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from time import time_ns
from typing import TYPE_CHECKING

from monitor.domain import AlertInfo, AlertPage, AlertQuery, DeadLetter, Delivery, Mark, Silence
from monitor.reader.embedded_access import OverStore

if TYPE_CHECKING:
    from monitor.alerts import Book


class EmbeddedAlerts(OverStore):
    """The alerts of an embedded store."""

    def alert_page(self, wanted: AlertQuery) -> AlertPage:
        return self._store.alert_page(wanted, _now_ms())

    def alert(self, alert_id: str) -> AlertInfo:
        return self._store.alert(alert_id, _now_ms())

    def acknowledge(self, alert_id: str, by: str, note: str) -> AlertInfo:
        return self._store.acknowledge(alert_id, by, note, now_ms=_now_ms(), by=self.me())

    def mark_alert(self, alert_id: str, mark: Mark | None, by: str) -> AlertInfo:
        return self._store.mark_alert(alert_id, mark, by, now_ms=_now_ms(), by=self.me())

    def alert_marks(self, project: str | None) -> Mapping[str, Mapping[str, int]]:
        return self._store.alert_marks(project)

    def silence(self, silence: Silence, for_s: float | None) -> Silence:  # noqa: ARG002  # the clock is the same
        return self._made.silence(silence, by=self.me())

    def silences(self, over: bool) -> tuple[Silence, ...]:
        return self._store.silences(None if over else _now_ms())

    def unsilence(self, silence_id: str) -> Silence:
        return self._store.unsilence(silence_id, now_ms=_now_ms(), by=self.me())

    def deliveries(self, run: str | None, limit: int) -> tuple[Delivery, ...]:
        return self._store.alerts(None if run is None else self._store.run(run).id, limit)

    def dead_letters(self, limit: int) -> tuple[DeadLetter, ...]:
        names = {str(channel["key"]): str(channel["name"]) for channel in self.channels()}
        return tuple(replace(row, name=names.get(row.channel, "")) for row in self._store.dead_letters(limit))

    def retry(self, message: str | None, channel: str | None) -> int:
        key = None if channel is None else self._book().key_of(channel)
        return self._store.retry_deliveries(message, key, now_ms=_now_ms(), by=self.me())

    def channels(self) -> tuple[Mapping[str, object], ...]:
        return tuple(entry.to_dict() for entry in self._book().all())

    def add_channel(self, name: str, table: Mapping[str, object]) -> Mapping[str, object]:
        return self._made_book().add(name, table, now_ms=_now_ms(), by=self.me()).to_dict()

    def remove_channel(self, name: str) -> None:
        self._book().remove(name, now_ms=_now_ms(), by=self.me())

    def test_channel(self, name: str) -> None:
        known = any(entry.name == name for entry in self._book().all())
        book = self._made_book() if known else self._book()  # an unknown name must not create a store
        book.test(name, now_ms=_now_ms(), by=self.me())

    def _book(self) -> Book:
        from monitor.alerts import Book

        return Book(self._store, self._settings)

    def _made_book(self) -> Book:
        from monitor.alerts import Book

        return Book(self._made, self._settings)


def _now_ms() -> int:
    return time_ns() // 1_000_000
