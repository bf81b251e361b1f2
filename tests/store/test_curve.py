"""Curves of long series: answered from sketches where those are fine enough, and honest in any window."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sqlalchemy import select

from monitor.domain import Points
from monitor.errors import SeriesNotFound, WireError
from monitor.store import Store
from monitor.store.points import chunks
from monitor.store.sql.schema import CHUNKS
from tests.conftest import NOW_MS, Feed
from tests.variants import SQLITE_FIRST, some

N = 150_000


@pytest.fixture(params=SQLITE_FIRST)
def store_url(request: pytest.FixtureRequest) -> str:
    """A database of this test's own; that PostgreSQL gives the same is left to the slow suite."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def long(feed: Feed) -> tuple[Feed, np.ndarray]:
    """A run with 150,000 points of noise, spikes, a gap and infinities."""
    values = np.random.default_rng(0).normal(size=N)
    values[[1_234, 70_001, 149_990]] = [50.0, -60.0, 70.0]
    values[30_000:30_100] = math.nan
    values[90_000] = math.inf
    for start in range(0, N, 30_000):
        part = slice(start, start + 30_000)
        feed.now_ms = NOW_MS + start
        feed.log("acc", np.arange(N)[part], values[part], epochs=np.arange(N)[part] / 1000)
    return feed, values


def test_a_wide_curve_keeps_extremes_gaps_and_ends(long: tuple[Feed, np.ndarray]) -> None:
    feed, values = long
    curve = feed.store.curve(feed.run_id, "acc", width=400)
    assert (curve.total, curve.shown) == (N, len(curve.x))
    assert curve.shown <= 4 * 400
    assert (curve.x[0], curve.x[-1], curve.y[0], curve.y[-1]) == (0, N - 1, values[0], values[-1])
    for step in (1_234, 70_001, 149_990, 30_000, 90_000):
        at = np.flatnonzero(curve.x == step)
        assert len(at) == 1
        np.testing.assert_equal(curve.y[at[0]], values[step])
    np.testing.assert_array_equal(curve.y, values[curve.x.astype(int)])


@pytest.mark.parametrize(
    ("lo", "hi"), [(0, 149_999), (10_000, 140_000), (29_900, 30_500), (1_200, 1_300), (5.5, 99_999.5)]
)
def test_any_window_shows_its_own_extremes(long: tuple[Feed, np.ndarray], lo: float, hi: float) -> None:
    feed, values = long
    curve = feed.store.curve(feed.run_id, "acc", lo=lo, hi=hi, width=300)
    inside = values[math.ceil(lo) : math.floor(hi) + 1]
    assert curve.total == len(inside)
    assert (curve.x[0], curve.x[-1]) == (math.ceil(lo), math.floor(hi))
    finite = inside[np.isfinite(inside)]
    shown = curve.y[np.isfinite(curve.y)]
    assert (shown.min(), shown.max()) == (finite.min(), finite.max())
    assert np.isnan(curve.y).any() == np.isnan(inside).any()


def test_a_window_narrower_than_the_screen_shows_every_point(long: tuple[Feed, np.ndarray]) -> None:
    feed, values = long
    curve = feed.store.curve(feed.run_id, "acc", lo=50_000, hi=50_999, width=800)
    np.testing.assert_array_equal(curve.x, np.arange(50_000, 51_000))
    np.testing.assert_array_equal(curve.y, values[50_000:51_000])


def test_the_axes_agree(long: tuple[Feed, np.ndarray]) -> None:
    feed, _ = long
    read = feed.store.curve
    steps = read(feed.run_id, "acc", width=100)
    epochs = read(feed.run_id, "acc", width=100, x="epoch")
    times = read(feed.run_id, "acc", width=100, x="wall_time")
    relative = read(feed.run_id, "acc", width=100, x="relative")
    assert {c.total for c in (steps, epochs, times, relative)} == {N}
    assert (epochs.x[0], epochs.x[-1]) == (0, (N - 1) / 1000)
    assert (times.x[0], times.x[-1]) == (NOW_MS, NOW_MS + N - 1)
    assert (relative.x[0], relative.x[-1]) == (0, (N - 1) / 1000)
    for curve in (epochs, times, relative):
        assert set(np.round(curve.y[np.abs(curve.y) > 40], 6)) == {50.0, -60.0, 70.0, math.inf}
    part = read(feed.run_id, "acc", width=100, x="relative", lo=10, hi=20)
    assert (part.x[0], part.x[-1]) == (10, 20)


def test_smoothing_is_over_all_points_before_the_window(long: tuple[Feed, np.ndarray]) -> None:
    feed, values = long
    curve = feed.store.curve(feed.run_id, "acc", lo=100_000, hi=100_050, smoothing=0.9)
    assert curve.smoothed is not None
    weights = 0.9 ** np.arange(400)[::-1]
    for x, y in zip(curve.x[:5], curve.smoothed[:5], strict=True):
        window = values[int(x) - 399 : int(x) + 1]
        assert y == pytest.approx(float(weights @ window / weights.sum()), abs=1e-9)


@pytest.mark.parametrize(("x", "late"), some(itertools.product(("step", "epoch", "wall_time"), (False, True)), every=5))
def test_a_window_of_a_smoothed_curve_is_that_part_of_the_whole(
    long: tuple[Feed, np.ndarray], x: str, late: bool
) -> None:
    feed, _ = long
    if late:  # the steps go back, so that no piece may be averaged before all are sorted
        feed.log("acc", [70_000, 20], [5.0, 6.0], epochs=[70.0, 0.02])
    whole = feed.store.curve(feed.run_id, "acc", smoothing=0.99, width=100_000, x=x)
    assert whole.shown == whole.total == N + 2 * late
    assert whole.smoothed is not None
    lo, hi = whole.x[100_000], whole.x[100_500]
    part = feed.store.curve(feed.run_id, "acc", smoothing=0.99, width=400, x=x, lo=lo, hi=hi)
    assert part.smoothed is not None
    at = np.searchsorted(whole.x, part.x)
    np.testing.assert_allclose(part.smoothed, whole.smoothed[at], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("width", "gaps", "extremes"),
    [
        (580, (50_000, 50_250), (49_990, 50_260)),  # from the sketch: buckets of 147 points, pixels of 259
        (1500, (50_050, 50_120), (50_010, 50_180)),  # from the points: pixels of 100
    ],
)
def test_two_gaps_with_nothing_remarkable_between_them_stay_two(
    feed: Feed, width: int, gaps: tuple[int, int], extremes: tuple[int, int]
) -> None:
    values = np.arange(N) % 100 / 1000.0  # so that every bucket and pixel has two extremes, and the curve is reduced
    values[list(gaps)] = math.nan  # in neighbouring buckets and pixels
    for at in extremes:  # whose extremes lie on their far sides
        values[at : at + 2] = [-1.0, 1.0]
    feed.log("acc", range(N), values)
    curve = feed.store.curve(feed.run_id, "acc", width=width)
    assert curve.x[np.isnan(curve.y)].tolist() == list(gaps)


def test_a_series_without_epochs_has_no_curve_over_them(feed: Feed) -> None:
    feed.log("acc", [1, 2], [1.0, 2.0])
    curve = feed.store.curve(feed.run_id, "acc", x="epoch")
    assert (curve.total, curve.shown) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "field"), [({"x": "time"}, "x"), ({"width": 0}, "width"), ({"smoothing": 1.0}, "smoothing")]
)
def test_arguments_that_make_no_sense_are_named(feed: Feed, arguments: dict[str, object], field: str) -> None:
    feed.log("acc", [1], [1.0])
    with pytest.raises(WireError) as caught:
        feed.store.curve(feed.run_id, "acc", **arguments)
    assert caught.value.field == field


def test_an_unknown_series_names_those_there_are(feed: Feed) -> None:
    feed.log("train/loss", [1], [1.0])
    with pytest.raises(SeriesNotFound, match="it has train/loss"):
        feed.store.curve(feed.run_id, "train/los")
    with pytest.raises(SeriesNotFound):
        feed.store.history(feed.run_id, "x")


def test_a_window_of_steps_of_the_history(long: tuple[Feed, np.ndarray]) -> None:
    feed, values = long
    found = feed.store.history(feed.run_id, "acc", lo=29_990, hi=30_010)
    np.testing.assert_array_equal(found.steps, np.arange(29_990, 30_011))
    np.testing.assert_array_equal(found.values, values[29_990:30_011])
    assert len(feed.store.history(feed.run_id, "acc", lo=10**6)) == 0


@given(
    arrays(
        np.float64,
        st.integers(chunks.SKETCH_FROM, 5_000),
        elements=st.sampled_from([0.0, 1.0, -1.0, math.nan, math.inf, -math.inf]),
        fill=st.just(0.5),
    )
)
def test_a_sketch_holds_every_buckets_extremes_and_gaps(values: np.ndarray) -> None:
    n = len(values)
    row = chunks.encode(Points(np.arange(n), values, np.arange(n), np.arange(n) / 2))
    sketch = chunks.decode_sketch(row["sketch"], times=True, epochs=True)
    assert (np.diff(sketch.steps) > 0).all()
    np.testing.assert_array_equal(sketch.values, values[sketch.steps])
    np.testing.assert_array_equal(sketch.times, sketch.steps)
    np.testing.assert_array_equal(sketch.epochs, sketch.steps / 2)
    assert (sketch.steps[0], sketch.steps[-1]) == (0, n - 1)
    for start in range(0, n, chunks.BUCKET):
        bucket = values[start : start + chunks.BUCKET]
        kept = sketch.values[(sketch.steps >= start) & (sketch.steps < start + chunks.BUCKET)]
        for good in (np.isfinite, np.isnan, np.isposinf, np.isneginf):
            assert good(kept).any() or not good(bucket).any() or start > 0
        finite, shown = bucket[np.isfinite(bucket)], kept[np.isfinite(kept)]
        if len(finite):
            assert (shown.min(), shown.max()) == (finite.min(), finite.max())


@given(
    arrays(
        np.float64,
        st.integers(chunks.COARSE_FROM * chunks.BUCKET, 40_000),
        elements=st.sampled_from([0.0, 1.0, -1.0, math.nan, math.inf, -math.inf]),
        fill=st.just(0.5),
    )
)
def test_a_coarse_sketch_holds_every_buckets_extremes_and_gaps(values: np.ndarray) -> None:
    n = len(values)
    row = chunks.encode(Points(np.arange(n), values, np.arange(n) * 3, np.arange(n) / 2))
    coarse = chunks.decode_coarse(row["sketch"], epochs=True)
    assert coarse is not None
    assert (np.diff(coarse.steps) > 0).all()
    np.testing.assert_array_equal(coarse.values, values[coarse.steps])
    np.testing.assert_array_equal(coarse.times, coarse.steps * 3)
    np.testing.assert_array_equal(coarse.epochs, coarse.steps / 2)
    assert (coarse.steps[0], coarse.steps[-1]) == (0, n - 1)
    size = -(-n // chunks.COARSE_BUCKETS)
    for start in range(0, n, size):
        bucket = values[start : start + size]
        kept = coarse.values[(coarse.steps >= start) & (coarse.steps < start + size)]
        for bad in (np.isnan, np.isposinf, np.isneginf):
            assert bad(kept).any() or not bad(bucket).any() or start > 0
        finite, shown = bucket[np.isfinite(bucket)], kept[np.isfinite(kept)]
        if len(finite):
            assert (shown.min(), shown.max()) == (finite.min(), finite.max())


@pytest.mark.parametrize("x", ["step", "epoch", "wall_time"])
def test_a_curve_over_many_points_a_pixel_needs_the_coarse_sketches_alone(
    feed: Feed, x: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(0).normal(size=N)
    values[[1_234, 70_001, 149_990]] = [50.0, -60.0, 70.0]
    values[30_000:30_100] = math.nan
    values[90_000] = math.inf
    for steps in np.split(np.arange(N), 3):
        feed.now_ms = NOW_MS + int(steps[0])
        feed.log("acc", steps, values[steps], epochs=steps / 1000)
    width = 30
    fine = feed.store.curve(feed.run_id, "acc", width=N // 64, x=x)
    for reading in ("decode_sketch", "decode_into"):
        monkeypatch.delattr(chunks, reading)
    curve = feed.store.curve(feed.run_id, "acc", width=width, x=x)
    assert curve.total == N
    assert curve.shown <= 4 * width
    assert (curve.x[0], curve.x[-1]) == (fine.x[0], fine.x[-1])
    for value in (50.0, -60.0, 70.0, math.inf):
        assert value in curve.y
        np.testing.assert_array_equal(curve.x[curve.y == value], fine.x[fine.y == value])
    assert np.isnan(curve.y).sum() == 1
    assert set(curve.y[np.isfinite(curve.y)]) <= set(values)


def test_chunks_from_before_there_were_coarse_sketches_are_drawn_from_their_sketches(
    long: tuple[Feed, np.ndarray],
) -> None:
    feed, _ = long
    before = feed.store.curve(feed.run_id, "acc", width=30)
    changed = 0
    with feed.store._engine.begin() as connection:
        for row in connection.execute(select(CHUNKS.c.seq, CHUNKS.c.sketch).where(CHUNKS.c.sketch.is_not(None))).all():
            coarse = chunks.decode_coarse(row.sketch, epochs=True)
            if coarse is not None:
                old = bytes(row.sketch[6 + 32 * len(coarse) :])
                assert old[0] == 1
                connection.execute(CHUNKS.update().where(CHUNKS.c.seq == row.seq).values(sketch=old))
                changed += 1
    assert changed > 0
    after = feed.store.curve(feed.run_id, "acc", width=30)
    assert after.total == before.total
    for value in (50.0, -60.0, 70.0, math.inf):
        np.testing.assert_array_equal(after.x[after.y == value], before.x[before.y == value])


def test_a_coarse_sketch_of_many_gaps_is_not_read_in_part(feed: Feed) -> None:
    n = 33_000
    values = np.zeros(n)
    for i, bad in enumerate((math.nan, math.inf, -math.inf)):
        values[10 * (i + 1) :: 64] = bad
    values[12::64], values[15::64] = 1.0, -1.0
    feed.log("acc", range(n), values)
    sketch = chunks.encode(Points(np.arange(n), values, np.arange(n), None))["sketch"]
    assert chunks.decode_coarse(sketch, epochs=False) is not None
    assert chunks.decode_coarse(sketch[: chunks.COARSE_BYTES], epochs=False) is None
    curve = feed.store.curve(feed.run_id, "acc", width=20)
    assert curve.total == n
    for bad in (np.isnan, np.isposinf, np.isneginf):
        assert np.count_nonzero(bad(curve.y)) == 20
    assert (curve.y == 1.0).any()
    assert (curve.y == -1.0).any()


def test_the_list_of_series_says_what_is_there(long: tuple[Feed, np.ndarray]) -> None:
    feed, values = long
    (info,) = feed.store.series(feed.run_id)
    assert (info.count, info.nan_count, info.inf_count, info.last_step) == (N, 100, 1, N - 1)
    assert (info.min, info.min_step, info.max, info.max_step) == (-60.0, 70_001, 70.0, 149_990)
    assert info.last == values[-1]


def test_a_store_reads_what_another_wrote(store: Store) -> None:
    feed = Feed(store)
    feed.start()
    feed.log("acc", range(5000), np.arange(5000.0))
    with Store.open(store._engine.url.render_as_string(hide_password=False)) as other:
        assert other.history(feed.run_id, "acc").values.tolist() == list(range(5000))
