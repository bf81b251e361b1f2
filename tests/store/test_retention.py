"""Runs that are deleted, brought back and purged."""

from __future__ import annotations

import pytest

from monitor.errors import RunNotFound
from monitor.store import Store
from tests.conftest import NOW_MS, Feed


def test_a_deleted_run_is_hidden_and_its_name_is_free_at_once(feed: Feed) -> None:
    store = feed.store
    feed.log("loss", [1], [1.0])
    name = store.run(feed.run_id).name
    store.delete(feed.run_id, now_ms=NOW_MS)
    assert (store.runs().total, store.projects(), store.live_runs(), store.changed_runs("mlflow")) == (0, (), (), ())
    with pytest.raises(RunNotFound):
        store.run(feed.run_id)
    other = Feed(store)
    other.start(name=name)
    assert store.run(name).id == other.run_id


def test_a_deleted_run_takes_no_more_points(feed: Feed) -> None:
    feed.store.delete(feed.run_id, now_ms=NOW_MS)
    for work in (
        feed.beat,
        lambda: feed.log("loss", [1], [1.0]),
        Feed(feed.store, run_id=feed.run_id, writer="x").start,
    ):
        with pytest.raises(RunNotFound):
            work()
    with pytest.raises(RunNotFound):
        feed.store.delete(feed.run_id, now_ms=NOW_MS)


def test_a_deleted_run_can_be_brought_back_until_it_is_purged(feed: Feed) -> None:
    store = feed.store
    feed.log("loss", [1], [1.0])
    store.delete(feed.run_id, now_ms=NOW_MS)
    assert store.purge(before_ms=NOW_MS) == ()
    store.restore(feed.run_id, now_ms=NOW_MS)
    assert len(store.history(feed.run_id, "loss")) == 1
    with pytest.raises(RunNotFound):
        store.restore(feed.run_id, now_ms=NOW_MS)
    store.delete(feed.run_id, now_ms=NOW_MS)
    assert store.purge(before_ms=NOW_MS + 1) == (feed.run_id,)
    assert store.series(feed.run_id) == ()
    with pytest.raises(RunNotFound):
        store.restore(feed.run_id, now_ms=NOW_MS)


def test_runs_retire_by_project_and_age_and_live_ones_never(store: Store) -> None:
    feeds = [Feed(store, now_ms=NOW_MS + i) for i in range(4)]
    for i, feed in enumerate(feeds):
        feed.start(project="old" if i < 3 else "other")
        if i != 1:
            feed.event("finish")
    found = store.retire(project="old", before_ms=NOW_MS + 2, now_ms=NOW_MS + 9)
    assert found == (feeds[0].run_id,)
    assert {run.id for run in store.runs().items} == {feed.run_id for feed in feeds[1:]}
    assert set(store.retire(before_ms=NOW_MS + 9, now_ms=NOW_MS + 9)) == {feeds[2].run_id, feeds[3].run_id}
