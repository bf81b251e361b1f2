"""One trouble is one message, also where a stop is advised that the loop is not told of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from monitor.alerts import MemoryChannel
from monitor.alerts.content import as_text
from monitor.domain import AlertQuery
from monitor.jobs import Jobs
from monitor.settings import load
from monitor.store import Store
from tests.conftest import NOW_MS, Feed

MINUTE = 60_000


def messages(store: Store, folder: Path, feed: Feed, batches: Sequence[Callable[[], object]]) -> list[str]:
    """What a channel gets of a run, a minute after each of its batches: the state and the text."""
    channel, now = MemoryChannel(), [NOW_MS]
    jobs = Jobs(store, load(dir=str(folder)), channels=[channel], clock=lambda: now[0])
    jobs.run("delivery")
    for batch in batches:
        feed.now_ms = now[0]
        batch()
        for _ in range(3):
            jobs.run("alerts")
            jobs.run("delivery")
            now[0] += MINUTE
    return [f"{alert.state}: {alert.title}\n{as_text(alert)}" for alert in channel.sent]


def overfits(feed: Feed, *, portion: int, until: int = 1500, turn: int = 10**9) -> list[Callable[[], object]]:
    """The batches of a run that overfits after step 500, of so many steps each; from `turn` on it falls again."""

    def val(step: int) -> float:
        risen = 2.0 - step / 1000 if step <= 500 else 1.5 + (min(step, turn) - 500) / 400
        return risen if step <= turn else max(0.2, risen - (step - turn) / 40)

    def batch(first: int) -> None:
        steps = range(first, min(first + portion, until), 20)
        feed.log("train/loss", steps, [2.0 / (1 + step / 100) for step in steps])
        feed.log("val/loss", steps, [val(step) for step in steps])

    return [lambda first=first: batch(first) for first in range(0, until, portion)]  # type: ignore[misc]  # bound here


@pytest.mark.parametrize("portion", [20, 100, 1500])
@pytest.mark.parametrize("mode", ["alert", "stop"])
def test_a_run_that_is_advised_to_stop_sends_one_message(
    sqlite_url: str, tmp_path: Path, mode: str, portion: int
) -> None:
    with Store.open(sqlite_url) as store:
        feed = Feed(store)
        feed.start(name="ill", stop=mode)
        (sent,) = messages(store, tmp_path, feed, overfits(feed, portion=portion))
        (alert,) = store.alert_page(AlertQuery(), NOW_MS).items
    assert sent.startswith("firing: ill: overfitting") and "Recommendation: stop." in sent
    then = f"monitor runs stop {feed.run_id[:8]}" if mode == "alert" else "The loop will be asked to stop if"
    assert sent.count(then) == 1
    assert (alert.rule, alert.count, str(alert.state)) == ("overfitting", 1, "firing")


def test_a_stop_that_is_no_longer_advised_is_taken_back_in_one_message(sqlite_url: str, tmp_path: Path) -> None:
    with Store.open(sqlite_url) as store:
        feed = Feed(store)
        feed.start(name="ill", stop="alert")
        sent = messages(store, tmp_path, feed, overfits(feed, portion=20, until=2000, turn=640))
        print(*sent, sep="\n\n")
        (alert,) = store.alert_page(AlertQuery(), NOW_MS).items
    assert str(alert.state) == "resolved" and len(sent) == 2
