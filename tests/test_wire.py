from __future__ import annotations

import json
import math
import string
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from monitor import wire
from monitor.domain import Curve, Points
from monitor.errors import WireError
from monitor.wire import Batch, Columns, Event

RUN = "0123456789abcdef" * 2
floats = st.floats(allow_nan=True, allow_infinity=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8) | floats.map(wire.number_to_json),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    str.strip
)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    keys = tuple(draw(st.lists(names, unique=True, min_size=1, max_size=5)))
    n = draw(st.integers(0, 20))
    count = draw(st.integers(n and 1, 30))
    first = draw(st.integers(0, 2**60))

    def column(dtype: str, elements: st.SearchStrategy[object]) -> np.ndarray:
        return draw(npst.arrays(dtype, n, elements=elements))

    points = Columns(
        column("u2", st.integers(0, len(keys) - 1)),
        column("i8", st.integers(-(2**63), 2**63 - 1)),
        column("f8", floats),
        column("i8", st.integers(0, 2**60)),
        column("f8", floats) if draw(st.booleans()) else None,
    )
    kinds = st.sampled_from(sorted(wire.EVENT_KINDS))
    events = tuple(
        Event(kind=draw(kinds), record=draw(st.integers(first, first + count - 1)), time_ms=draw(st.integers(0, 2**60)),
              data=draw(st.dictionaries(names, json_values, max_size=3)))
        for _ in range(draw(st.integers(0, 3)) if count else 0)
    )  # fmt: skip
    writer = draw(st.text(string.ascii_letters + string.digits + "_.-", min_size=1, max_size=64))
    return Batch(run_id=RUN, writer=writer, first=first, count=count, keys=keys, points=points, events=events)


def same(a: Batch, b: Batch) -> None:
    assert (a.run_id, a.writer, a.first, a.count, a.events) == (b.run_id, b.writer, b.first, b.count, b.events)
    rows_a, rows_b = (
        [
            (x.keys[k], s, v, t, e)
            for k, s, v, t, e in zip(
                x.points.key.tolist(),
                x.points.step.tolist(),
                x.points.value.view("u8").tolist(),
                x.points.time_ms.tolist(),
                (np.full(len(x.points), np.nan) if x.points.epoch is None else x.points.epoch).view("u8").tolist(),
                strict=True,
            )
        ]
        for x in (a, b)
    )
    assert rows_a == rows_b


def sample() -> Batch:
    points = Columns(
        np.array([0, 1], "u2"), np.array([1, 1]), np.array([0.5, math.nan]), np.array([10, 10]), np.array([0.1, 0.1])
    )
    event = Event(kind="run", record=0, time_ms=9, data={"project": "p"})
    return Batch(run_id=RUN, writer="w", first=0, count=2, keys=("a", "b"), points=points, events=(event,))


class TestABatch:
    @given(batches())
    def test_comes_back_bit_for_bit_from_the_packed_spelling(self, batch: Batch) -> None:
        same(wire.decode_batch(wire.encode_batch(batch)), batch)

    @given(batches())
    def test_comes_back_from_the_json_spelling(self, batch: Batch) -> None:
        text = json.dumps(wire.batch_to_json(batch), allow_nan=False)
        back = wire.batch_from_json(json.loads(text))
        if any(math.isnan(v) for v in batch.points.value.tolist()) or batch.points.epoch is not None:
            assert back.points.step.tolist() == batch.points.step.tolist()
            np.testing.assert_array_equal(back.points.value, batch.points.value)
        else:
            same(back, batch)

    @given(batches(), st.data())
    def test_cut_anywhere_is_refused(self, batch: Batch, data: st.DataObject) -> None:
        body = wire.encode_batch(batch)
        cut = data.draw(st.integers(0, len(body) - 1))
        with pytest.raises(WireError):
            wire.decode_batch(body[:cut])

    @given(st.binary(max_size=300))
    def test_any_bytes_are_read_or_refused_but_never_break(self, body: bytes) -> None:
        for start in (b"", b"LMB1", wire.encode_batch(sample())[:40]):
            with pytest.raises(WireError):
                wire.decode_batch(start + body)

    @given(st.data())
    def test_with_a_byte_changed_is_read_or_refused_but_never_breaks(self, data: st.DataObject) -> None:
        body = bytearray(wire.encode_batch(sample()))
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] = data.draw(st.integers(0, 255))
        with suppress(WireError):
            wire.decode_batch(bytes(body))

    @given(json_values)
    def test_any_json_is_read_or_refused_but_never_breaks(self, value: object) -> None:
        with pytest.raises(WireError):
            wire.batch_from_json(value)

    def test_a_heartbeat_holds_nothing(self) -> None:
        beat = wire.decode_batch(wire.encode_batch(Batch(run_id=RUN, writer="w", first=7, count=0)))
        assert (beat.first, beat.end, len(beat.points), beat.events) == (7, 7, 0, ())


Change = Callable[[dict[str, object]], object]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda d: d.update(run_id="x"), "run_id"),
        (lambda d: d.update(run_id=RUN.upper()), "run_id"),
        (lambda d: d.update(writer=""), "writer"),
        (lambda d: d.update(writer="a b"), "writer"),
        (lambda d: d.update(writer="a" * 65), "writer"),
        (lambda d: d.update(first=-1), "first"),
        (lambda d: d.update(first=1.5), "first"),
        (lambda d: d.update(first=True), "first"),
        (lambda d: d.update(count="2"), "count"),
        (lambda d: d.update(count=0, events=[]), "count"),
        (lambda d: d.update(points={}), "points"),
        (lambda d: d.update(points=[5]), "points[0]"),
        (lambda d: d["points"][1].update(key=5), "points[1].key"),
        (lambda d: d["points"][0].update(step=0.5), "points[0].step"),
        (lambda d: d["points"][0].update(step=2**63), "points[0].step"),
        (lambda d: d["points"][0].update(value="x"), "points[0].value"),
        (lambda d: d["points"][0].update(value=None), "points[0].value"),
        (lambda d: d["points"][0].update(value=True), "points[0].value"),
        (lambda d: d["points"][0].update(value=10**400), "points[0].value"),
        (lambda d: d["points"][0].update(time_ms=2**63), "points[0].time_ms"),
        (lambda d: d["points"][0].update(time_ms="now"), "points[0].time_ms"),
        (lambda d: d["points"][0].update(epoch="x"), "points[0].epoch"),
        (lambda d: d.update(events=5), "events"),
        (lambda d: d["events"].append(5), "events[1]"),
        (lambda d: d["events"][0].update(kind=5), "events[0].kind"),
        (lambda d: d["events"][0].update(kind=[]), "events[0].kind"),
        (lambda d: d["events"][0].update(kind={}), "events[0].kind"),
        (lambda d: d["events"][0].update(kind=None), "events[0].kind"),
        (lambda d: d.update(events=d["events"] * 65_537), "events"),
        (lambda d: d.update(count=4 * 10**18), "count"),
        (lambda d: d.update(count=65_540), "count"),
        (lambda d: d.update(first=2**62, count=1, events=[], points=d["points"][:1]), "count"),
        (lambda d: d["events"][0].update(record=2), "events[0].record"),
        (lambda d: d["events"][0].update(data=5), "events[0].data"),
    ],
)
def test_what_does_not_follow_the_format_is_refused_with_its_field(change: Change, field: str) -> None:
    data = json.loads(json.dumps(wire.batch_to_json(sample())))
    wire.batch_from_json(data)
    change(data)
    with pytest.raises(WireError) as caught:
        wire.batch_from_json(data)
    assert caught.value.field == field


def test_a_step_may_be_a_whole_float() -> None:
    data = json.loads(json.dumps(wire.batch_to_json(sample())))
    data["points"][0]["step"] = 5.0
    assert wire.batch_from_json(data).points.step.tolist() == [5, 1]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | floats | st.text() | st.binary() | st.complex_numbers(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.integers() | st.text(), inner),
)


class TestJsonable:
    @given(anything)
    def test_makes_strict_json_of_anything(self, value: object) -> None:
        text = json.dumps(wire.jsonable(value), allow_nan=False)
        assert json.loads(text) == wire.jsonable(json.loads(text))

    def test_takes_the_scalars_of_numpy(self) -> None:
        assert wire.jsonable({"a": np.float32(0.5), "b": np.int64(3), "c": np.array(2.0)}) == {
            "a": 0.5,
            "b": 3,
            "c": 2.0,
        }


@given(
    st.integers(0, 50).flatmap(lambda n: st.tuples(*(npst.arrays(d, n) for d in ("i8", "f8", "i8", "f8")))),
    st.booleans(),
)
def test_points_come_back_bit_for_bit(arrays: tuple[np.ndarray, ...], epochs: bool) -> None:
    points = Points(arrays[0], arrays[1], arrays[2], arrays[3] if epochs else None)
    back = wire.decode_points(wire.encode_points(points))
    assert back.steps.tobytes() == points.steps.tobytes()
    assert back.values.tobytes() == points.values.tobytes()
    assert back.times.tobytes() == points.times.tobytes()
    assert (back.epochs is None) == (points.epochs is None)
    if points.epochs is not None and back.epochs is not None:
        assert back.epochs.tobytes() == points.epochs.tobytes()


@given(st.lists(st.tuples(floats, floats), max_size=20), st.booleans())
def test_a_curve_comes_back(rows: list[tuple[float, float]], smoothed: bool) -> None:
    x, y = np.array(rows, "f8").reshape(-1, 2).T
    curve = Curve("k", "step", x, y, len(rows), 100, y if smoothed else None)
    back = wire.curve_from_json(json.loads(json.dumps(wire.curve_to_json(curve), allow_nan=False)))
    np.testing.assert_array_equal(back.x, x)
    np.testing.assert_array_equal(back.y, y)
    assert (back.key, back.x_axis, back.shown, back.total) == ("k", "step", len(rows), 100)
    assert (back.smoothed is not None) == smoothed
