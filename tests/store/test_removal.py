"""Runs that are deleted, brought back and purged."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from monitor.errors import RunNotFound, WireError
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
    assert (store.purgeable(before_ms=NOW_MS), store.purge(before_ms=NOW_MS)) == ((), ())
    store.restore(feed.run_id, now_ms=NOW_MS)
    assert len(store.history(feed.run_id, "loss")) == 1
    with pytest.raises(RunNotFound):
        store.restore(feed.run_id, now_ms=NOW_MS)
    store.delete(feed.run_id, now_ms=NOW_MS)
    assert store.purgeable(before_ms=NOW_MS + 1) == (feed.run_id,)
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


def test_an_old_run_is_thinned_to_the_same_picture_and_says_so(store: Store) -> None:
    feed, live = Feed(store), Feed(store)
    values = np.random.default_rng(0).normal(size=40_000)
    values[20_000:20_010] = math.nan
    values[[5, 33_333]] = [-9.0, 9.0]
    for one in (feed, live):
        one.start()
        one.log("val/loss", range(40_000), values, epochs=np.arange(40_000) / 1000)
        one.log("acc", [1, 2], [0.5, 0.6])
    feed.event("finish")
    before, sparklines = {s.key: s for s in store.series(feed.run_id)}, store.runs(sparkline=40).sparklines
    assert list(store.thin(before_ms=NOW_MS, points=1000, now_ms=NOW_MS)) == []
    ((run_id, kept, left_out),) = store.thin(before_ms=NOW_MS + 1, points=1000, now_ms=NOW_MS)
    assert (run_id, kept + left_out) == (feed.run_id, 40_002)
    assert kept <= 1_100
    after = {s.key: s for s in store.series(feed.run_id)}
    assert after["acc"] == before["acc"]
    long = after["val/loss"]
    assert long.count == kept - 2
    assert long.thinned == left_out
    assert replace(long, count=40_000, nan_count=10, thinned=0) == before["val/loss"]
    whole = store.curve(feed.run_id, "val/loss")
    assert (whole.total, whole.shown) == (40_000, long.count)
    half = store.curve(feed.run_id, "val/loss", hi=19_999)
    assert half.total == pytest.approx(20_000, rel=0.05)
    points = store.history(feed.run_id, "val/loss")
    assert len(points) == long.count
    assert np.isnan(points.values).sum() == long.nan_count >= 1
    np.testing.assert_array_equal(points.values, values[points.steps])
    np.testing.assert_array_equal(points.epochs, points.steps / 1000)
    assert {0, 5, 20_000, 33_333, 39_999} <= set(points.steps.tolist())
    assert store.run(feed.run_id).warnings["thinned"] == left_out
    assert store.run(feed.run_id).version > 0
    assert store.runs(sparkline=40).sparklines == sparklines
    assert "thinned" not in store.run(live.run_id).warnings
    assert list(store.thin(before_ms=NOW_MS + 1, points=1000, now_ms=NOW_MS)) == []
    again = Feed(store, run_id=feed.run_id, writer="again")  # a thinned run can be resumed
    again.start(resume="must")
    again.log("val/loss", [30_000], [0.125])
    assert store.history(feed.run_id, "val/loss").steps[-1] == 30_000
    assert store.curve(feed.run_id, "val/loss").total == pytest.approx(30_001, rel=0.05)  # a quarter is hidden now


def test_runs_thinned_one_point_a_batch_keep_every_attempt(store: Store) -> None:
    feed = Feed(store)
    feed.start()
    feed.log("loss", range(3000), np.arange(3000.0))
    for step in range(3000, 3030):
        feed.log("loss", [step], [float(step)])
    second = Feed(store, run_id=feed.run_id, writer="second")
    second.start(resume="must")
    second.log("loss", range(2000, 6000), -np.arange(4000.0))
    second.event("finish")
    ((_, kept, left_out),) = store.thin(before_ms=NOW_MS + 1, points=500, now_ms=NOW_MS)
    assert kept + left_out == 7030
    curve, first = store.history(feed.run_id, "loss"), store.history(feed.run_id, "loss", attempt=1)
    assert (first.steps[0], first.steps[-1], first.values[-1]) == (0, 3029, 3029.0)
    assert (curve.steps[0], curve.steps[-1], curve.values[-1]) == (0, 5999, -3999.0)
    (info,) = store.series(feed.run_id)
    assert (info.count, info.min, info.min_step) == (len(curve), -3999.0, 5999)


def test_too_few_points_are_refused(store: Store) -> None:
    with pytest.raises(WireError, match="at least 500"):
        list(store.thin(before_ms=NOW_MS, points=10, now_ms=NOW_MS))
