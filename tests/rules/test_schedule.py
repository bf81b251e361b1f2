"""What the learning rate's schedule did is said, with the exact steps."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.domain import Diagnosis, Finding
from monitor.rules import diagnose

STEP = np.arange(600.0)
NOISE = np.random.default_rng(0).normal(size=600)


def judged(train: np.ndarray, lr: np.ndarray, val: np.ndarray | None = None) -> Diagnosis:
    step = STEP[: len(train)]
    return diagnose(
        np.c_[step, train], None if val is None else np.c_[step, val][::10], lr=np.c_[step, lr[: len(train)]]
    )


def finding(found: Diagnosis, rule: str) -> Finding:
    return next(f for f in found.findings if f.rule == rule)


CLIMB = 0.3 + 2 * np.exp(-STEP / 60) + 0.02 * np.maximum(STEP - 405, 0) + 0.01 * NOISE


def test_a_divergence_after_a_rise_of_the_learning_rate_names_it() -> None:
    found = finding(judged(CLIMB, np.where(STEP < 400, 0.01, 0.1)), "divergence")
    assert found.evidence["lr_changed"] == 400
    assert (found.evidence["lr_before"], found.evidence["lr_after"]) == (0.01, 0.1)
    assert (
        f"It began {found.onset_step - 400:g} steps after the learning rate rose from 0.01 to 0.1." in found.explanation
    )


@pytest.mark.parametrize("lr", [np.full(600, 0.01), np.where(STEP < 100, 0.01, 0.1), np.where(STEP < 400, 0.1, 0.01)])
def test_a_divergence_that_no_rise_explains_names_none(lr: np.ndarray) -> None:
    found = finding(judged(CLIMB, lr), "divergence")
    assert "learning rate rose" not in found.explanation and "lr_changed" not in found.evidence


def test_the_gain_after_a_drop_is_the_schedule_s() -> None:
    loss = np.where(STEP < 500, 1 + np.exp(-STEP / 40), 1 - 0.5 * (1 - np.exp(-(STEP - 500) / 30))) + 0.002 * NOISE
    found = judged(loss, np.where(STEP < 500, 0.1, 0.01), loss + 0.1)
    assert found.verdict == "improving"
    assert found.headline.endswith("The learning rate fell from 0.1 to 0.01 at step 500.")


def test_a_jump_at_a_warm_restart_is_no_spike_and_the_same_jump_without_one_is() -> None:
    loss = 0.3 + 2 * np.exp(-STEP / 60) + 0.01 * NOISE
    loss[300:] += 3 * np.exp(-(STEP[300:] - 300) / 3)
    restarts = 0.05 * (1 + np.cos(np.pi * (STEP % 300) / 300))
    assert "spike" not in {f.rule for f in judged(loss, restarts).findings}
    assert "spike" in {f.rule for f in judged(loss, np.full(600, 0.05)).findings}
