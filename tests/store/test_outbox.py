"""What each channel is due, who sends to it, and when an alert is done with."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import delete

from monitor.alerts.delivery import LAST_RETRY_MS
from monitor.store import Store, outbox
from monitor.store.outbox import NEVER_MS
from monitor.store.sql.schema import CHANNELS
from tests.conftest import NOW_MS, Feed


def alerts(feed: Feed, *titles: str) -> list[tuple[str, int]]:
    """Have the loop raise alerts; the rows of all that the run has raised, the oldest first."""
    for title in titles:
        feed.event("alert", title=title)
    return sorted((d.alert.run_id, d.id) for d in feed.store.alerts(feed.run_id))


def titles(store: Store, channel: str, now_ms: int = NOW_MS) -> list[str]:
    return [d.alert.title for d in store.outgoing(channel, now_ms, 0).due]


def test_each_channel_is_due_what_it_has_not_taken(feed: Feed) -> None:
    store = feed.store
    store.register_channels(["a", "b"], NOW_MS)
    one, two = alerts(feed, "one", "two")
    store.delivered("a", [one], NOW_MS + 5)
    store.settle_deliveries(["a", "b"], NOW_MS + 5)
    assert (titles(store, "a"), titles(store, "b")) == (["two"], ["one", "two"])
    assert all(d.delivered_ms is None for d in store.alerts())
    store.delivered("b", [one, two], NOW_MS + 6)
    store.settle_deliveries(["a", "b"], NOW_MS + 6)
    done = {d.alert.title: d.delivered_ms for d in store.alerts()}
    assert done == {"one": NOW_MS + 6, "two": None}
    assert (titles(store, "a"), titles(store, "b")) == (["two"], [])


def test_what_a_channel_refused_is_due_again_when_it_says(feed: Feed) -> None:
    store = feed.store
    store.register_channels(["a", "b"], NOW_MS)
    (row,) = alerts(feed, "one")
    store.failed("a", [row], NOW_MS + 7, "no route")
    assert (titles(store, "a", NOW_MS + 6), titles(store, "b")) == ([], ["one"])
    (again,) = store.outgoing("a", NOW_MS + 7, 0).due
    assert (again.attempts, again.error) == (1, "no route")
    store.failed("a", [row], NEVER_MS, "too old")
    assert (titles(store, "a", NOW_MS + 10**9), titles(store, "b", NOW_MS + 10**9)) == ([], ["one"])
    store.settle_deliveries(["a", "b"], NOW_MS + 8)
    assert titles(store, "b", NOW_MS + 10**9) == ["one"]  # the channels are independent
    store.failed("b", [row], NEVER_MS, "too old as well")
    store.settle_deliveries(["a", "b"], NOW_MS + 9)
    (done,) = store.alerts()
    assert (done.delivered_ms, done.next_ms, done.error) == (None, NEVER_MS, "too old as well")


def test_every_refusal_counts_and_a_wait_does_not(feed: Feed) -> None:
    store, now = feed.store, NOW_MS
    store.register_channels(["a"], NOW_MS)
    (row,) = alerts(feed, "one")
    tries = []
    for refused in (True, True, False, True):
        now += 1
        if refused:
            store.failed("a", [row], now, "no route")
        else:
            store.postponed("a", [row], now)
        tries += [each.attempts for each in store.outgoing("a", now, 0).due]
    assert tries == [1, 2, 2, 3]


def test_a_new_channel_gets_what_happens_from_then_on(feed: Feed) -> None:
    store = feed.store
    alerts(feed, "before any channel")
    store.register_channels(["a"], NOW_MS + 1)
    feed.now_ms += 2
    alerts(feed, "before the second")
    store.register_channels(["a", "b"], NOW_MS + 3)
    feed.now_ms += 2
    rows = alerts(feed, "after both")
    assert titles(store, "a", NOW_MS + 9) == ["before the second", "after both"]
    assert titles(store, "b", NOW_MS + 9) == ["after both"]
    store.delivered("a", rows[1:], NOW_MS + 9)
    store.settle_deliveries(["a", "b"], NOW_MS + 9)
    told = {d.alert.title: (d.delivered_ms, d.error) for d in store.alerts()}
    assert told == {
        "before any channel": (None, "not sent: there was no channel then"),
        "before the second": (NOW_MS + 9, None),  # the only channel of its time took it
        "after both": (None, None),
    }
    store.register_channels(["a"], NOW_MS + 10)  # the second is no longer configured
    assert {d.delivered_ms for d in store.alerts()} == {None, NOW_MS + 9, NOW_MS + 10}


def test_a_database_that_has_delivered_before_it_knew_channels_goes_on(feed: Feed) -> None:
    store = feed.store
    store.register_channels(["a"], NOW_MS)
    (row,) = alerts(feed, "delivered")
    store.delivered("a", [row], NOW_MS + 1)
    store.settle_deliveries(["a"], NOW_MS + 1)
    with store._change() as connection:
        connection.execute(delete(CHANNELS))
    feed.now_ms += 2
    alerts(feed, "while the server was upgraded")
    store.register_channels(["a"], NOW_MS + 100)
    assert titles(store, "a", NOW_MS + 100) == ["while the server was upgraded"]


def test_one_worker_at_a_time_sends_to_a_channel(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    lease_ms = 3_600_000  # of which none passes while the test runs
    monkeypatch.setattr(outbox, "LEASE_MS", lease_ms)
    store.register_channels(["a", "b"], NOW_MS)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: store.hold_channel("a", f"worker {n}"), range(4)))
    assert sorted(found) == [False, False, False, True]
    holder = f"worker {found.index(True)}"
    assert store.hold_channel("b", "another")
    lease_passes(store, lease_ms // 2)
    assert not store.hold_channel("a", "another")
    assert store.hold_channel("a", holder)
    lease_passes(store, lease_ms // 2)
    assert not store.hold_channel("a", "another")
    lease_passes(store, lease_ms // 2)
    assert store.hold_channel("a", "another")
    store.release_channel("a", holder)  # which is no longer the one
    assert not store.hold_channel("a", holder)
    store.release_channel("a", "another")
    assert store.hold_channel("a", holder)


def test_a_hold_from_a_clock_that_was_ahead_is_over(store: Store) -> None:
    store.register_channels(["a"], NOW_MS)
    assert store.hold_channel("a", "one that dies")
    lease_passes(store, -86_400_000)
    assert store.hold_channel("a", "another")


def lease_passes(store: Store, ms: int) -> None:
    """Have the holds be as if this time had passed."""
    with store._change() as connection:
        connection.execute(CHANNELS.update().values(held_ms=CHANNELS.c.held_ms - ms))


def test_a_wait_from_a_clock_that_was_ahead_is_over(feed: Feed) -> None:
    store = feed.store
    store.register_channels(["a"], NOW_MS)
    rows = alerts(feed, "one")
    store.failed("a", rows, NOW_MS + LAST_RETRY_MS, "down")
    assert titles(store, "a") == []
    store.failed("a", rows, NOW_MS + 3_600_000, "down")
    assert titles(store, "a") == ["one"]
    store.failed("a", rows, NEVER_MS, "too old")
    assert titles(store, "a") == []


def test_a_channel_that_was_taken_up_by_a_clock_that_was_ahead_gets_what_happens_now(feed: Feed) -> None:
    feed.store.register_channels(["a"], NOW_MS + 86_400_000)
    alerts(feed, "before anybody noticed")
    feed.store.register_channels(["a"], NOW_MS + 5_000)
    alerts(feed, "one")
    assert titles(feed.store, "a") == ["before anybody noticed", "one"]


def test_a_digest_that_was_sent_by_a_clock_that_was_ahead_does_not_put_off_the_next(feed: Feed) -> None:
    feed.store.register_channels(["a", "b"], NOW_MS - 5_000)
    feed.store.note_digest("a", NOW_MS + 86_400_000)
    feed.store.note_digest("b", NOW_MS - 1_000)
    feed.store.register_channels(["a", "b"], NOW_MS)
    assert [feed.store.digest_sent(channel) for channel in "ab"] == [NOW_MS, NOW_MS - 1_000]


def test_many_alerts_are_taken_at_once(store: Store) -> None:
    feeds = [Feed(store) for _ in range(20)]
    store.register_channels(["a"], NOW_MS)
    rows = []
    for feed in feeds:
        feed.start()
        rows += alerts(feed, *(str(i) for i in range(20)))
    store.delivered("a", rows, NOW_MS + 1)
    store.settle_deliveries(["a"], NOW_MS + 1)
    assert titles(store, "a") == []
    for feed in feeds:
        alerts(feed, "another")
    assert len(store.outgoing("a", NOW_MS + 2, NOW_MS).told) == 400
    assert store.outgoing("a", NOW_MS + 2, NOW_MS + 1).told == ()
