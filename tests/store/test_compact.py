"""Small chunks grow together, a bounded number of times a point."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from monitor.store import Store
from monitor.store.points.compact import BOUNDS, FULL, plan_merge
from tests.conftest import NOW_MS, Feed

batches = st.lists(st.one_of(st.integers(1, 3), st.integers(1, 5_000), st.integers(1, 10**6)), min_size=1, max_size=300)


@given(batches)
def test_no_point_is_lost_and_few_chunks_stay(sizes: list[int]) -> None:
    tail: list[int] = []
    finished = merges = rewritten = 0
    for size in sizes:
        before = [*tail, size]
        few, tail = plan_merge(before)
        assert 0 <= few <= len(before)
        finished += sum(before) - sum(tail)
        if few:
            merges += 1
            rewritten += sum(before[-few:])
    assert finished + sum(tail) == sum(sizes)
    assert len(tail) <= 64 + 3 * 32 * 2
    assert rewritten <= len(BOUNDS) * sum(sizes)


def test_one_point_at_a_time_is_rewritten_four_times_at_most() -> None:
    tail: list[int] = []
    rewritten = 0
    for _ in range(70_000):
        few, after = plan_merge([*tail, 1])
        if few:
            rewritten += sum([*tail, 1][-few:])
        tail = after
    assert rewritten <= 3 * 70_000
    assert len(tail) <= 64 + 32 + 32
    assert sum(tail) == 70_000


@given(batches)
def test_what_is_merged_is_at_the_end(sizes: list[int]) -> None:
    few, after = plan_merge(sizes)
    if few:
        assert sum(sizes[-few:]) == sum(sizes) - sum(sizes[:-few])
        if sum(sizes[-few:]) < FULL:
            assert after[-1] == sum(sizes[-few:])


def test_a_run_logged_one_point_at_a_time_is_as_compact_as_one_logged_in_bulk(store: Store) -> None:
    values = (1 / (1 + np.arange(700.0))).tolist()
    single, bulk = Feed(store), Feed(store)
    for feed in (single, bulk):
        feed.start()
    bulk.log("acc", range(700), values)
    for i, value in enumerate(values):
        single.now_ms = NOW_MS + i
        single.log("acc", [i], [value])
    assert _chunks(store, single.run_id) < 90
    for feed in (single, bulk):
        feed.event("finish")
    assert set(store.compactable()) == {single.run_id, bulk.run_id}
    assert store.compact(single.run_id, now_ms=NOW_MS) > 0
    assert store.compact(bulk.run_id, now_ms=NOW_MS) == 0
    assert store.compactable() == ()
    assert _chunks(store, single.run_id) == _chunks(store, bulk.run_id) == 1
    assert _bytes(store, single.run_id) == _bytes(store, bulk.run_id)
    assert store.history(single.run_id, "acc").values.tolist() == values


def test_compaction_is_no_new_version_and_logging_goes_on(feed: Feed) -> None:
    for i in range(70):
        feed.log("loss", [i], [float(i)])
    version = feed.store.run(feed.run_id).version
    feed.store.compact(feed.run_id, now_ms=NOW_MS)
    assert feed.store.run(feed.run_id).version == version
    for i in range(70, 140):
        feed.log("loss", [i], [float(i)])
    assert feed.store.history(feed.run_id, "loss").values.tolist() == list(range(140))


@pytest.mark.parametrize("attempts", [1, 3])
def test_attempts_are_never_merged_with_each_other(store: Store, attempts: int) -> None:
    first = Feed(store)
    first.start()
    for attempt in range(attempts):
        feed = first if attempt == 0 else Feed(store, run_id=first.run_id, writer=f"w{attempt}")
        if attempt:
            feed.start(resume="allow")
        for i in range(20 * attempt, 20 * attempt + 40):
            feed.log("loss", [i], [float(attempt)])
    store.compact(first.run_id, now_ms=NOW_MS)
    assert _chunks(store, first.run_id) == attempts
    for attempt in range(attempts):
        assert store.history(first.run_id, "loss", attempt=attempt + 1).values.tolist() == [float(attempt)] * 40


def _chunks(store: Store, run_id: str) -> int:
    return _one(store, run_id, "count(*)")


def _bytes(store: Store, run_id: str) -> int:
    return _one(store, run_id, "sum(length(steps) + length(vals) + length(times))")


def _one(store: Store, run_id: str, what: str) -> int:
    engine = create_engine(store._engine.url)
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT {what} FROM monitor_chunks WHERE run_id = :run"), {"run": run_id})
        value = found.scalar_one()
    engine.dispose()
    assert not math.isnan(value)
    return int(value)
