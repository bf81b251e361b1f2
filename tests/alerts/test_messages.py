"""A storm is one message, a flapping finding is a few, and no name calls anybody."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alerts import alerts_for, status_alert
from monitor.alerts.messages import BURST, GROUP_FROM, HOLD_MS, PATIENCE_MS, QUIET_MS, Planned, inert, plan
from monitor.domain import Alert, Delivery, FindingState, RunStatus, Severity

from .conftest import a_finding, a_run

NOW = 1_700_000_000_000


def due(alerts: Iterable[Alert]) -> list[Delivery]:
    return [Delivery(id=i, alert=alert) for i, alert in enumerate(alerts)]


def lost(number: int, now_ms: int = NOW) -> Alert:
    run = a_run(id=f"{number:032x}", name=f"run-{number}", project=f"p{number % 2}")
    return status_alert(run, RunStatus.LOST, now_ms=now_ms)


def finding(number: int, *, rule: str = "divergence", resolved: bool = False, run: int = 1, at: int = NOW) -> Alert:
    state = FindingState.RESOLVED if resolved else FindingState.FIRING
    found = a_finding(number=number, rule=rule, state=state, resolved_step=1300.0 if resolved else None)
    (alert,) = alerts_for(a_run(id=f"{run:032x}", name=f"run-{run}"), [found], now_ms=at)
    return alert


def covered(planned: list[Planned]) -> list[int]:
    return sorted(i for one in planned for _, i in one.rows)


def test_two_thousand_lost_runs_are_one_message_with_the_first_names() -> None:
    alerts = due(lost(n, NOW + n * 10) for n in range(2000))

    (planned,) = plan(alerts, (), NOW + 20_000 + QUIET_MS)

    message = planned.message
    assert message.title.startswith("2,000 runs lost since ")
    assert message.body.splitlines()[0] == (
        "run-0 (p0), run-1 (p1), run-2 (p0), run-3 (p1), run-4 (p0), and 1,995 more."
    )
    assert (message.count, len(message.run_ids), message.severity) == (2000, 100, Severity.CRITICAL)
    assert covered([planned]) == list(range(2000))


@pytest.mark.parametrize("body", ["3 GiB left", ""])
def test_a_message_of_the_loop_says_of_which_run_it_is(body: str) -> None:
    alert = dataclasses.replace(finding(1), kind="alert", title="disk full", body=body, dedup_key="r:alert:disk full")
    (planned,) = plan(due([alert]), (), NOW)
    assert planned.message.title == "run-1: disk full (digits)"
    assert f"{1:032x}" in planned.message.body or not body


def test_what_a_clock_that_was_ahead_has_noted_does_not_hold_a_message_back() -> None:
    ahead = NOW + 3_600_000
    assert len(plan(due([lost(1, ahead)]), (), NOW)) == 1
    told = [(finding(1).dedup_key, ahead + n, "firing") for n in range(BURST + 2)]
    assert len(plan(due([finding(1)]), told, NOW)) == 1


def test_while_runs_are_being_lost_nobody_is_told_but_not_for_long() -> None:
    alerts = due(lost(n, NOW + n * 1000) for n in range(20))

    assert plan(alerts, (), NOW + 19_000 + QUIET_MS - 1) == []
    assert len(plan(alerts, (), NOW + 19_000 + QUIET_MS)) == 1
    assert len(plan(due(lost(n, NOW + n * 1000) for n in range(61)), (), NOW + PATIENCE_MS)) == 1


def test_a_few_lost_runs_are_told_one_by_one_and_a_finding_at_once() -> None:
    alerts = due([*(lost(n) for n in range(GROUP_FROM - 1)), finding(1, at=NOW + QUIET_MS)])

    planned = plan(alerts, (), NOW + QUIET_MS)

    assert [one.message.title for one in planned] == [d.alert.title for d in alerts]


def test_the_same_finding_of_many_runs_is_one_message() -> None:
    (planned,) = plan(due(finding(1, rule="nan", run=n) for n in range(12)), (), NOW)

    assert planned.message.title.startswith("12 runs with nan since ")
    assert planned.message.run_name == "12 runs"


def test_a_group_waits_as_little_as_its_newest_member_would() -> None:
    tried = [
        dataclasses.replace(row, attempts=5 - row.id) for row in due(finding(1, rule="nan", run=n) for n in range(6))
    ]
    (planned,) = plan(tried, (), NOW)
    assert planned.tries == 0


def test_what_a_flapping_finding_did_meanwhile_is_one_message_with_a_count() -> None:
    alerts = due(finding(n // 2, resolved=n % 2 == 1, at=NOW + n) for n in range(79))

    (planned,) = plan(alerts, (), NOW)

    assert planned.message.title == f"{alerts[-1].alert.title}, 79 changes"
    assert "It fired 40 and was resolved 39 times since " in planned.message.body
    assert (planned.message.state, planned.message.dedup_key) == ("firing", alerts[-1].alert.dedup_key)


def test_a_rule_that_keeps_on_changing_is_told_twice_and_then_ever_more_rarely() -> None:
    told: list[tuple[str, int, str]] = []
    waiting: list[Delivery] = []
    messages = 0
    for n in range(300):  # a change every ten seconds
        now = NOW + n * 10_000
        waiting += due([finding(n // 2, resolved=n % 2 == 1, at=now)])
        for one in plan(waiting, told, now):
            messages += 1
            told += [(d.alert.dedup_key, now, d.alert.state) for d in waiting]
            waiting = []
            assert one.message.count >= 1
    assert messages == BURST + 2  # after 5 minutes, and 20 more


def test_another_rule_or_another_run_is_told_while_one_is_held() -> None:
    told = [(finding(n).dedup_key, NOW + n, "firing") for n in range(BURST)]
    alerts = due([finding(9), finding(9, rule="nan"), finding(9, run=2)])

    assert covered(plan(alerts, told, NOW + 1)) == [1, 2]
    assert covered(plan(alerts, told, NOW + BURST + HOLD_MS)) == [0, 1, 2]


def test_a_loop_that_raises_alerts_without_end_is_one_message() -> None:
    base = finding(1)
    import dataclasses

    alerts = [
        dataclasses.replace(base, kind="alert", title=f"loss is {n}", dedup_key=f"{base.run_id}:alert:loss is {n}")
        for n in range(50)
    ]

    (planned,) = plan(due(alerts), (), NOW)

    assert planned.message.title.startswith("run-1: 50 alerts since ")
    assert "loss is 0, loss is 1" in planned.message.body


@given(
    st.lists(
        st.tuples(st.integers(1, 8), st.sampled_from(["nan", "spike", "lost", "stalled"]), st.booleans()), max_size=20
    )
)
def test_every_alert_is_in_one_message_at_most_and_in_one_once_it_may_be_told(
    wanted: list[tuple[int, str, bool]],
) -> None:
    alerts = due(
        lost(run, NOW + i) if rule == "lost" else finding(i, rule=rule, resolved=resolved, run=run, at=NOW + i)
        for i, (run, rule, resolved) in enumerate(wanted)
    )
    found = covered(plan(alerts, (), NOW))
    assert len(set(found)) == len(found)
    late = plan(alerts, (), NOW + PATIENCE_MS + 40)
    assert covered(late) == list(range(len(alerts)))
    assert len({one.message.id for one in late}) == len(late)


@pytest.mark.parametrize(
    "text", ["@everyone", "hi @here!", "<!channel>", "<@U123>", "<@&99>", "<#C1>", "<http://x|y>", "<a href=x>", "@a@b"]
)
def test_no_name_calls_anybody(text: str) -> None:
    assert text not in inert(text)
    assert inert(text).replace("\u200b", "") == text


@pytest.mark.parametrize("text", ["acc@5", "a < b", "anna@example.org", "loss = 0.3", "x @ y"])
def test_other_texts_stay(text: str) -> None:
    assert inert(text) == text
