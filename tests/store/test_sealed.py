"""The engine's state with its checksum: a damaged one is never taken for a state."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.store.runs.sealed import opened, sealed
from tests.conftest import for_two_minutes


@st.composite
def damaged(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A state, and how it is stored but for a few bytes behind the magic."""
    state = draw(st.binary(max_size=4096))
    data = bytearray(sealed(state))
    for _ in range(draw(st.integers(0, 4))):
        data[draw(st.integers(4, len(data) - 1))] = draw(st.integers(0, 255))
    return state, bytes(data[: draw(st.integers(4, len(data)))] if draw(st.booleans()) else data)


def is_known(pair: tuple[bytes, bytes]) -> None:
    """The whole one is opened, the others are empty."""
    state, data = pair
    assert opened(data) == (state if data == sealed(state) else b"")


@given(damaged())
def test_a_damaged_state_is_known(pair: tuple[bytes, bytes]) -> None:
    is_known(pair)


@pytest.mark.slow
def test_a_damaged_state_is_known_for_two_minutes() -> None:
    for_two_minutes(given(damaged())(is_known))


def test_a_state_of_a_version_without_checksums_is_taken_as_it_is() -> None:
    assert opened(b"LMS4 and so on") == b"LMS4 and so on"
