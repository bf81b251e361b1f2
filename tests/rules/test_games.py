"""Losses whose level is no error: one side of a game, and a loss below zero of which nothing is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import losses
from monitor.domain import Action, FindingState
from monitor.roles import Role
from monitor.rules import ROLE_CODES, Engine, EnginePoints, State, diagnose

STEP = np.arange(1500.0)


def noise(scale: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, len(STEP))


GAMES: dict[str, tuple[np.ndarray, losses.LossSpec]] = {
    "critic": (-30 * np.exp(-STEP / 400) + noise(1.5), losses.Adversarial("wgan", side="discriminator")),
    "generator": (0.7 + 4 * (1 - np.exp(-STEP / 300)) + noise(0.3), losses.Adversarial("gan", side="generator")),
    "generator of wgan": (-5 + 0.02 * STEP + noise(1.0), losses.Adversarial("wgan", side="generator")),
    "value": (0.5 + (STEP / 300) ** 2 + noise(0.2), losses.Custom("value", game=True)),
}


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("validated", [False, True])
def test_a_game_is_no_divergence(name: str, validated: bool) -> None:
    curve, loss = GAMES[name]
    train = np.c_[STEP, curve]
    found = diagnose(train, train[::25] if validated else None, loss=loss)
    assert found.findings == ()
    assert (found.verdict, found.recommendation.action) == ("not_judged", Action.CONTINUE)
    assert found.recommendation.first_stop_step is None
    assert found.recommendation.best_step is None
    assert "in a game" in found.headline
    assert "in a game" in found.recommendation.reason
    judged = diagnose(train, goal=np.c_[STEP, STEP / 1500], loss=loss)
    assert (judged.verdict, judged.counts.goal) == ("healthy", len(STEP)), "its goal is judged"


@pytest.mark.parametrize("name", GAMES)
def test_a_game_that_is_no_longer_finite_is_stopped(name: str) -> None:
    curve, loss = GAMES[name]
    train = np.c_[STEP, np.where(STEP < 1000, curve, np.nan)]
    found = diagnose(train, loss=loss)
    assert found.verdict == "nan"
    assert found.recommendation.action is Action.STOP
    back = diagnose(np.r_[train[:1010], np.c_[STEP[1010:], curve[1010:]]], loss=loss)
    assert back.recommendation.action is not Action.STOP
    assert all(f.state is FindingState.RESOLVED for f in back.findings if f.rule in ("nan", "divergence"))


@pytest.mark.parametrize("name", ["critic", "generator of wgan"])
def test_without_a_word_on_the_loss_nobody_is_told_to_stop_because_of_one_below_zero(name: str) -> None:
    curve, _ = GAMES[name]
    found = diagnose(np.c_[STEP, curve], np.c_[STEP, curve][::25])
    assert found.verdict == "divergence"
    assert found.recommendation.action is Action.INVESTIGATE
    assert found.recommendation.first_stop_step is None
    divergence = next(f for f in found.findings if f.rule == "divergence")
    for text in (found.headline, found.recommendation.reason, divergence.explanation):
        assert "below zero" in text and "loss=" in text


def test_one_that_is_not_finite_is_stopped_all_the_same() -> None:
    curve, _ = GAMES["critic"]
    found = diagnose(np.c_[STEP, np.where(STEP < 1000, curve, np.nan)])
    assert found.recommendation.action is Action.STOP


@pytest.mark.parametrize(
    ("loss", "action"),
    [
        (losses.GaussianNLL(), Action.STOP),
        (losses.Custom("mine", floor=-40.0), Action.STOP),
        ({"name": "-auc", "comparable": True}, Action.STOP),
        ({"name": "mine"}, Action.INVESTIGATE),
        (losses.Custom("mine"), Action.INVESTIGATE),
        ({"name": "mine", "comparable": False}, Action.CONTINUE),
    ],
)
def test_what_is_said_of_the_loss_decides(loss: object, action: Action) -> None:
    curve = np.c_[STEP, -30 * np.exp(-STEP / 400) + noise(0.5)]
    assert diagnose(curve, curve[::25], loss=loss).recommendation.action is action  # type: ignore[arg-type]  # as given


def test_values_that_are_rounded_below_zero_do_not_matter() -> None:
    train = np.maximum(2.0 * np.exp(-STEP / 100), 1e-3) + np.where(STEP % 97 == 96, -2e-3, 0)
    at = STEP[::25]
    val = 1.0 - 0.5 * np.exp(-at / 60) + 0.003 * np.maximum(at - 200, 0) + 1.5 * np.exp(-at / 60)
    found = diagnose(np.c_[STEP, train], np.c_[at, val])
    assert train.min() < 0
    assert found.recommendation.action is Action.STOP


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=8),
    st.sampled_from([None, {"comparable": False}, {"comparable": True}]),
    st.sampled_from(["critic", "generator of wgan", "value"]),
)
def test_the_batches_make_no_difference(sizes: list[int], loss: dict[str, object] | None, name: str) -> None:
    curve = np.where((STEP > 700) & (STEP < 705), np.nan, GAMES[name][0])
    roles = np.full(len(STEP), ROLE_CODES[Role.TRAIN], np.uint8)

    def judged(cuts: list[int]) -> tuple[object, ...]:
        engine, done, changes = Engine(), 0, []
        state = engine.start(loss=loss)
        for cut in (*cuts, len(STEP)):
            span = slice(done, min(done + cut, len(STEP)))
            update = engine.update(state, EnginePoints(roles[span], STEP[span], curve[span]))
            state, done, changes = State.from_bytes(update.state.to_bytes()), span.stop, [*changes, *update.changes]
        return changes, update.verdict, update.headline, update.recommendation

    assert judged(sizes) == judged([])
