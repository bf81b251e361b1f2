"""Any sequence of batches, duplicates, gaps, restarts and merges reads back as the reference model says."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from monitor.errors import OffsetGap
from monitor.store import Store
from monitor.wire import Batch
from tests.conftest import NOW_MS, Feed

KEYS = ("train/loss", "val/loss", "acc")
_runs = itertools.count(10**9)

values = st.one_of(
    st.floats(-10, 10, width=32), st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0]), st.integers(-3, 3)
)
points = st.lists(
    st.tuples(st.sampled_from(KEYS), st.integers(0, 60), values, st.one_of(st.none(), st.floats(0, 5))),
    min_size=1,
    max_size=90,
)


@dataclass
class Point:
    attempt: int
    step: int
    value: float
    epoch: float | None


@dataclass
class Model:
    """What the store should hold, as plain lists in order of arrival."""

    series: dict[str, list[Point]] = field(default_factory=dict)

    def add(self, attempt: int, rows: list[tuple[str, int, float, float | None]]) -> None:
        for key, step, value, epoch in rows:
            self.series.setdefault(key, []).append(Point(attempt, step, float(value), epoch))

    def curve(self, key: str) -> list[Point]:
        kept = []
        for p in self.series[key]:
            newer = [q.step for q in self.series[key] if q.attempt > p.attempt]
            if not newer or p.step < min(newer):
                kept.append(p)
        return sorted(kept, key=lambda p: p.step)

    def attempt(self, key: str, attempt: int) -> list[Point]:
        return sorted((p for p in self.series[key] if p.attempt == attempt), key=lambda p: p.step)


class StoreMachine(RuleBasedStateMachine):
    """Feeds a store and the model with the same things."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store.open(self.url)
        self.run_id = f"{next(_runs):032x}"
        self.feeds: list[tuple[Feed, int]] = []
        self.model = Model()
        self.last: Batch | None = None
        self.attempt = 0

    @initialize()
    def start(self) -> None:
        self.new_attempt(join=False)

    def new_attempt(self, *, join: bool) -> None:
        feed = Feed(self.store, run_id=self.run_id, writer=f"w{len(self.feeds)}")
        feed.start(resume="allow", join=join)
        self.attempt += not join
        self.feeds.append((feed, self.attempt))

    @precondition(lambda self: len(self.feeds) < 4)
    @rule(join=st.booleans())
    def another_writer(self, join: bool) -> None:
        self.new_attempt(join=join)

    @rule(which=st.integers(0, 3), rows=points)
    def log(self, which: int, rows: list[tuple[str, int, float, float | None]]) -> None:
        feed, attempt = self.feeds[which % len(self.feeds)]
        self.last = _batch(feed, rows)
        reply = feed.send(self.last)
        assert not reply.duplicate
        self.model.add(attempt, rows)

    @precondition(lambda self: self.last is not None)
    @rule()
    def send_again(self) -> None:
        assert self.last is not None
        feed = next(f for f, _ in self.feeds if f.writer == self.last.writer)
        acked = feed.acked
        assert feed.send(self.last).duplicate
        assert feed.acked == acked

    @rule(which=st.integers(0, 3), rows=points, shift=st.sampled_from([-1, 1, 50]))
    def out_of_order(self, which: int, rows: list[tuple[str, int, float, float | None]], shift: int) -> None:
        feed, _ = self.feeds[which % len(self.feeds)]
        batch = _batch(feed, rows)
        moved = Batch(
            run_id=batch.run_id,
            writer=batch.writer,
            first=batch.first + shift,
            count=batch.count + 1,
            keys=batch.keys,
            points=batch.points,
        )
        with pytest.raises(OffsetGap) as caught:
            feed.send(moved)
        assert caught.value.expected == feed.acked

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = Store.open(self.url)
        for feed, _ in self.feeds:
            feed.store = self.store

    @rule()
    def merge(self) -> None:
        self.store.compact(self.run_id, now_ms=NOW_MS)

    @invariant()
    def history_is_the_models(self) -> None:
        for key in self.model.series:
            _same(self.store, self.run_id, key, self.model.curve(key), None)
            for attempt in {p.attempt for p in self.model.series[key]}:
                _same(self.store, self.run_id, key, self.model.attempt(key, attempt), attempt)

    @invariant()
    def summaries_are_the_models(self) -> None:
        found = {s.key: s for s in self.store.series(self.run_id)}
        assert set(found) == set(self.model.series)
        for key, info in found.items():
            curve = self.model.curve(key)
            finite = [p for p in curve if math.isfinite(p.value)]
            assert info.count == len(curve)
            assert info.nan_count == sum(math.isnan(p.value) for p in curve)
            assert info.inf_count == sum(math.isinf(p.value) for p in curve)
            assert (info.first_step, info.last_step) == (curve[0].step, curve[-1].step)
            assert info.last == (finite[-1].value if finite else None)
            assert info.min == (min(p.value for p in finite) if finite else None)
            assert info.max == (max(p.value for p in finite) if finite else None)
            if finite:
                assert info.min_step in {p.step for p in finite if p.value == info.min}
                assert info.max_step in {p.step for p in finite if p.value == info.max}

    @invariant()
    def a_narrow_curve_keeps_extremes_gaps_and_ends(self) -> None:
        for key in self.model.series:
            whole = self.model.curve(key)
            curve = self.store.curve(self.run_id, key, width=4)
            assert curve.total == len(whole)
            assert curve.shown == len(curve.x) == len(curve.y)
            assert (curve.x[0], curve.x[-1]) == (whole[0].step, whole[-1].step)
            finite = [p.value for p in whole if math.isfinite(p.value)]
            if finite:
                shown = curve.y[np.isfinite(curve.y)]
                assert (shown.min(), shown.max()) == (min(finite), max(finite))
            assert np.isnan(curve.y).any() == any(math.isnan(p.value) for p in whole)

    def teardown(self) -> None:
        self.store.close()


def _batch(feed: Feed, rows: list[tuple[str, int, float, float | None]]) -> Batch:
    keys = tuple(dict.fromkeys(row[0] for row in rows))
    one = feed.batch("x", [r[1] for r in rows], [r[2] for r in rows])
    epochs = None
    if any(r[3] is not None for r in rows):
        epochs = np.array([math.nan if r[3] is None else r[3] for r in rows])
    columns = type(one.points)(
        np.array([keys.index(r[0]) for r in rows], "u2"), one.points.step, one.points.value, one.points.time_ms, epochs
    )
    return Batch(run_id=feed.run_id, writer=feed.writer, first=feed.acked, count=len(rows), keys=keys, points=columns)


def _same(store: Store, run_id: str, key: str, wanted: list[Point], attempt: int | None) -> None:
    found = store.history(run_id, key, attempt=attempt)
    assert found.steps.tolist() == [p.step for p in wanted]
    assert found.values.tobytes() == np.array([p.value for p in wanted]).tobytes()
    epochs = [math.nan if p.epoch is None else p.epoch for p in wanted]
    np.testing.assert_array_equal(np.full(len(wanted), math.nan) if found.epochs is None else found.epochs, epochs)
    for lo, hi in ((None, None), (10, 40.5)):
        whole = store.history(run_id, key, lo=lo, hi=hi, attempt=attempt)
        parts = list(store.history_batches(run_id, key, lo=lo, hi=hi, attempt=attempt, size=20))
        assert all(0 < len(part) <= 20 for part in parts)
        for name in ("steps", "values", "times"):
            joined = [getattr(part, name) for part in parts]
            assert b"".join(column.tobytes() for column in joined) == getattr(whole, name).tobytes()


def test_any_sequence_reads_back_as_the_model_says(store_url: str) -> None:
    machine = type("Machine", (StoreMachine,), {"url": store_url})
    count = 25 if store_url.startswith("sqlite") else 12
    run_state_machine_as_test(machine, settings=settings(max_examples=count, stateful_step_count=12))


@pytest.mark.slow
def test_any_longer_sequence_reads_back_as_the_model_says(store_url: str) -> None:
    machine = type("Machine", (StoreMachine,), {"url": store_url})
    run_state_machine_as_test(machine, settings=settings(max_examples=200, stateful_step_count=30))
