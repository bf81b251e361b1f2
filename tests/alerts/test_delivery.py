from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from monitor.alerts import AppriseChannel, Delivered, MemoryChannel, alerts_for, deliver
from monitor.alerts.delivery import FIRST_RETRY_MS, GIVE_UP_MS, LAST_RETRY_MS, NEVER_MS, retry_ms
from monitor.domain import Alert, Delivery
from monitor.errors import DeliveryFailed

from .conftest import Webhook, a_finding, a_run


class ListOutbox:
    """An outbox that is a list; `next_ms` does the leasing, as in the store."""

    def __init__(self, *alerts: Alert) -> None:
        self.rows = [Delivery(id=i, alert=alert) for i, alert in enumerate(alerts)]

    def due_deliveries(self, now_ms: int, limit: int = 50) -> tuple[Delivery, ...]:
        return tuple(r for r in self.rows if r.delivered_ms is None and r.next_ms <= now_ms)[:limit]

    def delivered(self, run_id: str, id: int, now_ms: int) -> None:
        self.rows[id] = dataclasses.replace(self.rows[id], delivered_ms=now_ms, error=None)

    def failed(self, run_id: str, id: int, next_ms: int, error: str) -> None:
        row = self.rows[id]
        self.rows[id] = dataclasses.replace(row, attempts=row.attempts + 1, next_ms=next_ms, error=error)


class Broken(MemoryChannel):
    """Refuses as often as it is told to, then takes what comes."""

    def __init__(self, times: int) -> None:
        super().__init__("broken")
        self.times = times

    def send(self, alert: Alert) -> None:
        if self.times > 0:
            self.times -= 1
            raise DeliveryFailed(self.name, "is down")
        super().send(alert)


def an_alert(number: int = 1) -> Alert:
    (alert,) = alerts_for(a_run(), [a_finding(number=number)], now_ms=1_000)
    return alert


def test_an_alert_leaves_the_outbox_once_a_real_webhook_took_it(webhook: Webhook) -> None:
    outbox, channel = ListOutbox(an_alert()), AppriseChannel(webhook.url)
    webhook.statuses = [503]

    first = deliver(outbox, [channel], 2_000)
    again = deliver(outbox, [channel], 2_000)
    later = deliver(outbox, [channel], 2_000 + FIRST_RETRY_MS)

    assert (first, again, later) == (Delivered(failed=1), Delivered(), Delivered(sent=1))
    assert [body["title"] for body in webhook.bodies] == [an_alert().title]
    assert outbox.rows[0].delivered_ms == 2_000 + FIRST_RETRY_MS


def test_what_the_channel_said_is_kept_with_the_row() -> None:
    outbox = ListOutbox(an_alert())

    deliver(outbox, [Broken(1)], 2_000)

    assert outbox.rows[0].error == "broken: is down"


def test_a_channel_that_took_it_is_not_told_again_because_another_is_down() -> None:
    outbox, healthy, broken = ListOutbox(an_alert()), MemoryChannel(), Broken(3)
    taken: dict[tuple[str, int], set[int]] = {}
    now = 2_000

    while outbox.rows[0].delivered_ms is None:
        deliver(outbox, [healthy, broken], now, taken=taken)
        now = max(now, outbox.rows[0].next_ms)

    assert len(healthy.sent) == len(broken.sent) == 1
    assert outbox.rows[0].attempts == 3
    assert not taken


def test_a_channel_with_a_bug_does_not_keep_the_others_from_hearing() -> None:
    class Buggy(MemoryChannel):
        def send(self, alert: Alert) -> None:
            raise KeyError("oops")

    outbox, healthy = ListOutbox(an_alert()), MemoryChannel()

    assert deliver(outbox, [Buggy("buggy"), healthy], 2_000) == Delivered(failed=1)
    assert len(healthy.sent) == 1


def test_without_channels_the_outbox_is_left_alone() -> None:
    outbox = ListOutbox(an_alert())

    assert deliver(outbox, [], 2_000) == Delivered()
    assert outbox.rows[0].attempts == 0


def test_a_day_old_alert_is_given_up_and_its_row_says_so() -> None:
    outbox, channel = ListOutbox(an_alert()), MemoryChannel()

    assert deliver(outbox, [channel], 1_001 + GIVE_UP_MS) == Delivered(given_up=1)
    assert channel.sent == []
    assert outbox.rows[0].next_ms == NEVER_MS
    assert outbox.rows[0].error == "not sent within 24 h: there was no channel"


@given(failures=st.lists(st.integers(0, 6), min_size=1, max_size=4))
def test_every_alert_reaches_every_channel_exactly_once_whatever_fails(failures: list[int]) -> None:
    outbox = ListOutbox(an_alert(1), an_alert(2))
    channels = [Broken(times) for times in failures]
    taken: dict[tuple[str, int], set[int]] = {}
    now = 2_000

    while any(row.delivered_ms is None for row in outbox.rows):
        deliver(outbox, channels, now, taken=taken)
        now = max([now, *(row.next_ms for row in outbox.rows if row.delivered_ms is None)])

    assert all(
        sorted(a.dedup_key for a in c.sent) == sorted({an_alert(1).dedup_key, an_alert(2).dedup_key}) for c in channels
    )


@given(attempts=st.integers(0, 10_000))
def test_the_wait_grows_and_stays_bounded(attempts: int) -> None:
    assert FIRST_RETRY_MS <= retry_ms(attempts) <= retry_ms(attempts + 1) <= LAST_RETRY_MS
