"""The units of what the attention queue is ranked by: hours, money, and seconds per step."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.domain import Finding, FindingState, RunInfo, RunStatus, Saving, Severity
from monitor.insight.attention import Told, age_h, burn_of
from monitor.insight.economics import seconds_per_step
from monitor.store.runs.facts import Facts

HOUR_MS = 3_600_000
TOLD = Told("lost", 1.0, "is lost")


def a_run(**changed: Any) -> RunInfo:
    values: dict[str, Any] = {
        "id": "ab" * 16,
        "project": "p",
        "name": "n",
        "status": RunStatus.RUNNING,
        "created_ms": 0,
    }
    return RunInfo(**(values | changed))


@pytest.mark.parametrize(
    ("saved", "shown"),
    [
        (Saving(hours=0.0), "0 min"), (Saving(hours=0.008), "less than a minute"), (Saving(hours=0.009), "1 min"),
        (Saving(hours=0.99), "59 min"), (Saving(hours=0.996), "1 hour"), (Saving(hours=1.04), "1 hour"),
        (Saving(hours=1.06), "1.1 hours"), (Saving(hours=9.0, gpu_hours=1.0), "1 GPU-hour"),
        (Saving(hours=0.5, gpu_hours=2.0, cost=7.0), "2 GPU-hours, about 7.00 USD"),
    ],
)  # fmt: skip
def test_a_saving_is_shown_in_a_unit_of_its_size(saved: Saving, shown: str) -> None:
    assert saved.amount == shown


@pytest.mark.parametrize(
    ("saved", "burn"),
    [
        (Saving(), 2.0),
        (Saving(gpus=4), 8.0),
        (Saving(price_hour=1.5), 3.0),
        (Saving(hours=0.5), 0.5),
        (Saving(hours=0.5, gpu_hours=2.0), 2.0),
        (Saving(hours=0.5, gpu_hours=2.0, cost=7.0), 7.0),
    ],
)
def test_the_rest_of_a_run_counts_in_money_else_in_hours_of_its_cards(saved: Saving, burn: float) -> None:
    assert burn_of(Facts(begun_ms=HOUR_MS), saved, 3 * HOUR_MS) == pytest.approx(burn)


def test_the_age_of_a_problem_is_in_hours() -> None:
    lost = a_run(status=RunStatus.LOST, heartbeat_ms=HOUR_MS, last_point_ms=0)
    assert age_h(lost, TOLD, Saving(), 4 * HOUR_MS) == pytest.approx(3)
    assert age_h(a_run(last_point_ms=0), TOLD, Saving(), 4 * HOUR_MS) == 0

    finding = Finding(
        rule="overfitting", version=1, state=FindingState.FIRING, severity=Severity.CRITICAL, onset_step=50,
        fired_step=100, resolved_step=None, evidence={}, explanation="", advice="",
    )  # fmt: skip
    told = Told("overfitting", 1.0, "overfits", finding=finding)
    assert age_h(a_run(last_step=1900), told, Saving(seconds_per_step=4.0), 0) == pytest.approx(2)


def test_the_time_of_a_step_is_the_time_of_the_attempt_by_its_steps() -> None:
    facts = Facts(begun_ms=10_000, first_step=100)
    assert seconds_per_step(a_run(last_step=149, last_point_ms=35_000), facts) == pytest.approx(0.5)
    assert seconds_per_step(a_run(last_step=100, last_point_ms=35_000), facts) is None
    assert seconds_per_step(a_run(last_step=149, last_point_ms=10_000), facts) is None
