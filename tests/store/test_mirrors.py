"""What a mirror has of a series, by the number of points that arrived."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.store import Store
from tests.conftest import NOW_MS, Feed

MIRROR = "m"


def mirrored(store: Store, run_id: str, most: int, *, lost: int = 0) -> list[tuple[str, int, float]]:
    """Take over what there is, `most` points at a time, the first `lost` times without noting it."""
    found: list[tuple[str, int, float]] = []
    while parts := store.arrived(run_id, MIRROR, most):
        if lost:
            lost -= 1
            continue
        for part in parts:
            found += [
                (part.key, int(step), float(value))
                for step, value in zip(part.points.steps, part.points.values, strict=True)
            ]
        store.mirrored(run_id, MIRROR, [(part, len(part.points)) for part in parts])
    return found


def test_points_come_once_in_the_order_in_which_they_arrived(store: Store, feed: Feed) -> None:
    feed.log("loss", [3, 1, 2], [3.0, math.nan, math.inf])
    first = mirrored(store, feed.run_id, 2)
    feed.log("loss", [4], [4.0])
    feed.log("lr", [4], [0.1])

    assert [step for _, step, _ in first] == [3, 1, 2]
    assert math.isnan(first[1][2]) and math.isinf(first[2][2])
    assert mirrored(store, feed.run_id, 100) == [("loss", 4, 4.0), ("lr", 4, 0.1)]
    assert mirrored(store, feed.run_id, 100) == []


def test_a_part_of_what_came_is_noted_point_by_point(store: Store, feed: Feed) -> None:
    feed.log("loss", range(5), [0.0, 1.0, 2.0, 3.0, 4.0])
    (part,) = store.arrived(feed.run_id, MIRROR, 10)

    store.mirrored(feed.run_id, MIRROR, [(part, 2)])

    assert [step for _, step, _ in mirrored(store, feed.run_id, 10)] == [2, 3, 4]


def test_what_a_newer_attempt_hides_is_left_out_unless_it_is_there_already(store: Store, feed: Feed) -> None:
    feed.log("loss", range(4), [0.0] * 4)
    feed.log("val", range(4), [0.0] * 4)
    (loss, _) = store.arrived(feed.run_id, MIRROR, 10)
    store.mirrored(feed.run_id, MIRROR, [(loss, 3)])
    again = Feed(store, run_id=feed.run_id, writer="second")
    again.start(resume="must")
    again.log("loss", [1, 2], [9.0, 9.0])
    again.log("val", [1], [9.0])

    assert mirrored(store, feed.run_id, 3) == [("loss", 1, 9.0), ("loss", 2, 9.0), ("val", 0, 0.0), ("val", 1, 9.0)]


def test_a_run_under_a_new_id_over_there_has_none_of_its_points(store: Store, feed: Feed) -> None:
    feed.log("loss", [0], [1.0])
    assert store.mirrored_as(feed.run_id, MIRROR, "one", instead_of=None) == "one"
    assert len(mirrored(store, feed.run_id, 10)) == 1

    assert store.mirrored_as(feed.run_id, MIRROR, "three", instead_of="two") == "one"  # another was faster
    assert mirrored(store, feed.run_id, 10) == []
    assert store.mirrored_as(feed.run_id, MIRROR, "two", instead_of="one") == "two"
    assert len(mirrored(store, feed.run_id, 10)) == 1


def test_a_series_that_was_thinned_begins_again(store: Store, feed: Feed) -> None:
    feed.log("loss", range(3000), [float(i % 7) for i in range(3000)])
    (part,) = store.arrived(feed.run_id, MIRROR, 1000)
    store.mirrored(feed.run_id, MIRROR, [(part, 1000)])
    feed.event("finish")
    assert list(store.thin(before_ms=2 * NOW_MS, points=500, now_ms=NOW_MS))

    steps = [step for _, step, _ in mirrored(store, feed.run_id, 100)]

    assert steps == store.history(feed.run_id, "loss").steps.tolist()


_step = st.tuples(st.just("log"), st.sampled_from(["a", "b"]), st.integers(1, 90))
_other = st.tuples(st.sampled_from(["mirror", "lose", "compact"]), st.just(""), st.integers(1, 40))


@pytest.fixture(scope="module")
def one_store() -> Store:
    folder = tempfile.mkdtemp(prefix="mirror-")
    return Store.open(f"sqlite:///{Path(folder) / 'm.db'}")


@settings(max_examples=40)
@given(moves=st.lists(_step | _other, max_size=25))
def test_however_it_is_cut_and_merged_every_point_comes_once_in_order(
    one_store: Store, moves: list[tuple[str, str, int]]
) -> None:
    feed = Feed(one_store)
    feed.start()
    logged: dict[str, list[int]] = {"a": [], "b": []}
    got: dict[str, list[int]] = {"a": [], "b": []}
    count = 0
    for move, key, n in [*moves, ("mirror", "", 1000)]:
        if move == "log":
            steps = list(range(count, count + n))[::-1]  # never in order
            count += n
            feed.log(key, steps, [float(step) for step in steps])
            logged[key] += steps
        elif move == "compact":
            one_store.compact(feed.run_id, now_ms=NOW_MS)
        else:
            for name, step, _ in mirrored(one_store, feed.run_id, n, lost=move == "lose"):
                got[name].append(step)
    assert got == logged
