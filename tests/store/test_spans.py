"""Curves of very long series are answered from sketches of many chunks, and show what the chunks alone would show."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from sqlalchemy import func, select

from monitor.domain import Curve
from monitor.store import Store
from monitor.store.points import chunk_reader, compact
from monitor.store.sql.schema import CHUNKS, SPANS
from tests.conftest import NOW_MS, Feed
from tests.variants import SQLITE_FIRST

FULL = 4096


@pytest.fixture(params=SQLITE_FIRST)
def store_url(request: pytest.FixtureRequest) -> str:
    """A database of this test's own; that PostgreSQL gives the same is left to the slow suite."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks are full with 4,096 points, so that two levels of spans need no 67 million."""
    monkeypatch.setattr(compact, "BOUNDS", (64, 2048, FULL))
    monkeypatch.setattr(compact, "FULL", FULL)
    monkeypatch.setattr(chunk_reader, "SPANS_FROM", 1)


def log(feed: Feed, batches: int, *, size: int = FULL, first: int = 0, epochs: bool = False) -> np.ndarray:
    """Noise with spikes and gaps; the values."""
    n = batches * size
    values = np.random.default_rng(n + first).normal(size=n)
    values[[n // 3, n // 2, n - 7]] = [50.0, -60.0, 70.0]
    values[n // 4 : n // 4 + 100] = math.nan
    values[n // 5] = math.inf
    for start in range(0, n, size):
        steps = np.arange(start, start + size)
        feed.now_ms = NOW_MS + first + start
        feed.log("acc", first + steps, values[start : start + size], epochs=steps / 1000 if epochs else None)
    return values


def levels(feed: Feed) -> dict[int, int]:
    """How many spans there are of each level."""
    asked = select(SPANS.c.level, func.count()).where(SPANS.c.run_id == feed.run_id).group_by(SPANS.c.level)
    with feed.store._read() as connection:
        return {row[0]: row[1] for row in connection.execute(asked)}


def without_spans(feed: Feed, monkeypatch: pytest.MonkeyPatch, **asked: object) -> Curve:
    with monkeypatch.context() as patched:
        patched.setattr(chunk_reader, "SPANS_FROM", 2**62)
        return feed.store.curve(feed.run_id, "acc", **asked)  # type: ignore[arg-type]  # arguments of a curve


def test_points_that_come_one_batch_at_a_time_are_covered_once_they_are_merged(feed: Feed) -> None:
    log(feed, 40, size=FULL // 2 + 1)
    assert levels(feed) == {1: 1}


def test_a_whole_curve_of_spans_has_the_extremes_gaps_and_ends(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    values = log(feed, 16 * 16 + 35)
    assert levels(feed) == {1: 18, 2: 1}, "sixteen chunks make a span and sixteen of those another"
    read: list[int] = []
    take = chunk_reader.ChunkReader._packed
    monkeypatch.setattr(
        chunk_reader.ChunkReader,
        "_packed",
        lambda self, statements, rows: (read.append(len(rows)), take(self, statements, rows))[1],
    )
    curve = feed.store.curve(feed.run_id, "acc", width=300)
    assert sum(read) <= 16 + 1 + 2 + 3, "of 291 chunks"
    assert (curve.total, curve.shown) == (len(values), len(curve.x))
    assert curve.shown <= 4 * 300
    assert (curve.x[0], curve.x[-1]) == (0, len(values) - 1)
    assert np.isnan(curve.y).any()
    assert np.isposinf(curve.y).any()
    finite = values[np.isfinite(values)]
    assert (np.nanmin(curve.y), curve.y[np.isfinite(curve.y)].max()) == (finite.min(), finite.max())
    assert {int(curve.x[i]) for i in (np.nanargmin(curve.y),)} == {int(np.nanargmin(values))}


PARTS = ((None, None), (0.1, 0.9), (0.5, 0.55), (0.9301, 0.9303), (0.2, None))


def test_any_window_shows_the_extremes_of_its_pixels(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    n = len(log(feed, 70, epochs=True))
    axes = {"step": (0, n), "epoch": (0, n / 1000), "wall_time": (NOW_MS, NOW_MS + n)}
    for (x, (first, last)), parts in itertools.product(axes.items(), PARTS):
        window = [None if part is None else first + part * (last - first) for part in parts]
        asked = {"x": x, "lo": window[0], "hi": window[1], "width": 100}
        curve, plain = feed.store.curve(feed.run_id, "acc", **asked), without_spans(feed, monkeypatch, **asked)  # type: ignore[arg-type]  # arguments of a curve
        assert curve.total == plain.total, asked
        assert (curve.x[0], curve.x[-1]) == (plain.x[0], plain.x[-1]), asked
        assert np.isnan(curve.y).any() == np.isnan(plain.y).any(), asked
        tops = [np.sort(found.y[np.isfinite(found.y)]) for found in (curve, plain)]
        assert tops[0][[0, -1]].tolist() == tops[1][[0, -1]].tolist(), asked
        assert tops[0][-60:].sum() == pytest.approx(tops[1][-60:].sum(), rel=0.02), asked


def test_a_newer_attempt_hides_points_of_a_span(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    log(feed, 40)
    second = Feed(feed.store, run_id=feed.run_id, writer="second")
    second.start(resume="must")
    log(second, 20, first=18 * FULL + 100)
    curve, plain = (feed.store.curve(feed.run_id, "acc", width=200), without_spans(feed, monkeypatch, width=200))
    assert levels(feed) == {1: 3}
    assert curve.total == plain.total == 38 * FULL + 100
    assert curve.x[-1] == plain.x[-1] == 38 * FULL + 99


def test_steps_that_go_back_leave_a_span_without_a_sketch(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    log(feed, 8, first=10 * FULL)
    log(feed, 10)
    with feed.store._read() as connection:
        assert connection.execute(select(SPANS.c.ordered, SPANS.c.sketch_n)).all() == [(False, 0)]
    curve, plain = (feed.store.curve(feed.run_id, "acc", width=200), without_spans(feed, monkeypatch, width=200))
    assert curve.x.tolist() == plain.x.tolist()
    assert (np.nan_to_num(curve.y) == np.nan_to_num(plain.y)).all()


def test_what_is_merged_at_the_end_of_a_run_is_covered_anew(feed: Feed) -> None:
    log(feed, 10)
    second = Feed(feed.store, run_id=feed.run_id, writer="second")
    second.start(resume="must")
    n = 0
    for i in range(6):
        n = 10 * FULL + 300 * (i + 1)
        second.log("acc", range(n - 300, n), [1.0] * 300)
    log(second, 10, first=n)
    before = levels(feed)
    second.event("finish", status="finished", error=None)
    assert feed.store.compact(feed.run_id, now_ms=second.now_ms) > 0
    assert (before, levels(feed)) == ({1: 1}, {1: 1})
    curve = feed.store.curve(feed.run_id, "acc", width=50)
    assert (curve.total, curve.x[-1]) == (20 * FULL + 1800, 20 * FULL + 1799)


def test_a_thinned_series_is_drawn_from_what_is_left(feed: Feed) -> None:
    values = log(feed, 20)
    feed.event("finish", status="finished", error=None)
    assert list(feed.store.thin(before_ms=feed.now_ms + 10**9, points=1000, now_ms=feed.now_ms + 1))
    curve = feed.store.curve(feed.run_id, "acc", width=400)
    assert (curve.total, curve.shown <= 2200) == (len(values), True)
    assert np.nanmin(curve.y) == np.nanmin(values)


def test_spans_that_do_not_fit_their_chunks_any_more_are_not_believed(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(feed, 20)
    with feed.store._change() as connection:  # as a process of the version before would, which knows no spans
        at = (
            connection.execute(select(CHUNKS.c.seq).where(CHUNKS.c.series == 1).order_by(CHUNKS.c.seq))
            .scalars()
            .all()[5]
        )
        connection.execute(CHUNKS.delete().where(CHUNKS.c.series == 1, CHUNKS.c.seq == at))
    asked = {"lo": 3 * FULL, "hi": 8 * FULL}
    curve, plain = feed.store.curve(feed.run_id, "acc", **asked), without_spans(feed, monkeypatch, **asked)
    assert curve.x.tolist() == plain.x.tolist()


def test_a_run_that_is_purged_leaves_no_spans(store: Store) -> None:
    feed = Feed(store)
    feed.start()
    log(feed, 16)
    assert levels(feed) == {1: 1}
    store.delete(feed.run_id, now_ms=NOW_MS)
    assert store.purge(before_ms=NOW_MS + 1) == (feed.run_id,)
    assert levels(feed) == {}
