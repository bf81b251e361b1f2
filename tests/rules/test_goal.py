"""The metric that a training is for: judged by its direction, alone and beside a loss."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain import Action, Diagnosis, Finding
from monitor.roles import Role
from monitor.rules import ROLE_CODES, Engine, EnginePoints, State, diagnose

N = 200
STEPS = np.arange(N)
NOISE = np.random.default_rng(0).normal(size=N)
LEARNS = 0.9 - 0.8 * np.exp(-STEPS / 15)
DECLINES = LEARNS - 0.3 * np.maximum(0, STEPS - 60) / 140
REWARD = 100 * (1 - np.exp(-STEPS / 50)) + 15 * np.sin(STEPS / 9) + 10 * NOISE
CODES = [ROLE_CODES[role] for role in (Role.TRAIN, Role.VAL, Role.GOAL)]


def alone(values: np.ndarray, name: str = "val/acc", *, rises: bool = True) -> Diagnosis:
    """The diagnosis of a run that logs nothing but its goal."""
    return diagnose(np.empty((0, 2)), goal=np.c_[STEPS, values], goal_name=name, goal_rises=rises)


def test_a_goal_that_rises_is_healthy_and_its_best_is_named() -> None:
    found = alone(0.9 - 0.8 * np.exp(-STEPS / 60) + 0.005 * NOISE)
    assert found.verdict == "healthy" and not found.findings
    assert "val/acc began at" in found.headline
    assert found.recommendation.best_goal == pytest.approx(0.88, abs=0.03)
    assert found.recommendation.reason.startswith("No reason to stop. Best val/acc: 0.8")


def test_a_goal_that_declines_ends_a_run_that_has_no_loss() -> None:
    found = alone(DECLINES + 0.005 * NOISE)
    assert (found.verdict, found.recommendation.action) == ("goal_decline", Action.STOP)
    assert next(f for f in found.findings if f.rule == "goal_decline").onset_step == pytest.approx(60, abs=10)
    assert "the best val/acc 0.8" in found.recommendation.reason


def test_beside_a_loss_a_decline_asks_for_a_look() -> None:
    loss = np.c_[STEPS, 2 * np.exp(-STEPS / 40)]
    found = diagnose(loss, loss, goal=np.c_[STEPS, DECLINES + 0.005 * NOISE])
    assert (found.verdict, found.recommendation.action) == ("goal_decline", Action.INVESTIGATE)
    assert found.recommendation.best_val_loss is not None


def test_the_direction_turns_the_verdict() -> None:
    assert alone(1 - DECLINES, "wer", rises=False).verdict == "goal_decline"
    assert alone(1 - LEARNS, "wer", rises=False).verdict == "goal_plateau"
    assert alone(1 - LEARNS, "acc", rises=True).verdict == "goal_decline"


def test_a_goal_that_no_longer_improves_is_a_plateau() -> None:
    found = alone(LEARNS + 0.005 * NOISE)
    assert found.verdict == "goal_plateau"
    flat = alone(0.1 + 0.005 * NOISE)
    assert "not improved since the start" in flat.headline


def test_a_plateau_names_one_step() -> None:
    """The step of its best, or the one from which on it rose within its noise only."""
    for values in (LEARNS + 0.005 * NOISE, np.minimum(LEARNS, 0.8) + 0.001 * STEPS / STEPS[-1]):
        told = next(f for f in alone(values).findings if f.rule == "goal_plateau").explanation
        assert told.count("step ") == 1, told


def test_a_plateau_above_its_noise_says_little_and_what_was_before() -> None:
    """An accuracy that creeps up by less than a fiftieth of its way, far above its noise, has not stood still."""
    creeps = np.minimum(LEARNS, 0.8) + 1e-4 * STEPS + 1e-5 * NOISE
    found = next(f for f in alone(creeps).findings if f.rule == "goal_plateau")
    assert not found.evidence["noisy"]
    now, before = (float(str(found.evidence[name])) for name in ("now", "before"))
    says = f"has gained little since step {found.onset_step:g}: {now:.4g} now, {before:.4g} before."
    assert says in found.explanation
    until = creeps[found.onset_step >= STEPS]
    assert before == pytest.approx(until.max(), rel=1e-3) and now > before


def test_a_reward_that_wanders_is_no_failure() -> None:
    found = alone(REWARD, "rollout/ep_rew_mean")
    assert {f.rule for f in found.findings} <= {"goal_plateau"}
    assert found.recommendation.action is Action.CONTINUE


def test_a_reward_that_collapses_asks_for_a_look() -> None:
    found = alone(np.where(STEPS < 120, 200 * (1 - np.exp(-STEPS / 30)), 20) + 10 * NOISE, "episode_reward")
    assert (found.verdict, found.recommendation.action) == ("goal_decline", Action.INVESTIGATE)


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
def test_shift_and_scale_of_a_goal_that_learns_change_no_verdict_of_decline(shift: float, scale: float) -> None:
    assert alone(shift + scale * LEARNS).verdict != "goal_decline"


def stream(seed: int) -> EnginePoints:
    """Losses, of which one turns, and a goal, with points that are not finite or come late."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 1200))
    role = rng.choice(CODES, n).astype("u1")
    step = np.maximum(np.arange(n) - rng.choice([0, 0, 0, 0, 7], n), 0).astype(float)
    loss = np.where(role == CODES[1], 1 + (2 * np.arange(n) / n - 0.7) ** 2, 2 - np.arange(n) / n)
    value = np.where(role == CODES[2], 0.5 + np.sin(np.arange(n) / 50), loss) + 0.1 * rng.normal(size=n)
    value[rng.random(n) < 0.02] = np.nan
    return EnginePoints(role, step, value, goal=("acc", True))


@given(st.integers(0, 10_000), st.lists(st.integers(0, 1200), max_size=6), st.booleans())
def test_the_findings_do_not_depend_on_the_batching(seed: int, cuts: list[int], stored: bool) -> None:
    points, engine = stream(seed), Engine()
    start = engine.start(aimed=bool(seed % 2))
    whole = engine.update(start, points)
    state, changes = start, list[Finding]()
    edges = sorted({0, len(points), *(cut for cut in cuts if cut < len(points))})
    for begin, end in pairwise(edges):
        before = State.from_bytes(state.to_bytes()) if stored else state
        update = engine.update(before, points.at(slice(begin, end)))
        state = update.state
        changes += update.changes
    assert tuple(changes) == whole.changes
    assert state.to_bytes() == whole.state.to_bytes()
    assert (update.verdict, update.headline, update.recommendation) == (
        whole.verdict, whole.headline, whole.recommendation,
    )  # fmt: skip


TRAIN_LOSS = np.c_[STEPS, 2 * np.exp(-STEPS / 30)]
VAL_LOSS = np.c_[STEPS, 2 * np.exp(-STEPS / 30) + 0.01 * np.maximum(0, STEPS - 60) + 0.3]
STILL = np.c_[STEPS, 0.93 * (1 - np.exp(-STEPS / 120)) + 0.002 * NOISE]


def test_a_rise_of_the_loss_stops_nothing_while_the_goal_improves() -> None:
    found = diagnose(TRAIN_LOSS, VAL_LOSS, goal=STILL, goal_name="val/accuracy")
    assert found.verdict == "overfitting"
    told = found.recommendation
    assert (told.action, told.first_stop_step) == (Action.CONTINUE, None)
    assert told.reason.startswith("The validation loss has risen since step 6")
    assert "val/accuracy still improves: best 0.7" in told.reason
    assert "no stop is advised while it does" in found.findings[-1].explanation


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("val/accuracy", np.minimum(STILL[:, 1], 0.5)),
        ("val/accuracy", 0.9 - STILL[:, 1]),
        ("train/accuracy", STILL[:, 1]),
    ],
    ids=["level", "falling", "of the training set"],
)
def test_a_rise_of_the_loss_stops_a_run_whose_goal_does_not_improve(name: str, values: np.ndarray) -> None:
    found = diagnose(TRAIN_LOSS, VAL_LOSS, goal=np.c_[STEPS, values], goal_name=name)
    assert (found.verdict, found.recommendation.action) == ("overfitting", Action.STOP)


def test_the_stop_comes_when_the_goal_has_stopped_improving() -> None:
    goal = np.c_[STEPS, np.minimum(STILL[:, 1], 0.6)]
    found = diagnose(TRAIN_LOSS, VAL_LOSS, goal=goal, goal_name="val/accuracy").recommendation
    assert found.action is Action.STOP
    assert found.first_stop_step is not None and found.first_stop_step > 125, "the goal has come to 0.6"


def test_a_goal_that_declines_is_not_also_called_flat() -> None:
    firing = {f.rule for f in alone(DECLINES).findings if f.resolved_step is None}
    assert "goal_decline" in firing
    assert "goal_plateau" not in firing
