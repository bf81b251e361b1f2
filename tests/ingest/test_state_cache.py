"""States that are remembered are those of their bytes."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.errors import RulesError
from monitor.ingest.state_cache import MOST, packed, unpacked
from monitor.rules import Engine, EnginePoints, State


def logged(n: int, state: State | None = None) -> State:
    """A run that goes on for `n` training points."""
    engine = Engine()
    points = EnginePoints(np.zeros(n, "u1"), np.arange(float(n)), 1 / np.arange(1.0, n + 1))
    return engine.update(state or engine.start(), points).state


def test_a_state_that_was_packed_comes_back_as_it_was_and_only_once() -> None:
    state = logged(50)
    data = packed(state, "a")
    assert unpacked(data, "a") is state
    again = unpacked(data, "a")
    assert again is not state and again.to_bytes() == data


def test_a_state_that_was_judged_by_other_rules_is_unpacked_anew() -> None:
    state = logged(50)
    assert unpacked(packed(state, "a"), "b") is not state


def test_no_more_states_than_so_many_are_remembered() -> None:
    states = [logged(n + 1) for n in range(MOST + 1)]
    kept = [packed(state, "a") for state in states]
    assert unpacked(kept[0], "a") is not states[0]
    assert unpacked(kept[1], "a") is states[1]


def test_bytes_that_are_no_state_are_refused() -> None:
    with pytest.raises(RulesError, match="replay the run's points"):
        unpacked(b"something else", "a")
