"""Numbers for the browser: narrow, and the same picture."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from dashboard.charts.figure import EXACT, Figure, packed

ANY = arrays(np.float64, st.integers(0, 60), elements=st.floats(width=64, allow_nan=True, allow_infinity=True))
WHOLE = arrays(np.float64, st.integers(1, 60), elements=st.integers(-(2**31) + 1, 2**31 - 1).map(float))


def unpacked(found: dict[str, str]) -> NDArray[np.float64]:
    return np.frombuffer(base64.b64decode(found["bdata"]), f"<{found['dtype']}").astype(np.float64)


@given(ANY)
def test_what_is_not_finite_stays_and_the_rest_is_moved_by_less_than_can_be_seen(values: NDArray[np.float64]) -> None:
    found = unpacked(packed(values))
    finite = np.isfinite(values)
    np.testing.assert_array_equal(found[~finite], values[~finite])
    assert np.all(np.abs(found[finite] - values[finite]) <= EXACT * np.abs(values[finite]))


@given(WHOLE)
def test_whole_numbers_such_as_steps_are_exact_and_take_half(values: NDArray[np.float64]) -> None:
    found = packed(values)
    assert found["dtype"] == "i4"
    np.testing.assert_array_equal(unpacked(found), values)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.random.default_rng(0).normal(2.0, 0.1, 500), "f4"),
        (1e9 + np.linspace(0, 1, 500), "f8"),  # a small change of a large number
        (1.7e12 + 7.5 * np.arange(500), "f8"),  # times in milliseconds
        (np.geomspace(1e-60, 1, 500), "f8"),
        (np.array([np.nan, 1.0, 2.0]), "f4"),
        (2.0**40 + np.arange(5.0), "f8"),
    ],
)
def test_a_narrow_type_is_taken_where_it_draws_the_same(values: NDArray[np.float64], kind: str) -> None:
    assert packed(values)["dtype"] == kind


def test_a_curve_and_its_smoothed_line_send_their_steps_once() -> None:
    figure, x = Figure(layout={"height": 1}), np.arange(1000.0)
    for y in (x + 0.5, x + 0.25):
        figure.scatter(x=x, y=y)
    figure.scatter(x=x.copy(), y=x)
    written = figure.to_json()
    assert written.count('"dtype":"i4"') == 3  # x once, and the copy's x and y
    assert '{"of":0}' in written
