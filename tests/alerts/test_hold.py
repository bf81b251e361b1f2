"""A channel is held for as long as its receiver takes, and nothing is sent once the hold may be another's."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

from monitor.alerts import Delivered, MemoryChannel, deliver, hold
from monitor.domain import Alert
from monitor.errors import StoreError

from .test_delivery import ListOutbox, an_alert


class Slow(MemoryChannel):
    """Takes a message when it is told to."""

    def __init__(self) -> None:
        super().__init__("slow")
        self.came, self.answers = threading.Event(), threading.Event()

    def send(self, alert: Alert) -> None:
        self.came.set()
        assert self.answers.wait(60)
        super().send(alert)


class Counting(ListOutbox):
    """Counts how often a channel is held; after `fails`, the store does not answer."""

    fails = 10**6

    def __init__(self, *alerts: Alert) -> None:
        super().__init__(*alerts)
        self.beats = threading.Semaphore(0)
        self.times = 0

    def hold_channel(self, channel: str, holder: str) -> bool:
        self.beats.release()
        self.times += 1
        if self.times > self.fails:
            raise StoreError("gone")
        return super().hold_channel(channel, holder)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold, "BEAT_S", 0.01)


def test_a_hold_is_extended_while_a_receiver_takes_its_time_and_released_after(monkeypatch: pytest.MonkeyPatch) -> None:
    outbox, channel = Counting(an_alert()), Slow()
    with InBackground(outbox, channel) as found:
        for _ in range(5):
            assert outbox.beats.acquire(timeout=60)
        channel.answers.set()
    assert found == [Delivered(sent=1)]
    assert outbox.held == {}
    times = outbox.times
    time.sleep(0.05)  # five beats, of which none comes
    assert outbox.times == times


def test_nothing_more_is_sent_once_another_holds_the_channel() -> None:
    outbox, channel = Counting(*(an_alert(n, rule=f"rule{n}") for n in (1, 2, 3))), Slow()
    with InBackground(outbox, channel) as found:
        assert channel.came.wait(60)
        outbox.held["slow"] = "another"
        (beats,) = (thread for thread in threading.enumerate() if thread.name == "hold")
        beats.join(60)  # at the first beat that fails
        channel.answers.set()
    assert found == [Delivered(sent=1)]


def test_nothing_more_is_sent_once_the_lease_is_over_though_nobody_could_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(hold, "time", SimpleNamespace(monotonic=lambda: now[0]))
    outbox, channel = Counting(*(an_alert(n, rule=f"rule{n}") for n in (1, 2, 3))), Slow()
    outbox.fails = 1
    with InBackground(outbox, channel) as found:
        assert channel.came.wait(60)
        now[0] += hold.LEASE_MS / 1000  # as where this process was halted
        channel.answers.set()
    assert found == [Delivered(sent=1)]


class InBackground:
    """One pass over the outbox on a thread; its result, once the block is left."""

    def __init__(self, outbox: ListOutbox, channel: MemoryChannel) -> None:
        self.found: list[Delivered] = []
        self.thread = threading.Thread(target=lambda: self.found.append(deliver(outbox, channel, lambda: 2_000)))

    def __enter__(self) -> list[Delivered]:
        self.thread.start()
        return self.found

    def __exit__(self, *_: object) -> None:
        self.thread.join(60)
