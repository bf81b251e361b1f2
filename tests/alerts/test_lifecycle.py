from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alerts import alerts_for, status_alert
from monitor.alerts.lifecycle import EVIDENCE_SHOWN
from monitor.domain import Alert, FindingState, RunStatus, Severity

from .conftest import a_finding, a_run


def test_a_critical_finding_that_fires_is_told_with_numbers_and_advice() -> None:
    (alert,) = alerts_for(a_run(), [a_finding()], now_ms=7)

    assert alert.title == "brave-otter: overfitting since step 900 (digits)"
    assert alert.body.splitlines() == [
        "Validation loss rose from 0.41 to 0.58 while training loss fell.",
        "What to do: Stop and go back to step 875.",
        "Numbers: val_best = 0.41235, checks = 7.",
        f"Run {'ab' * 16} of project digits.",
    ]
    assert (alert.kind, alert.state, alert.severity) == ("overfitting", "firing", Severity.CRITICAL)
    assert (alert.step, alert.created_ms) == (1150.0, 7)


def test_the_resolved_message_carries_the_key_of_the_firing_one() -> None:
    (fired,) = alerts_for(a_run(), [a_finding()], now_ms=7)
    (resolved,) = alerts_for(a_run(), [a_finding(state=FindingState.RESOLVED, resolved_step=1300.0)], now_ms=9)

    assert resolved.dedup_key == fired.dedup_key
    assert resolved.state == "resolved"
    assert resolved.title == "brave-otter: overfitting resolved at step 1,300 (digits)"
    assert "What to do" not in resolved.body and "Numbers" not in resolved.body


def test_a_second_finding_of_the_same_rule_has_a_key_of_its_own() -> None:
    first, second = alerts_for(a_run(), [a_finding(number=3), a_finding(number=4)], now_ms=7)

    assert first.dedup_key != second.dedup_key


def test_good_news_and_pending_findings_alert_nobody() -> None:
    changes = [a_finding(severity=Severity.INFO, rule="convergence"), a_finding(state=FindingState.PENDING)]

    assert alerts_for(a_run(), changes, now_ms=7) == ()


def test_a_long_evidence_is_cut_and_says_so() -> None:
    (alert,) = alerts_for(a_run(), [a_finding(evidence={f"n{i}": i for i in range(EVIDENCE_SHOWN + 3)})], now_ms=7)

    assert "n11 = 11, and 3 more." in alert.body
    assert "n12" not in alert.body


@given(
    state=st.sampled_from([FindingState.FIRING, FindingState.RESOLVED]),
    severity=st.sampled_from([Severity.CRITICAL, Severity.WARNING]),
    step=st.floats(0, 1e9),
    resolved=st.none() | st.floats(0, 1e9),
    evidence=st.dictionaries(
        st.text(max_size=9), st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    ),
)
def test_every_change_above_info_becomes_one_alert_that_survives_json(
    state: FindingState, severity: Severity, step: float, resolved: float | None, evidence: dict[str, float]
) -> None:
    finding = a_finding(state=state, severity=severity, onset_step=step, resolved_step=resolved, evidence=evidence)

    (alert,) = alerts_for(a_run(), [finding], now_ms=7)

    assert alert.state == str(state)
    assert Alert.from_dict(alert.to_dict()) == alert


@pytest.mark.parametrize(
    ("status", "severity", "words"),
    [
        (RunStatus.LOST, Severity.CRITICAL, "No heartbeat for 5 min"),
        (RunStatus.STALLED, Severity.WARNING, "nothing was logged for 5 min"),
        (RunStatus.FAILED, Severity.CRITICAL, "RuntimeError: CUDA out of memory"),
    ],
)
def test_a_run_in_trouble_is_told_with_what_to_do(status: RunStatus, severity: Severity, words: str) -> None:
    run = a_run(error="RuntimeError: CUDA out of memory")

    alert = status_alert(run, status, now_ms=1_300_000)

    assert (alert.kind, alert.state, alert.severity) == (str(status), "firing", severity)
    assert words in alert.body
    assert "What to do: " in alert.body
    assert alert.step == 1150


def test_a_run_that_said_it_failed_is_not_said_to_have_raised_anything() -> None:
    body = status_alert(a_run(error=None), RunStatus.FAILED, now_ms=1_300_000).body
    assert body.splitlines()[0] == "It failed at step 1,150, without a message."


def test_a_lost_run_that_comes_back_resolves_its_alert() -> None:
    lost = status_alert(a_run(), RunStatus.LOST, now_ms=1_300_000)

    back = status_alert(a_run(status=RunStatus.LOST), RunStatus.RUNNING, now_ms=1_400_000)

    assert (back.kind, back.state) == ("lost", "resolved")
    assert back.dedup_key == lost.dedup_key
    assert back.title == "brave-otter is running, no longer lost (digits)"


def test_a_run_that_simply_finishes_is_no_alert() -> None:
    with pytest.raises(ValueError, match="from running to finished"):
        status_alert(a_run(), RunStatus.FINISHED, now_ms=7)
