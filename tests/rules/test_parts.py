"""The sketch of a composite loss's parts: the same in any batching, and no larger than it may be."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from monitor import losses
from monitor.rules import Engine, EnginePoints, State, Update
from monitor.rules.registry import BUILT_IN
from monitor.rules.sketch.parts import COLLAPSIBLE, DATA, HELPER, MOST, PENALTY, kind_of, of_spec
from tests.rules.test_state import LARGEST

ENGINE = Engine()
OF_PARTS = frozenset(rule.spec.name for rule in BUILT_IN if rule.spec.of_parts)
NAMES = ("seg", "depth", "kl", "l2", "adv", "e", "f", "g", "h", "i")
TRAIN, PART, WEIGHT = 0, 4, 5


def stream(rows: list[tuple[int, float, float, int]]) -> EnginePoints:
    """Points from (role, step, value, part)."""
    role, step, value, part = zip(*rows, strict=True) if rows else ((), (), (), ())
    return EnginePoints(
        np.array(role, "u1"), np.array(step, float), np.array(value, float), np.array(part, "u2"), NAMES
    )


def cut(points: EnginePoints, a: int, b: int) -> EnginePoints:
    assert points.part is not None
    return EnginePoints(points.role[a:b], points.step[a:b], points.value[a:b], points.part[a:b], points.names)


def replay(points: EnginePoints, cuts: list[int], packed: bool = False, **start: object) -> tuple[Update, list[object]]:
    state, changes = ENGINE.start(**start), []  # type: ignore[arg-type]
    update = ENGINE.update(state, cut(points, 0, 0))
    for a, b in pairwise(sorted({0, len(points), *(c % (len(points) + 1) for c in cuts)})):
        update = ENGINE.update(state, cut(points, a, b))
        changes += update.changes
        state = State.from_bytes(update.state.to_bytes()) if packed else update.state
    return update, changes


def composite(n: int, names: int, seed: int, *, weighted: bool = True, resumed: bool = False) -> EnginePoints:
    """A run with parts that fall, rise, collapse or fight, validation and gradient norms, and weights that change."""
    rng = np.random.default_rng(seed)
    shapes = [
        lambda t: 2 * np.exp(-5 * t) + 0.1, lambda t: 0.5 + t, lambda t: np.where(t < 0.5, 3.0, 0.0),
        lambda t: 1 + 0.5 * np.sin(20 * t), lambda t: 1 - 0.5 * np.sin(20 * t), lambda t: -1 - t,
    ]  # fmt: skip
    rows: list[tuple[int, float, float, int]] = []
    weights = np.ones(names)
    for i in range(n):
        step = float(i - n // 3 if resumed and i > n // 2 else i)
        if weighted and rng.random() < 0.05:
            k = int(rng.integers(names))
            weights[k] = round(float(rng.random()) * 2, 3)
            rows.append((WEIGHT, step, float(weights[k]), k))
        values = [float(shapes[k % 6](np.array(i / n))) + 0.05 * rng.normal() for k in range(names)]
        row = [(PART, step, value, k) for k, value in enumerate(values) if rng.random() > 0.05]
        row.append((TRAIN, step, float(np.dot(weights, values)) * (1.2 if seed % 3 == 0 else 1.0), 0))
        if i % 10 == 0:
            row.append((1, step, values[0] + 0.1, 0))
        if rng.random() < 0.1:
            row.append((2, step, 1.0, 0))
        rng.shuffle(row)
        rows += row
    return stream(rows)


STREAMS = st.builds(
    composite,
    st.integers(1, 260),
    st.integers(1, 10),
    st.integers(0, 30),
    weighted=st.booleans(),
    resumed=st.booleans(),
)
CUTS = st.lists(st.integers(0, 4000), max_size=25)


@settings(max_examples=60, deadline=None)
@given(STREAMS, CUTS, st.booleans())
@example(composite(129, 4, 26, weighted=True, resumed=False), [404], False)
def test_parts_and_weights_in_any_batching_and_through_any_restart_give_the_same_answer(
    points: EnginePoints, cuts: list[int], packed: bool
) -> None:
    whole, at_once = replay(points, [])
    last, in_parts = replay(points, cuts, packed)
    assert in_parts == at_once
    assert last.state.to_bytes() == whole.state.to_bytes()
    assert (last.verdict, last.headline, last.counts) == (whole.verdict, whole.headline, whole.counts)
    assert len(whole.state.to_bytes()) <= LARGEST


@settings(max_examples=60, deadline=None)
@given(STREAMS)
@example(composite(155, 1, 15, weighted=True, resumed=False))
def test_parts_change_nothing_about_what_the_curves_say(points: EnginePoints) -> None:
    curves = points.role < PART
    plain = ENGINE.update(ENGINE.start(), EnginePoints(points.role[curves], points.step[curves], points.value[curves]))
    # A rise of the total that the weights of its parts explain is no divergence, so only parts can take one back.
    assume("divergence" not in {f.rule for f in plain.changes} | {p.rule for p in plain.recommendation.pending})
    with_parts = ENGINE.update(ENGINE.start(), points)
    of_parts = {f.rule for f in with_parts.changes} - {f.rule for f in plain.changes}
    outline = [(f.rule, str(f.state), f.onset_step, f.fired_step) for f in with_parts.changes if f.rule not in of_parts]
    assert outline == [(f.rule, str(f.state), f.onset_step, f.fired_step) for f in plain.changes]
    pending = tuple(p for p in with_parts.recommendation.pending if p.rule not in OF_PARTS)
    said = plain.recommendation
    if with_parts.verdict in OF_PARTS:  # what to look at is then a part's finding, and the advice names that
        advised = with_parts.recommendation
        said = replace(said, action=advised.action, reason=advised.reason, confidence=advised.confidence)
    assert replace(with_parts.recommendation, pending=pending) == said


ODD = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), ODD, ODD, st.integers(0, 9)), max_size=150), CUTS)
def test_nothing_that_can_be_logged_as_a_part_raises(
    rows: list[tuple[int, float, float, int]], cuts: list[int]
) -> None:
    whole, at_once = replay(stream(rows), [])
    last, in_parts = replay(stream(rows), cuts, packed=True)
    assert in_parts == at_once and last.state.to_bytes() == whole.state.to_bytes()


def test_the_largest_state_with_eight_parts_fits_in_its_bound() -> None:
    rng = np.random.default_rng(0)
    names = tuple(f"a_long_name_of_a_part_{k}" for k in range(10))
    state, largest = ENGINE.start(), 0
    for i in range(600):
        role = rng.integers(0, 6, 60).astype("u1")
        step = np.repeat(np.arange(60 * i, 60 * i + 60), 1).astype(float)
        batch = EnginePoints(role, step, rng.normal(size=60) * 1e9, rng.integers(0, 10, 60).astype("u2"), names)
        state = ENGINE.update(state, batch).state
        largest = max(largest, len(state.to_bytes()))
    assert state.parts is not None and len(state.parts.parts) == MOST
    full = 11 * 32  # eight slots of curves and the six of parts, where this stream has fewer
    assert largest + full <= LARGEST


def test_points_of_parts_beyond_the_eighth_are_counted() -> None:
    rows = [(PART, float(step), 1.0, k) for step in range(10) for k in range(10)]
    assert replay(stream(rows), [])[0].counts.beyond == 20


def test_a_share_is_that_of_the_weight_of_its_time() -> None:
    rows = [(PART, float(step), 1.0, k) for step in range(4) for k in range(2)]
    rows.insert(4, (WEIGHT, 2.0, 3.0, 0))
    parts = replay(stream([*rows, (PART, 4.0, 1.0, 0)]), [])[0].state.parts
    assert parts is not None
    assert [share[0] / 65535 for share in parts.share] == pytest.approx([0.5, 0.5, 0.75, 0.75], abs=1e-4)


def test_a_total_that_another_call_logged_belongs_to_its_row() -> None:
    rows = [row for step in range(6) for row in ((PART, float(step), 1.0, 0), (TRAIN, float(step), 2.5, 0))]
    parts = replay(stream(rows), [])[0].state.parts
    assert parts is not None and parts.gap == [1.5] * 5 and parts.total == [2.5] * 5


def test_a_resumed_run_forgets_the_rows_that_it_repeats() -> None:
    steps = [0, 1, 2, 3, 4, 5, 2, 3, 4, 5, 6, 7]
    parts = replay(stream([(PART, float(s), float(i), 0) for i, s in enumerate(steps)]), [])[0].state.parts
    assert parts is not None and parts.step == [0, 1, 4, 5, 6]


@pytest.mark.parametrize(
    ("name", "spec", "kind"),
    [("kl", None, COLLAPSIBLE), ("task_seg", None, DATA), ("l1", "mae", DATA), ("grad_penalty", None, PENALTY),
     ("adv", None, HELPER), ("prior", "kl_divergence", COLLAPSIBLE)],
)  # fmt: skip
def test_a_part_is_known_by_its_specification_or_its_name(name: str, spec: str | None, kind: int) -> None:
    assert kind_of(name, spec) == kind


def test_a_composite_specification_gives_parts_and_weights() -> None:
    loss = losses.parse("composite(depth=mse(1.0), l2=0.5*custom(floor=0))").to_dict()
    known = of_spec(loss)
    assert known is not None
    assert [(p.name, p.kind, p.weight) for p in known.parts] == [("depth", DATA, 1.0), ("l2", COLLAPSIBLE, 0.5)]
    assert of_spec(losses.MSE(1.0).to_dict()) is None
