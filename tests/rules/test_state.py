"""A state is at most 5.25 KiB, whatever was logged: the bound is that of the fullest state that there can be."""

from __future__ import annotations

import math
from itertools import count, islice

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.domain import Severity
from monitor.roles import Role
from monitor.rules import Engine, EnginePoints, Spec, State
from monitor.rules.lifecycle import room
from monitor.rules.registry import BUILT_IN
from monitor.rules.sketch.goal import NAME, SHAPE, Goal
from monitor.rules.sketch.packing import bucket_step, pack_bucket_steps, unpack_bucket_steps
from monitor.rules.sketch.parts import CAPACITY, MOST, Part, Parts
from monitor.rules.sketch.state import _COUNTS, _NUMBERS, FIRING, SHAPES, Slot

LARGEST = 5376
LONG = [f"{i} a rule that others have written"[:32] for i in range(9)]
ENGINE = Engine()


def full(parts: int) -> State:
    """A state in which everything is there that can be, in the form that takes most room."""
    odd = (1 / 3 + i for i in count())
    state = State("epoch")
    state.__dict__.update({name: next(odd) for name in _NUMBERS} | dict.fromkeys(_COUNTS, 2.0**40))
    state.goal = Goal("g" * NAME, rises=True)
    for curve, (capacity, micro) in zip((*state.curves, state.goal.curve), (*SHAPES, SHAPE), strict=True):
        curve.n, curve.size, curve.m = 2**40, 2**35, micro
        for name in ("first", "last", "best", "top", "sum", "rough", "first_step", "last_step", "best_step", "top_step",
                     "seen_step", "late_first", "late_last", "top_at"):  # fmt: skip
            setattr(curve, name, next(odd))
        curve.step = [bucket_step(x) for x in (*islice(odd, capacity - 2), 2.0**31 + 1)]
        curve.x = curve.peak = curve.noise = [0.5] * (capacity - 1)
        curve.quarters, curve.buffer = [0.1] * 3, [0.1] * (micro - 1)
    state.parts = Parts()
    state.parts.parts = [Part(f"{i} a name of a part", 1, 0.1) for i in range(parts)]
    k = CAPACITY[parts > 4] - 1
    state.parts.row_step = state.parts.seen_step = state.parts.late_first = next(odd)
    state.parts.step = [bucket_step(x) for x in (*islice(odd, k - 1), 2.0**31 + 1)]
    state.parts.total = state.parts.gap = state.parts.mass = [0.5] * k
    state.parts.raw, state.parts.share = [(0.5,) * parts] * k, [(1,) * parts] * k
    customs = [Spec(name=name, severity=Severity.INFO, reads=(Role.TRAIN,)) for name in LONG]
    for spec in (*(rule.spec for rule in BUILT_IN if rule.spec.of_parts), *customs):
        if room(state, spec):
            state.slots[spec.name] = Slot(FIRING, 1, 1, next(odd), next(odd), next(odd))
    return state


def test_the_fullest_state_fits_in_its_bound_and_comes_back_as_it_was() -> None:
    sizes = {}
    for parts in (4, MOST):
        state = full(parts)
        data = state.to_bytes()
        assert State.from_bytes(data).to_bytes() == data
        assert set(state.slots) == {rule.spec.name for rule in BUILT_IN if rule.spec.of_parts} | set(LONG[:8])
        sizes[parts] = len(data)
    assert max(sizes.values()) <= LARGEST


STEPS = st.lists(
    st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 2**33).map(float)), max_size=60
)


@given(STEPS)
def test_steps_of_buckets_come_back_as_they_were_kept(steps: list[float]) -> None:
    kept = [bucket_step(step) for step in steps]
    data = b"x" + pack_bucket_steps(kept) + b"y"
    assert unpack_bucket_steps(data, 1, len(kept)) == (kept, len(data) - 1)
    assert len(data) - 2 <= 1 + 4 * len(kept) + (len(kept) + 7) // 8
    assert [bucket_step(step) for step in kept] == kept
    assert all(
        a <= b for a, b in zip(map(bucket_step, sorted(steps)), map(bucket_step, sorted(steps)[1:]), strict=False)
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 10), st.sampled_from([1.0, 1 / 7, 1e9 + 1 / 3, 1e12]), st.integers(1, 400))
def test_whatever_is_logged_the_state_is_small(seed: int, parts: int, each: float, n: int) -> None:
    rng = np.random.default_rng(seed)
    state = ENGINE.start(loss={"chance_level": 2.3, "floor": 0.1, "range": [0.1, 2.2], "initial_level": 1 / 3})
    names = tuple(f"a long name of a part {i}" for i in range(parts))
    for i in range(4):
        role = rng.choice(6, n, p=[0.3, 0.2, 0.1, 0.1, 0.25, 0.05]).astype("u1")
        step = (np.arange(n) + i * n) * each
        value = rng.lognormal(size=n) * np.exp(rng.normal() * 5)
        value[rng.random(n) < 0.01] = math.nan
        points = EnginePoints(role, step, value, rng.integers(0, parts, n).astype("u2"), names)
        state = ENGINE.update(state, points).state
        assert len(state.to_bytes()) <= LARGEST
