"""What the engine says of real runs reads well: no number that is none, none that is not rounded, no contradiction."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.corpus.runs import Run, load
from monitor.domain import Diagnosis, FindingState
from monitor.rules import diagnose

UGLY = {
    "a number that is none": r"\b(?:nan|inf|None)\b",
    "a share that rounds to nothing": r"(?<![\d.])0(?:\.0+)? ?%",
    "a negative share": r"(?<!\d)-\d[\d.]* ?%",
    "a share with an exponent": r"e[+-]\d+ ?%",
    "a share in the thousands": r"\d{4,}(?:\.\d+)? ?%",
    "a number that is not rounded": r"[1-9]\d*\.\d{6,}|(?<!\d)0\.0*[1-9]\d{5,}",
    "two spaces": r"  ",
    "two stops": r"\.\.|,,| [.,;:]",
    "more held than needed": r"held for 4 of 3",
}
CLASH = ("convergence", "stagnation")
"""Rules that say the opposite of each other."""


def prefixes(run: Run) -> Iterator[Diagnosis]:
    """What is said of a run at its end, and was said a third and a tenth of the way there."""
    for share in (1.0, 0.33, 0.1):
        train, val = (curve[: max(1, round(share * len(curve)))] for curve in (run.train, run.val))
        yield diagnose(train, val, unit=run.unit, lr=run.lr, grad_norm=run.grad_norm)


def sentences(found: Diagnosis) -> Iterator[str]:
    advice = found.recommendation
    yield found.headline
    yield advice.reason
    yield advice.patience.explanation if advice.patience else ""
    yield from (pending.explanation for pending in advice.pending)
    for finding in found.findings:
        yield finding.explanation
        yield finding.advice


def complaints(runs: list[Run]) -> list[str]:
    out = []
    for run in runs:
        for found in prefixes(run):
            for text in sentences(found):
                out += [f"{run.run_id}: {what}: {text}" for what, ugly in UGLY.items() if re.search(ugly, text)]
            firing = {f.rule for f in found.findings if f.state is FindingState.FIRING}
            out += [f"{run.run_id}: both {' and '.join(CLASH)}"] * firing.issuperset(CLASH)
            out += [f"{run.run_id}: {f.rule} over before it was told" for f in found.findings
                    if f.resolved_step is not None and f.resolved_step < f.fired_step]  # fmt: skip
    return out


STEP = np.arange(3000.0)


def test_a_constant_loss_is_not_told_that_training_has_come_down() -> None:
    found = diagnose(np.c_[STEP, np.full(3000, 0.7)], np.c_[STEP, np.full(3000, 0.7)][::100])
    assert found.verdict == "stagnation" and "has come down" not in found.recommendation.reason


def test_a_loss_that_is_zero_is_told_as_zero() -> None:
    for loss in (np.zeros(3000), np.maximum(1 - STEP / 400, 0)):
        regimes = diagnose(np.c_[STEP, loss], np.c_[STEP, loss][::100]).regimes
        assert {regime.stop for regime in regimes if regime.kind == "flat"} == {0.0}


def test_a_finding_does_not_advise_a_stop_that_the_goal_holds_back() -> None:
    at = np.arange(1.0, 61.0)
    train, val = 0.02 + 2 * np.exp(-at / 4), 0.6 + 1.5 * np.exp(-at / 6) + 0.02 * np.maximum(at - 20, 0)
    goal = np.c_[at, 1 - 0.8 * np.exp(-at / 15)]
    found = diagnose(np.c_[at, train], np.c_[at, val], unit="epoch", goal=goal, goal_name="accuracy")
    advice = next(finding.advice for finding in found.findings if finding.rule == "overfitting")
    assert found.recommendation.action == "continue"
    assert advice == "Choose the checkpoint by accuracy; continue while it improves."


def test_a_training_loss_that_has_nearly_gone_has_not_fallen_by_all() -> None:
    train, val = 4.6 * np.exp(-STEP / 100) + 1e-4, 7.6 - 3 * np.exp(-STEP / 300)
    found = diagnose(np.c_[STEP, train], np.c_[STEP, val][::20])
    assert "fell by more than 99%" in found.headline and "certain since step" in found.recommendation.reason


def test_steps_ahead_are_told_as_steps_are() -> None:
    found = diagnose(np.c_[STEP, 0.3 + 2 * np.exp(-STEP / 900)])
    assert re.search(r"over the next 1,\d{3} steps", found.recommendation.reason)


def test_what_is_said_of_some_runs_reads_well() -> None:
    assert complaints([run for split in ("dev", "dev-2") for run in load(split)[::6]]) == []


@pytest.mark.slow
@pytest.mark.parametrize("split", ["dev", "dev-2", "held"])
def test_what_is_said_of_every_run_that_may_be_looked_at_reads_well(split: str) -> None:
    assert complaints(load(split)) == []


def test_nan_is_spelled_as_everywhere() -> None:
    falls = [(step, 1 / (1 + step)) for step in range(40)]
    assert diagnose([*falls, (40, float("nan")), (41, 0.02)]).headline.startswith("NaN since step 40; ")
