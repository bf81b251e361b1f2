"""Columns of a chunk as bytes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monitor.errors import StoreError
from monitor.store import codec

sizes = st.integers(1, 300)


@given(arrays(np.float64, sizes, elements=st.floats(width=64)))
def test_floats_come_back_as_they_were(values: np.ndarray) -> None:
    found = codec.decode_floats(codec.encode_floats(values), len(values))
    np.testing.assert_array_equal(found, values)
    assert (np.signbit(found) == np.signbit(values)).all()


@given(arrays(np.int64, sizes, elements=st.integers(-(2**63), 2**63 - 1)))
def test_ints_come_back_as_they_were(values: np.ndarray) -> None:
    np.testing.assert_array_equal(codec.decode_ints(codec.encode_ints(values), len(values)), values)


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
