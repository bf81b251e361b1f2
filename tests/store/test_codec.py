"""Columns of a chunk as bytes."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monitor.domain import Points
from monitor.errors import StoreError
from monitor.store.points import chunks, codec
from monitor.store.points.series import sparklines_of
from tests.conftest import for_two_minutes

sizes = st.integers(1, 300)


@given(arrays(np.float64, sizes, elements=st.floats(width=64)))
def test_floats_come_back_as_they_were(values: np.ndarray) -> None:
    found = codec.decode_floats(codec.encode_floats(values), len(values))
    np.testing.assert_array_equal(found, values)
    assert (np.signbit(found) == np.signbit(values)).all()


@given(arrays(np.int64, sizes, elements=st.integers(-(2**63), 2**63 - 1)))
def test_ints_come_back_as_they_were(values: np.ndarray) -> None:
    np.testing.assert_array_equal(codec.decode_ints(codec.encode_ints(values), len(values)), values)


@given(arrays(np.int64, sizes, elements=st.integers(-(2**63), 2**63 - 1)), st.data())
def test_some_numbers_of_a_column_are_those_of_the_whole(values: np.ndarray, data: st.DataObject) -> None:
    if data.draw(st.booleans(), "regular"):
        values = values[0] + np.arange(len(values)) * values[-1]
    index = np.array(data.draw(st.lists(st.integers(0, len(values) - 1))), np.intp)
    packed = codec.encode_ints(values)
    np.testing.assert_array_equal(codec.decode_some(packed, index, np.empty_like(values)), values[index])


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1), st.integers(2, 100))
def test_regular_ints_cost_18_bytes_even_where_they_wrap_around(start: int, stride: int, n: int) -> None:
    values = np.array([((start + i * stride + 2**63) % 2**64) - 2**63 for i in range(n)], np.int64)
    packed = codec.encode_ints(values)
    assert len(packed) == 18
    np.testing.assert_array_equal(codec.decode_ints(packed, n), values)


def test_a_million_regular_steps_cost_18_bytes() -> None:
    assert len(codec.encode_ints(np.arange(0, 10**7, 10))) == 18


def test_one_value_costs_10_bytes() -> None:
    assert len(codec.encode_floats(np.array([math.pi]))) == 10
    assert len(codec.encode_ints(np.array([7]))) == 10


def test_losses_of_float32_cost_under_4_bytes_and_noise_of_float64_under_8() -> None:
    rng = np.random.default_rng(0)
    loss = 2 / (1 + np.arange(65_536) / 1000) + rng.normal(0, 0.05, 65_536)
    assert len(codec.encode_floats(loss.astype(np.float32).astype(np.float64))) < 4 * 65_536
    assert len(codec.encode_floats(rng.normal(size=65_536))) < 8 * 65_536


@pytest.mark.parametrize("data", [b"", b"\x02\x00" + bytes(8), b"\x01\x09" + bytes(8), b"\x01\x00" + bytes(7)])
def test_bytes_of_another_format_are_refused(data: bytes) -> None:
    with pytest.raises(StoreError, match="chunk column"):
        codec.decode_floats(data, 1)


def test_a_column_of_another_length_is_refused() -> None:
    packed = codec.encode_floats(np.random.default_rng(0).normal(size=100))
    with pytest.raises(StoreError, match="another number of values"):
        codec.decode_floats(packed, 101)
    with pytest.raises(StoreError, match="another number of values"):
        codec.decode_floats(packed, 99)


def columns() -> st.SearchStrategy[bytes]:
    """Columns of every encoding."""
    ints = arrays(np.int64, sizes, elements=st.integers(-(2**63), 2**63 - 1)).map(codec.encode_ints)
    floats = arrays(np.float64, sizes, elements=st.floats(width=64)).map(codec.encode_floats)
    return ints | floats | st.integers(1, 300).map(lambda n: codec.encode_ints(np.arange(n)))


def sketches() -> st.SearchStrategy[bytes]:
    """Sketches with and without a coarse one at their head."""

    def packed(values: np.ndarray, coarse: bool) -> bytes:
        n = len(values)
        points = Points(np.arange(n), values, np.arange(n) * 3, values if n % 2 else None)
        return chunks.pack_sketch(points, points if coarse else None)

    return st.builds(packed, arrays(np.float64, sizes, elements=st.floats(width=64)), st.booleans())


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Bytes that were cut, lengthened, or changed in a few places."""
    data = bytearray(draw(columns() | sketches()))
    for _ in range(draw(st.integers(0, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data) + draw(st.binary(max_size=9))


def reads_or_refuses(data: bytes, n: int) -> None:
    """Damaged bytes are read as other numbers, or refused with `StoreError`; nothing else comes of them."""
    reads: list[Callable[[], object]] = [
        lambda: codec.decode_ints(data, n),
        lambda: codec.decode_floats(data, n),
        lambda: chunks.decode_sketch(data, times=True, epochs=True),
        lambda: chunks.decode_coarse(data, epochs=True),
        lambda: sparklines_of({"train": (data, 1.0, 1), "val": (b"", 2.0, 5)}, 20),
    ]
    for read in reads:
        with contextlib.suppress(StoreError):
            read()


@given(damaged(), sizes)
def test_damaged_bytes_are_read_or_refused(data: bytes, n: int) -> None:
    reads_or_refuses(data, n)


@pytest.mark.slow
def test_damaged_bytes_are_read_or_refused_for_two_minutes() -> None:
    for_two_minutes(given(damaged(), sizes)(reads_or_refuses))
