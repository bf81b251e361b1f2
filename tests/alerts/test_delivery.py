"""Messages reach every channel, each at its own pace, and none more often than it must."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections.abc import Collection, Sequence

from hypothesis import given
from hypothesis import strategies as st

from monitor.alerts import AppriseChannel, Channel, Delivered, MemoryChannel, Message, alerts_for, deliver, key_of
from monitor.alerts.delivery import FAILURES, FIRST_RETRY_MS, GIVE_UP_MS, LAST_RETRY_MS, NEVER_MS, retry_ms
from monitor.domain import Alert, Delivery, Outgoing
from monitor.errors import DeliveryFailed

from .conftest import Webhook, a_finding, a_run


class ListOutbox:
    """An outbox that is a list, for channels that are all there from the beginning."""

    def __init__(self, *alerts: Alert) -> None:
        self.rows = [Delivery(id=i, alert=alert) for i, alert in enumerate(alerts)]
        self.taken: dict[tuple[str, int], int] = {}
        self.next_ms: dict[tuple[str, int], tuple[int, int]] = {}
        self.held: dict[str, str] = {}

    def hold_channel(self, channel: str, holder: str) -> bool:
        return self.held.setdefault(channel, holder) == holder

    def release_channel(self, channel: str, holder: str) -> None:
        self.held.pop(channel)

    def is_due(self, channel: str, now_ms: int) -> bool:
        return bool(self.due(channel, now_ms))

    def outgoing(self, channel: str, now_ms: int, since_ms: int) -> Outgoing:
        due = self.due(channel, now_ms)
        runs = {row.alert.run_id for row in due}
        taken = [(self.rows[i].alert, at) for (key, i), at in self.taken.items() if key == channel and at > since_ms]
        told = tuple((alert.dedup_key, at, alert.state) for alert, at in taken if alert.run_id in runs)
        return Outgoing(due=due, told=told)

    def due(self, channel: str, now_ms: int) -> tuple[Delivery, ...]:
        waiting = [r for r in self.rows if r.delivered_ms is None and (channel, r.id) not in self.taken]
        found = [(r, *self.next_ms.get((channel, r.id), (0, 0))) for r in waiting]
        return tuple(dataclasses.replace(r, attempts=n) for r, at, n in found if max(at, 0) <= now_ms)

    def skipped(self, channel: str, rows: Sequence[tuple[str, int]], note: str, now_ms: int) -> None:
        self.delivered(channel, rows, now_ms)

    def postponed(self, channel: str, rows: Sequence[tuple[str, int]], next_ms: int) -> None:
        for _, i in rows:
            self.next_ms[channel, i] = next_ms, self.next_ms.get((channel, i), (0, 0))[1]

    def delivered(self, channel: str, rows: Sequence[tuple[str, int]], now_ms: int) -> None:
        self.taken |= {(channel, i): now_ms for _, i in rows}

    def settle_deliveries(self, channels: Collection[str], now_ms: int) -> None:
        for i, row in enumerate(self.rows):
            if row.delivered_ms is None and all((key, row.id) in self.taken for key in channels):
                self.rows[i] = dataclasses.replace(row, delivered_ms=now_ms, error=None)

    def failed(self, channel: str, rows: Sequence[tuple[str, int]], next_ms: int, error: str) -> None:
        for _, i in rows:
            _, attempts = self.next_ms.get((channel, i), (0, 0))
            self.next_ms[channel, i] = next_ms, attempts + 1
            self.rows[i] = dataclasses.replace(self.rows[i], next_ms=next_ms, error=error)


def deliver_all(outbox: ListOutbox, channels: Sequence[Channel], now_ms: int) -> list[Delivered]:
    """One pass of each channel."""
    keys = [key_of(channel) for channel in channels]
    return [deliver(outbox, channel, lambda: now_ms, channels=keys) for channel in channels]


class Broken(MemoryChannel):
    """Refuses as often as it is told to, then takes what comes."""

    def __init__(self, times: int, name: str = "broken") -> None:
        super().__init__(name)
        self.times = times

    def send(self, alert: Alert) -> None:
        if self.times > 0:
            self.times -= 1
            raise DeliveryFailed(self.name, "is down")
        super().send(alert)


def an_alert(number: int = 1, **changed: object) -> Alert:
    """An alert about a run of its own."""
    run = a_run(id=f"{number:032x}", name=f"run-{number}")
    (alert,) = alerts_for(run, [a_finding(**changed)], now_ms=1_000)
    return alert


def test_an_alert_leaves_the_outbox_once_a_real_webhook_took_it(webhook: Webhook) -> None:
    outbox, channel = ListOutbox(an_alert()), AppriseChannel(webhook.url)
    webhook.statuses = [503]

    first, again, later = (
        deliver(outbox, channel, lambda at=at: at)
        for at in (2_000, 2_000, 2_000 + FIRST_RETRY_MS)  # type: ignore[misc]  # bound now
    )

    assert (first, again, later) == (Delivered(failed=1), Delivered(), Delivered(sent=1))
    assert [body["title"] for body in webhook.bodies] == [an_alert().title]
    assert outbox.rows[0].delivered_ms == 2_000 + FIRST_RETRY_MS


def test_what_the_channel_said_is_kept_with_the_row() -> None:
    outbox = ListOutbox(an_alert())

    deliver_all(outbox, [Broken(1)], 2_000)

    assert outbox.rows[0].error == "broken: is down"


def test_a_channel_that_took_it_is_not_told_again_because_another_is_down() -> None:
    outbox, healthy, broken = ListOutbox(an_alert()), MemoryChannel(), Broken(3)
    now = 2_000

    while outbox.rows[0].delivered_ms is None:
        deliver_all(outbox, [healthy, broken], now)
        now = max(now, outbox.rows[0].next_ms)

    assert len(healthy.sent) == len(broken.sent) == 1
    assert outbox.next_ms["broken", 0][1] == 3


def test_a_channel_with_a_bug_does_not_keep_the_others_from_hearing() -> None:
    class Buggy(MemoryChannel):
        def send(self, alert: Alert) -> None:
            raise KeyError("oops")

    outbox, healthy = ListOutbox(an_alert()), MemoryChannel()

    assert deliver_all(outbox, [Buggy("buggy"), healthy], 2_000) == [Delivered(failed=1), Delivered(sent=1)]
    assert len(healthy.sent) == 1


def test_an_alert_that_a_channel_never_takes_does_not_keep_it_from_the_others() -> None:
    class Picky(MemoryChannel):
        def send(self, alert: Alert) -> None:
            if "run-1:" in alert.title:
                raise DeliveryFailed(self.name, "too long")
            super().send(alert)

    outbox, picky = ListOutbox(*(an_alert(n) for n in (1, 2, 3))), Picky()
    for now in itertools.accumulate([2_000] * 5):
        deliver_all(outbox, [picky], now)

    assert sorted(alert.run_name for alert in picky.sent) == ["run-2", "run-3"]


def test_a_channel_that_is_down_is_not_tried_with_every_alert_there_is() -> None:
    outbox, broken = ListOutbox(*(an_alert(n, rule=f"rule{n}") for n in range(20))), Broken(10**6)

    assert deliver_all(outbox, [broken], 2_000) == [Delivered(failed=FAILURES)]


def test_a_channel_that_takes_a_message_now_and_then_is_not_taken_for_down() -> None:
    class Fickle(MemoryChannel):
        def __init__(self) -> None:
            super().__init__("fickle")
            self.answers = itertools.cycle([False] * (FAILURES - 1) + [True])

        def send(self, alert: Alert) -> None:
            if not next(self.answers):
                raise DeliveryFailed(self.name, "is busy")
            super().send(alert)

    outbox = ListOutbox(*(an_alert(n, rule=f"rule{n}") for n in range(3 * FAILURES)))
    assert deliver_all(outbox, [Fickle()], 2_000) == [Delivered(sent=3, failed=3 * (FAILURES - 1))]


def test_a_resolution_is_sent_for_a_firing_that_was_sent_weeks_ago() -> None:
    fired, channel = an_alert(), MemoryChannel()
    (over,) = alerts_for(a_run(id=fired.run_id), [a_finding(state="resolved", resolved_step=1300.0)], now_ms=1_000)
    for days, states in ((29, ["firing", "resolved"]), (31, ["firing"])):
        channel.sent.clear()
        outbox, later = ListOutbox(fired), 2_000 + days * 86_400_000
        deliver_all(outbox, [channel], 2_000)
        outbox.rows.append(Delivery(id=1, alert=dataclasses.replace(over, created_ms=later)))
        deliver_all(outbox, [channel], later)
        assert [message.state for message in channel.sent] == states


def test_where_another_worker_sends_to_the_channel_this_one_does_not() -> None:
    outbox, channel = ListOutbox(an_alert()), MemoryChannel()
    outbox.hold_channel("memory", "another")

    assert deliver(outbox, channel, lambda: 2_000, holder="me") == Delivered()
    outbox.release_channel("memory", "another")
    assert deliver(outbox, channel, lambda: 2_000, holder="me") == Delivered(sent=1)
    assert outbox.held == {}


def test_a_day_old_alert_is_given_up_and_its_row_says_so() -> None:
    outbox, channel = ListOutbox(an_alert()), MemoryChannel()

    assert deliver_all(outbox, [channel], 1_001 + GIVE_UP_MS) == [Delivered(given_up=1)]
    assert channel.sent == []
    assert outbox.rows[0].next_ms == NEVER_MS
    assert outbox.rows[0].error == "not sent within 24 h: no server was there to send it"


@given(failures=st.lists(st.integers(0, 6), min_size=1, max_size=4))
def test_every_alert_reaches_every_channel_exactly_once_whatever_fails(failures: list[int]) -> None:
    outbox = ListOutbox(an_alert(1), an_alert(2))
    channels = [Broken(times, f"broken {i}") for i, times in enumerate(failures)]
    now = 2_000

    while any(row.delivered_ms is None for row in outbox.rows):
        deliver_all(outbox, channels, now)
        now += FIRST_RETRY_MS

    keys = sorted({an_alert(1).dedup_key, an_alert(2).dedup_key})
    assert all(sorted(a.dedup_key for a in c.sent) == keys for c in channels)


@given(attempts=st.integers(0, 10_000))
def test_the_wait_grows_and_stays_bounded(attempts: int) -> None:
    assert FIRST_RETRY_MS <= retry_ms(attempts) <= retry_ms(attempts + 1) <= LAST_RETRY_MS


def test_messages_are_prepared_ahead_and_sent_in_their_order() -> None:
    alerts = [alerts_for(a_run(id=f"{n:032x}", project=f"p{n}"), [a_finding()], now_ms=1_000 + n)[0] for n in range(7)]
    outbox, channel = ListOutbox(*alerts), MemoryChannel()
    together = threading.Barrier(2, timeout=60)

    def describe(message: Message) -> Message:
        if message.project in ("p0", "p1"):
            together.wait()
        if message.project == "p2":
            raise RuntimeError("what helps to act is not worth a message")
        return dataclasses.replace(message, link="described")

    assert deliver(outbox, channel, lambda: 2_000, describe=describe).sent == 7
    assert [alert.project for alert in channel.sent] == [f"p{n}" for n in range(7)]
    described = [alert.link for alert in channel.sent if isinstance(alert, Message)]
    assert described == ["described", "described", None, *["described"] * 4]
