"""The engine is pure, and says the same whatever the batching, the interruptions, the scale and the order."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor.rules import Engine, EnginePoints, State, Update
from tests.rules.test_state import LARGEST

ENGINE = Engine()
FAMILIES = ("falling", "u_turn", "diverging", "sawtooth", "flat", "broken", "restarted")


def points(family: str, n: int, every: int, seed: int) -> EnginePoints:
    """A run of `n` training points with a validation loss every `every` of them."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / n
    base = 0.3 + 2 * np.exp(-6 * t)
    val = base + 0.1
    if family == "u_turn":
        val = val + 2 * np.maximum(t - 0.3, 0)
    elif family == "diverging":
        base = base + 10 * np.maximum(t - 0.6, 0)
    elif family == "sawtooth":
        base = val = 0.01 + 10 ** (-4 * (t * 9 % 1))
    elif family == "flat":
        base = val = np.full(n, 2.3)
    train = base + 0.02 * rng.normal(size=n)
    if family == "broken":
        train[rng.random(n) < 0.02] = math.nan
        train[-n // 10 :] = math.inf
    step = np.arange(float(n))
    if family == "restarted":
        step[n // 2 :] -= n // 4
        step[rng.integers(0, n, 3)] = 0
    with_val = np.arange(n) % every == 0
    order = np.sort(np.concatenate([np.arange(n), np.flatnonzero(with_val)]), kind="stable")
    second = np.concatenate([[False], order[1:] == order[:-1]])
    role = np.where(second, 1, np.where(order % 7 == 6, 2, np.where(order % 7 == 3, 3, 0))).astype("u1")
    value = np.where(second, val[order], train[order])
    return EnginePoints(role, step[order], np.where(role == 3, 0.1 * 0.5 ** (order // 300), value))


def replay(stream: EnginePoints, cuts: list[int], packed: bool = False) -> tuple[Update, list[object]]:
    """The last update and all changes, with the stream cut at these points."""
    state, changes = ENGINE.start(), []
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    update = ENGINE.update(state, EnginePoints(stream.role[:0], stream.step[:0], stream.value[:0]))
    for a, b in pairwise(edges):
        update = ENGINE.update(state, EnginePoints(stream.role[a:b], stream.step[a:b], stream.value[a:b]))
        changes += update.changes
        state = State.from_bytes(update.state.to_bytes()) if packed else update.state
    return update, changes


STREAMS = st.builds(
    points, st.sampled_from(FAMILIES), st.integers(2, 1500), st.sampled_from([1, 5, 40]), st.integers(0, 99)
)
CUTS = st.lists(st.integers(0, 3000), max_size=40)


@settings(max_examples=60, deadline=None)
@given(STREAMS, CUTS, st.booleans())
def test_the_same_points_in_any_batching_and_through_any_restart_give_the_same_answer(
    stream: EnginePoints, cuts: list[int], packed: bool
) -> None:
    whole, at_once = replay(stream, [])
    last, in_parts = replay(stream, cuts, packed)
    assert in_parts == at_once
    assert last.state.to_bytes() == whole.state.to_bytes()
    assert (last.verdict, last.headline) == (whole.verdict, whole.headline)
    assert (last.recommendation, last.counts) == (whole.recommendation, whole.counts)


class Blind(Engine):
    """Asks the urgent rules at every quarter, whatever they foresee."""

    def __init__(self) -> None:
        super().__init__()
        self._urgent = {role: tuple((name, None, {}) for name, *_ in rules) for role, rules in self._urgent.items()}


BLIND = Blind()


@settings(max_examples=60, deadline=None)
@given(STREAMS, st.sampled_from([None, 0.0, 0.25, 1.0]), st.sampled_from([None, 2.0, 2.35, 5.0]), st.integers(1, 999))
@example(
    points("restarted", 5000, 1, 0), 0.25, 2.35, 97
)  # a value below the floor in an earlier batch than its quarter
def test_what_urgent_rules_foresee_changes_no_answer(
    stream: EnginePoints, floor: float | None, ceiling: float | None, size: int
) -> None:
    answers = []
    for engine in (ENGINE, BLIND):
        state, changes = engine.start(loss={"floor": floor, "range": [floor, ceiling], "chance": 0.3}), []
        for a in range(0, len(stream), size):
            b = a + size
            update = engine.update(state, EnginePoints(stream.role[a:b], stream.step[a:b], stream.value[a:b]))
            state, changes = update.state, [*changes, update.changes, update.verdict, update.headline]
        answers.append((changes, update.recommendation, state.to_bytes()))
    assert answers[0] == answers[1]


def test_one_point_at_a_time_is_a_batching_too() -> None:
    stream = points("u_turn", 900, 5, 3)
    whole, at_once = replay(stream, [])
    last, in_parts = replay(stream, list(range(len(stream))), packed=True)
    assert in_parts == at_once and last.recommendation == whole.recommendation


@settings(max_examples=30, deadline=None)
@given(STREAMS, CUTS)
def test_a_state_handed_in_stays_as_it_is_and_stays_small(stream: EnginePoints, cuts: list[int]) -> None:
    state, _ = replay(stream, cuts)[0].state, None
    before = state.to_bytes()
    ENGINE.update(state, stream)
    assert state.to_bytes() == before
    assert len(before) <= LARGEST


def test_the_largest_state_fits_in_its_bound() -> None:
    rng = np.random.default_rng(0)
    state, largest = ENGINE.start(), 0
    for _ in range(400):
        step = np.sort(rng.random(37)) * 1e15
        batch = EnginePoints(rng.integers(0, 4, 37).astype("u1"), step, rng.normal(size=37) * 1e9)
        state = ENGINE.update(state, batch).state
        largest = max(largest, len(state.to_bytes()))
    assert largest <= LARGEST


@settings(max_examples=40, deadline=None)
@given(STREAMS.filter(lambda s: bool(np.isfinite(s.value).all())), st.sampled_from([2.0**-20, 2.0**10, 2.0**40]))
def test_a_loss_in_other_units_gets_the_same_verdicts(stream: EnginePoints, scale: float) -> None:
    plain = _outline(stream, stream.value)
    assert _outline(stream, stream.value * scale) == plain


@pytest.mark.parametrize("family", ["falling", "u_turn", "diverging"])
def test_a_loss_in_another_unit_is_judged_alike(family: str) -> None:
    stream = points(family, 1200, 20, 1)
    assert _outline(stream, stream.value * 1e4) == _outline(stream, stream.value)


def _outline(stream: EnginePoints, values: np.ndarray) -> list[tuple[object, ...]]:
    update = ENGINE.update(ENGINE.start(), EnginePoints(stream.role, stream.step, values))
    skipped = {"stagnation", "gradient_vanishing"}
    rows: list[tuple[object, ...]] = [
        (c.rule, str(c.state), c.onset_step, c.fired_step, c.resolved_step) for c in update.changes
    ]
    return [row for row in rows if row[0] not in skipped] + [("stop", update.recommendation.first_stop_step)]


ODD = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), ODD, ODD), max_size=120), CUTS)
def test_nothing_that_can_be_logged_raises(rows: list[tuple[int, float, float]], cuts: list[int]) -> None:
    role, step, value = zip(*rows, strict=True) if rows else ((), (), ())
    stream = EnginePoints(np.array(role, "u1"), np.array(step, float), np.array(value, float))
    whole, at_once = replay(stream, [])
    last, in_parts = replay(stream, cuts, packed=True)
    assert in_parts == at_once and last.headline == whole.headline
    assert whole.counts.train == sum(1 for r, s, _ in rows if r == 0 and math.isfinite(s))


def test_a_straggler_is_counted_and_set_aside() -> None:
    step = np.array([0, 1, 2, 3, 1, 4, 5.0])
    update = ENGINE.update(ENGINE.start(), EnginePoints(np.zeros(7, "u1"), step, np.array([5, 4, 3, 2, 99, 1, 0.5])))
    assert update.counts.late == 1
    assert update.state.curves[0].x == [5, 4, 3, 2, 1, 0.5]


def test_a_resumed_run_goes_on_from_its_checkpoint() -> None:
    step = np.array([0, 1, 2, 3, 4, 5, 2, 3, 4, 5, 6.0])
    value = np.array([9, 8, 7, 6, 5, 4, 6.9, 5.9, 4.9, 3.9, 2.9])
    update = ENGINE.update(ENGINE.start(), EnginePoints(np.zeros(11, "u1"), step, value))
    assert update.state.curves[0].x == pytest.approx([9, 8, 4.9, 3.9, 2.9], rel=1e-6)
    assert update.counts.late == 3


def test_findings_keep_their_number_when_they_resolve() -> None:
    stream = points("broken", 300, 5, 0)
    seen: dict[int, list[str]] = {}
    for change in replay(stream, [])[1]:
        seen.setdefault(change.number, []).append(str(change.state))  # type: ignore[attr-defined]
    assert list(seen) == list(range(1, len(seen) + 1))
    assert all(states in (["firing"], ["firing", "resolved"]) for states in seen.values())


def test_too_early_then_healthy() -> None:
    few = EnginePoints(np.zeros(3, "u1"), np.arange(3.0), np.array([3, 2, 1.0]))
    update = ENGINE.update(ENGINE.start(), few)
    assert update.verdict == "too_early" and "3 training" in update.headline
    more = EnginePoints(np.zeros(4, "u1"), np.arange(3.0, 7.0), np.array([0.9, 0.8, 0.7, 0.6]))
    assert ENGINE.update(update.state, more).verdict in ("healthy", "improving")


def test_what_is_said_about_a_long_row_of_nan_is_the_same_in_any_batching() -> None:
    value = np.concatenate([np.linspace(2, 1, 60), np.full(70, math.nan), np.linspace(1, 0.9, 5)])
    for n in (62, 90, 130, 131, 135):
        stream = EnginePoints(np.zeros(n, "u1"), np.arange(float(n)), value[:n])
        whole, _ = replay(stream, [])
        for packed in (False, True):
            last, _ = replay(stream, list(range(50, n, 3)), packed)
            assert (last.headline, last.recommendation) == (whole.headline, whole.recommendation)
