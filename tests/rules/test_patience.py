from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.rules import Engine, EnginePoints, diagnose
from monitor.rules.lab.backtest import patience_stop
from monitor.rules.sketch.patience import wait_many
from monitor.rules.sketch.state import State

VALUES = st.lists(st.floats(-5, 5) | st.sampled_from([0.0, 1.0, math.nan, math.inf]), min_size=1, max_size=120)


def evaluations(values: list[float]) -> np.ndarray:
    return np.c_[np.arange(len(values)) * 10.0, values]


@given(VALUES, st.lists(st.integers(0, 120), max_size=6))
def test_the_engine_stops_where_the_callback_would_however_the_stream_was_cut(
    values: list[float], cuts: list[int]
) -> None:
    engine, rows = Engine(), evaluations(values)
    state = engine.start()
    for part in np.split(rows, sorted({cut % len(rows) for cut in cuts})):
        points = EnginePoints(np.ones(len(part), "u1"), part[:, 0], part[:, 1])
        state = State.from_bytes(engine.update(state, points).state.to_bytes())
    wanted = patience_stop(rows)
    assert wanted == (None if math.isnan(state.patience_step) else state.patience_step)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=200), st.integers(0, 200))
def test_many_evaluations_at_once_are_waited_for_as_one_by_one(values: list[float], cut: int) -> None:
    rows = evaluations(values)
    one, many = State(), State()
    for k in range(len(rows)):
        wait_many(one, rows[k : k + 1, 1], rows[k : k + 1, 0])
    for part in np.split(rows, [cut % len(rows)]):
        wait_many(many, part[:, 1], part[:, 0])
    assert one.to_bytes() == many.to_bytes()


def test_the_recommendation_says_what_patience_would_have_missed() -> None:
    hump = [2.0, 1.0, 0.5, *(0.6,) * 12, 0.4, *(0.5,) * 4]
    told = diagnose([(0, 1.0)], evaluations(hump)).recommendation.patience
    assert told.evals == 10 and told.stop_step == 120 and told.best_loss == 0.5
    assert told.missed == pytest.approx(0.1 / 1.6)
    assert told.explanation == (
        "Patience 10 would have stopped at step 120 with a best loss of 0.5, missing 6.2% of the fall from 2 to 0.4."
    )


def test_patience_that_missed_nothing_and_patience_that_still_waits_say_so() -> None:
    stopped = diagnose([(0, 1.0)], evaluations([1.0, 0.5, *(0.6,) * 12]), unit="epoch").recommendation.patience
    assert stopped.explanation == "Patience 10 would have stopped at epoch 110 without missing any improvement so far."
    waits = diagnose([(0, 1.0)], evaluations([1.0, 0.5, *(0.6,) * 9])).recommendation.patience
    assert waits.stop_step is None and waits.explanation == "Patience 10 would not have stopped so far."
    assert diagnose([(0, 1.0), (1, 0.9)]).recommendation.patience is None


def test_a_run_that_is_resumed_before_its_stop_has_not_been_stopped() -> None:
    rows = evaluations([2.0, 1.0, *(1.5,) * 11])
    again = np.r_[rows, np.c_[np.arange(50.0, 100, 10), np.full(5, 0.9)]]
    assert diagnose([(0, 1.0)], rows).recommendation.patience.stop_step == 110
    assert diagnose([(0, 1.0)], again).recommendation.patience.stop_step is None
