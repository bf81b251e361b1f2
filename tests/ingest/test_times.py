"""When a run began and ended, and who hears of it, where its records arrive later than they were made."""

from monitor.ingest import ingest
from monitor.store import Store
from tests.conftest import NOW_MS, Feed, event_batch

HOUR_MS = 3_600_000


def shipped(feed: Feed, kind: str, made_ms: int, arrives_ms: int, **data: object) -> None:
    """Store one event that was made at one time and arrives at another."""
    batch = event_batch(feed.run_id, feed.writer, feed.acked, kind, time_ms=made_ms, **data)
    feed.acked = ingest(feed.store, feed.engines, batch, now_ms=arrives_ms).acked


def test_a_run_that_is_shipped_later_keeps_its_times_but_not_its_heartbeat(store: Store) -> None:
    feed = Feed(store)
    shipped(feed, "run", NOW_MS, NOW_MS + HOUR_MS, project="p")
    shipped(feed, "finish", NOW_MS + 5, NOW_MS + HOUR_MS, status="finished")
    run = store.run(feed.run_id)
    assert (run.created_ms, run.finished_ms, run.heartbeat_ms) == (NOW_MS, NOW_MS + 5, NOW_MS + HOUR_MS)


def test_a_clock_that_runs_ahead_does_not_put_a_run_into_the_future(store: Store) -> None:
    feed = Feed(store)
    shipped(feed, "run", NOW_MS + HOUR_MS, NOW_MS, project="p")
    shipped(feed, "finish", NOW_MS - HOUR_MS, NOW_MS, status="finished")
    run = store.run(feed.run_id)
    assert (run.created_ms, run.finished_ms) == (NOW_MS, NOW_MS)


def test_a_live_run_that_fails_is_told_and_an_imported_one_is_not(store: Store) -> None:
    for imported, alerts in ((False, 1), (True, 0)):
        feed = Feed(store)
        feed.start()
        if imported:
            feed.event("capture", imported={"source": "old.csv"})
        feed.log("train/loss", list(range(100)), [1.0] * 50 + [float("nan")] * 50)
        feed.event("finish", status="failed", error="FloatingPointError")
        assert store.run(feed.run_id).verdict == "nan"
        assert (len(store.alerts(feed.run_id)) > 0) == bool(alerts)
