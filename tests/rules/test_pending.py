"""A finding is seen before it fires: what holds, for how long it has, and for how long it must."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.domain import Pending, Recommendation
from monitor.rules import Engine, EnginePoints, RulesConfig, diagnose

STEPS = np.arange(0, 400, 10.0)
TRAIN = np.c_[STEPS, 2 * np.exp(-STEPS / 60)]
VAL = np.c_[STEPS, np.where(STEPS < 150, 0.5 + 2 * np.exp(-STEPS / 30), 0.51 + 0.004 * (STEPS - 150))]


def lives(config: RulesConfig) -> list[tuple[Pending | None, bool]]:
    """After each evaluation: overfitting as it is pending, and whether it fires."""
    engine, found = Engine(config), []
    state, firing = engine.start(), False
    for train, val in zip(TRAIN, VAL, strict=True):
        points = EnginePoints(np.array([0, 1], "u1"), np.array([train[0], val[0]]), np.array([train[1], val[1]]))
        update = engine.update(state, points)
        state = update.state
        for change in update.changes:
            firing = (change.state == "firing") if change.rule == "overfitting" else firing
        found.append((next((p for p in update.recommendation.pending if p.rule == "overfitting"), None), firing))
    return found


def test_a_condition_is_pending_until_it_has_held_for_as_long_as_it_must() -> None:
    life = lives(RulesConfig.from_mapping({"overfitting": {"patience": 4, "unit": "evals"}}))
    seen = [pending for pending, _ in life if pending is not None]
    assert [pending.held for pending in seen] == [0, 1, 2, 3]
    assert {(pending.needed, pending.unit, pending.likely) for pending in seen} == {(4, "evals", False)}
    assert (
        seen[2].explanation
        == f"Overfitting is pending since step {seen[2].onset_step:g}: it has held for 2 of 4 evals."
    )
    first_firing = [firing for _, firing in life].index(True)
    assert life[first_firing - 1][0] is not None and life[first_firing][0] is None


def test_what_is_likely_is_told_as_such_before_it_is_certain() -> None:
    train = [1.6, 1.2, 0.9, 0.7, 0.55, 0.45, 0.38, 0.33, 0.29, 0.26]
    val = [1.7, 1.4, 1.2, 1.1, 1.05, 1.03, 1.05, 1.06, 1.09, 1.1]
    config = RulesConfig.from_mapping({"overfitting": {"z": 6, "likely_z": 5}})
    told = diagnose(np.c_[np.arange(10), train], np.c_[np.arange(10), val], unit="epoch", config=config).recommendation
    assert told.action == "stop" and [(p.rule, p.likely) for p in told.pending] == [("overfitting", True)]
    assert told.pending[0].explanation == "Overfitting is likely since epoch 5, but not certain."


@pytest.mark.parametrize("unit", ["checks", "steps", "evals", "epochs"])
def test_patience_counts_in_the_unit_that_was_asked_for(unit: str) -> None:
    patience = 20 if unit in ("steps", "epochs") else 2
    config = RulesConfig.from_mapping({"overfitting": {"patience": patience, "unit": unit}})
    pending = [p for p, _ in lives(config) if p is not None]
    assert pending and all(p.unit == unit and p.held < p.needed == patience for p in pending)


def test_a_condition_that_goes_away_is_no_longer_pending() -> None:
    train = np.r_[np.full(30, 1.0), np.full(3, 1.6), np.full(17, 1.0)] * np.exp(-np.arange(50) / 40)
    life = []
    for n in range(30, 50):
        told = diagnose(np.c_[np.arange(n), train[:n]], unit="epoch")
        assert "divergence" not in {finding.rule for finding in told.findings}
        life.append("divergence" in {pending.rule for pending in told.recommendation.pending})
    assert life[0] is False and True in life and life[-1] is False


def test_a_pending_finding_survives_json() -> None:
    config = RulesConfig.from_mapping({"overfitting": {"patience": 400}})
    told = diagnose(TRAIN, VAL, config=config).recommendation
    assert told.pending and Recommendation.from_dict(told.to_dict()) == told
    old = {key: value for key, value in told.to_dict().items() if key not in ("pending", "patience")}
    assert Recommendation.from_dict(old).pending == ()
