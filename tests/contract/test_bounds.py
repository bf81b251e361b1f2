"""What one batch may cost, and what a run may hold: beyond it things are counted and shown, and the rest goes on."""

from __future__ import annotations

import numpy as np
import pytest

from monitor import limits
from monitor.errors import WireError
from monitor.ingest import effects, ingest
from monitor.store import Store
from monitor.wire import Batch, Columns, Event, decode_batch, encode_batch
from tests.conftest import NOW_MS, Feed


def row(feed: Feed, keys: tuple[str, ...], step: int) -> Batch:
    """One record with a point of each key."""
    n = len(keys)
    points = Columns(np.arange(n, dtype="u2"), np.full(n, step), np.ones(n), np.full(n, NOW_MS))
    return Batch(run_id=feed.run_id, writer="w", first=feed.acked, count=1, keys=keys, points=points)


def events(feed: Feed, *rows: tuple[str, dict[str, object]]) -> Batch:
    """A record an event."""
    found = [Event(kind=k, record=feed.acked + i, time_ms=NOW_MS, data=data) for i, (k, data) in enumerate(rows)]
    return Batch(run_id=feed.run_id, writer="w", first=feed.acked, count=len(rows), events=tuple(found))


def test_series_beyond_the_bound_are_left_out_and_those_that_are_there_go_on(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ingest.__globals__, "MAX_SERIES", 6)
    feed.send(row(feed, ("a", "b", "c", "d"), 0))
    reply = feed.send(row(feed, ("e", "a", "f", "g", "h"), 1))
    assert "'g' is one more" in reply.set_aside[0]
    feed.send(row(feed, ("i", "a"), 2))
    assert [(s.key, s.count) for s in feed.store.series(feed.run_id)] == [
        ("a", 3), ("b", 1), ("c", 1), ("d", 1), ("e", 1), ("f", 1)
    ]  # fmt: skip
    assert feed.store.run(feed.run_id).warnings == {"dropped": 3}
    feed.send(row(feed, ("only", "new"), 3))
    assert feed.store.run(feed.run_id).warnings == {"dropped": 5}


def test_ten_thousand_series_fit_and_no_more(sqlite_url: str) -> None:
    with Store.open(sqlite_url) as store:
        feed = Feed(store)
        feed.start()
        ten_thousand(feed)


def ten_thousand(feed: Feed) -> None:
    keys = tuple(f"layer{i}/grad" for i in range(limits.MAX_SERIES + 50))
    feed.send(row(feed, keys, 0))
    assert len(feed.store.series(feed.run_id)) == limits.MAX_SERIES
    assert feed.store.run(feed.run_id).warnings == {"dropped": 50}


def test_events_beyond_the_bound_take_effect_and_are_not_kept(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effects, "MAX_EVENTS", 5)
    reply = feed.send(events(feed, *[("config", {"config": {f"k{i}": i}}) for i in range(10)]))
    feed.event("finish", status="failed", error="late")
    run = feed.store.run(feed.run_id)
    assert (reply.acked, str(run.status), run.error, len(run.config)) == (11, "failed", "late", 10)
    assert len(feed.store.events(feed.run_id)) == 5
    assert run.warnings == {"dropped": 6 + 1}


def test_alerts_beyond_the_bound_are_counted_and_those_of_the_rules_still_come(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effects, "MAX_ALERTS", 3)
    feed.send(events(feed, *[("alert", {"title": f"t{i}"}) for i in range(10)]))
    feed.log("loss", range(3), [1.0, float("nan"), float("nan")])
    kinds = [delivery.alert.kind for delivery in feed.store.alerts(feed.run_id)]
    assert (kinds.count("alert"), kinds.count("nan")) == (3, 1)
    assert feed.store.run(feed.run_id).warnings == {"dropped": 7}


def test_tags_and_configurations_of_many_events_have_the_bounds_of_one(feed: Feed) -> None:
    feed.send(events(feed, *[("tags", {"tags": {f"{n}/{i}": "v" for i in range(400)}}) for n in range(4)]))
    feed.send(events(feed, *[("config", {"config": {f"k{i}": "x" * 60_000}}) for i in range(30)]))
    for i in range(30, 36):
        feed.event("config", config={f"k{i}": "x" * 60_000, "lr": i})
    run = feed.store.run(feed.run_id)
    assert len(run.tags) == limits.MAX_TAGS
    assert sum(len(str(value)) for value in run.config.values()) <= limits.MAX_CONFIG
    assert run.config["lr"] == 35
    assert run.warnings["dropped"] == 600
    assert run.warnings["shortened"] >= 20


def test_many_names_of_counters_are_told_together(feed: Feed) -> None:
    feed.send(events(feed, *[("warning", {"name": f"w{i}", "count": 2}) for i in range(200)]))
    warnings = feed.store.run(feed.run_id).warnings
    assert len(warnings) == limits.MAX_COUNTERS + 1
    assert sum(warnings.values()) == 400


def test_a_batch_starts_one_attempt_at_most(feed: Feed) -> None:
    feed.send(events(feed, *[("run", {"resume": "allow"}) for _ in range(50)]))
    run = feed.store.run(feed.run_id)
    assert (run.attempt, run.warnings) == (2, {"dropped": 49})


def test_a_new_attempt_hides_a_point_at_the_last_step_there_is(feed: Feed) -> None:
    feed.log("loss", [5, 2**63 - 1], [1.0, 2.0])
    feed.send(events(feed, ("run", {"resume": "allow"})))
    feed.log("loss", [2**63 - 1], [3.0])
    (series,) = feed.store.series(feed.run_id)
    history = feed.store.history(feed.run_id, "loss")
    assert (series.count, history.values.tolist()) == (2, [1.0, 3.0])


@pytest.mark.parametrize("count", [4 * 10**18, 2**62, 70_000])
def test_a_batch_that_counts_more_records_than_it_holds_is_refused(feed: Feed, count: int) -> None:
    batch = Batch(run_id=feed.run_id, writer="w", first=1, count=count, events=events(feed, ("tags", {})).events)
    with pytest.raises(WireError) as caught:
        decode_batch(encode_batch(batch))
    assert caught.value.field == "count"


def test_records_that_a_disk_has_lost_are_counted_by_their_warning(feed: Feed) -> None:
    lost = ("warning", {"name": "lost", "key": "journal", "count": 500_000, "example": "damaged"})
    batch = events(feed, lost)
    whole = Batch(run_id=feed.run_id, writer="w", first=1, count=500_000, events=batch.events)
    assert feed.send(decode_batch(encode_batch(whole))).acked == 500_001


def test_the_bounds_that_are_checked_where_points_are_stored_are_those_that_are_written_down() -> None:
    assert ingest.__globals__["MAX_SERIES"] == limits.MAX_SERIES
    for name in ("MAX_EVENTS", "MAX_ALERTS", "MAX_TAGS"):
        assert getattr(effects, name) == getattr(limits, name)
