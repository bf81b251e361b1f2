"""Which messages a channel is sent: level, projects, silences, inhibition, quiet hours, and what was sent before."""

from __future__ import annotations

import dataclasses
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alerts import alerts_for, status_alert
from monitor.alerts.lifecycle import finished_alert
from monitor.alerts.routes import HEARD_MS, INHIBITS, SETTLE_MS, Quiet, Route, sort
from monitor.alerts.thresholds import alert_of, parse
from monitor.domain import Alert, AlertInfo, AlertState, Delivery, FindingState, RunStatus, Severity, Silence, alert_id
from monitor.rules import RULE_NAMES

from .conftest import a_finding, a_run

NOW = 1_700_000_000_000


def finding(rule: str = "overfitting", *, resolved: bool = False, at: int = NOW, **changed: object) -> Alert:
    state = FindingState.RESOLVED if resolved else FindingState.FIRING
    found = a_finding(rule=rule, state=state, resolved_step=1300.0 if resolved else None, **changed)
    (alert,) = alerts_for(a_run(), [found], now_ms=at)
    return alert


def due(*alerts: Alert) -> list[Delivery]:
    return [Delivery(id=i, alert=alert) for i, alert in enumerate(alerts)]


def stands(alert: Alert, **changed: object) -> AlertInfo:
    values = {
        "id": alert_id(alert.run_id, alert.key), "run_id": alert.run_id, "project": alert.project,
        "run_name": alert.run_name, "rule": alert.kind, "severity": alert.severity, "state": AlertState.FIRING,
        "count": 1, "title": alert.title, "body": alert.body, "step": None, "created_ms": NOW, "fired_ms": NOW,
        "changed_ms": NOW,
    }  # fmt: skip
    return AlertInfo(**(values | changed))  # type: ignore[arg-type]  # its own fields


def outcome(
    *alerts: Alert,
    told: tuple[tuple[str, int, str], ...] = (),
    standing: tuple[AlertInfo, ...] = (),
    silences: tuple[Silence, ...] = (),
    now_ms: int = NOW,
    **route: object,
) -> list[object]:
    """Per message: "send", why it is skipped, or when it is looked at again."""
    found = sort(due(*alerts), told, standing, silences, Route(**route), now_ms)  # type: ignore[arg-type]  # fields by name
    by_id: dict[int, object] = dict.fromkeys((each.id for each in found.send), "send")
    by_id |= {each.id: why for each, why in found.skip} | {each.id: at for each, at in found.wait}
    return [by_id[i] for i in range(len(alerts))]


def test_a_channel_gets_what_is_of_its_level_and_of_its_projects() -> None:
    warning = finding("spike", severity=Severity.WARNING)
    assert outcome(warning, finding(), level=Severity.CRITICAL) == ["below the channel's level", "send"]
    assert outcome(finding(), projects=("vision", "dig*")) == ["send"]
    assert outcome(finding(), projects=("vision",)) == ["of another project"]
    assert outcome(finding(), only_digest=True) == ["the channel takes digests only"]


def test_that_a_run_finished_is_sent_where_it_is_asked_for() -> None:
    news = finished_alert(a_run(), RunStatus.FINISHED, now_ms=NOW)
    assert outcome(news) == ["not asked for"]
    assert outcome(news, finished=True, level=Severity.CRITICAL) == ["send"]


def test_a_resolution_is_sent_where_its_firing_was() -> None:
    fired, over = finding(), finding(resolved=True)
    told = ((fired.dedup_key, NOW - 5, "firing"),)
    assert outcome(over, told=told) == ["send"]
    assert outcome(over) == outcome(fired, over)[:1] == ["resolved before it was sent"]
    assert outcome(over, told=told, resolved=False) == ["the channel takes no resolutions"]
    passed = finding("spike", resolved=True, severity=Severity.WARNING)
    warned = ((passed.dedup_key, NOW - 5, "firing"),)
    assert outcome(passed, told=warned) == ["the channel takes no resolutions"]
    assert outcome(passed, told=warned, resolved=True) == ["send"]


def test_a_flap_that_ends_as_was_sent_before_is_not_news() -> None:
    told = ((finding().dedup_key, NOW - 5, "firing"),)
    assert set(outcome(finding(resolved=True), finding(number=4), told=told)) == {"it fires, as was sent before"}
    assert outcome(finding(number=4), told=told) == ["send"]  # a repetition


def test_an_answer_that_came_first_spares_the_message() -> None:
    answered = stands(finding(), acked_by="ada", acked_ms=NOW + 1)
    assert outcome(finding(), standing=(answered,)) == ["acknowledged by ada"]
    assert outcome(finding(at=NOW + 2), standing=(answered,)) == ["send"]


def test_of_a_deleted_run_nothing_is_sent() -> None:
    gone = stands(finding(), state=AlertState.RESOLVED, resolution="the run was deleted")
    assert outcome(finding(), standing=(gone,)) == ["the run was deleted"]


def test_a_rule_that_says_more_inhibits_what_it_explains_on_the_same_run() -> None:
    spike, nan = finding("spike"), finding("nan")
    assert outcome(spike, nan, standing=(stands(spike), stands(nan))) == ["inhibited by nan", "send"]
    over = stands(nan, state=AlertState.RESOLVED)
    assert outcome(spike, standing=(stands(spike), over)) == ["send"]
    elsewhere = stands(nan, run_id="cd" * 16)
    assert outcome(spike, standing=(stands(spike), elsewhere)) == ["send"]


def threshold(*, judged: bool = True, resolved: bool = False) -> Alert:
    state = "resolved" if resolved else "firing"
    return alert_of(parse("val/loss > 2"), a_run(), state, "val/loss", 2.1, 900, NOW, judged=judged)


def test_a_threshold_waits_while_a_rule_that_was_sent_says_what_the_trouble_is() -> None:
    line, nan = threshold(), finding("nan")
    both = (stands(line, severity=Severity.WARNING), stands(nan))
    assert outcome(line, nan, standing=both) == [NOW + HEARD_MS, "send"]
    told = ((nan.dedup_key, NOW - 5, "firing"),)
    assert outcome(line, told=told, standing=both) == [NOW + HEARD_MS]
    assert outcome(line, told=told, standing=(both[0], stands(nan, state=AlertState.RESOLVED))) == ["send"]
    over = stands(line, state=AlertState.RESOLVED, resolved_ms=NOW + 1)
    assert outcome(line, told=told, standing=(over, both[1])) == ["resolved before it was sent"]


def test_a_threshold_is_sent_where_no_message_of_a_rule_says_so() -> None:
    line, nan, slow = threshold(), finding("nan"), finding("stagnation", severity=Severity.WARNING)
    assert outcome(line, standing=(stands(line), stands(nan))) == ["send"]  # the channel was not told of the rule
    settling = (stands(line), stands(slow, severity=Severity.WARNING))
    assert outcome(line, slow, standing=settling) == ["send", NOW + SETTLE_MS]
    told = ((nan.dedup_key, NOW - 5, "firing"),)
    other = threshold(judged=False)  # of the temperature of a card, say
    assert outcome(other, told=told, standing=(stands(other), stands(nan))) == ["send"]
    elsewhere = stands(nan, run_id="cd" * 16)
    assert outcome(line, told=told, standing=(stands(line), elsewhere)) == ["send"]


def test_a_rule_is_sent_though_a_threshold_was_as_it_says_more() -> None:
    line, nan = threshold(), finding("nan")
    told = ((line.dedup_key, NOW - 5, "firing"),)
    assert outcome(nan, told=told, standing=(stands(line), stands(nan))) == ["send"]


def test_ten_thousand_runs_that_alert_at_once_are_sorted_soon() -> None:
    alerts = [dataclasses.replace(finding(), run_id=f"{n:032x}", dedup_key=f"{n:032x}:nan:1") for n in range(10_000)]
    infos = [stands(alert) for alert in alerts]
    before = time.process_time()
    assert len(sort(due(*alerts), (), infos, (), Route(), NOW).send) == 10_000
    assert time.process_time() - before < 3  # not once for each pair


def test_what_inhibits_and_what_is_inhibited_exists() -> None:
    known = {*RULE_NAMES, "lost", "stalled"}
    assert {*INHIBITS, *(rule for rules in INHIBITS.values() for rule in rules)} <= known


def a_silence(**fields: object) -> Silence:
    values = {"id": "1", "reason": "r", "by": "ada", "created_ms": NOW, "until_ms": NOW + 60_000}
    return Silence(**(values | fields))  # type: ignore[arg-type]  # its own fields


def test_a_silenced_message_waits_for_as_long_as_it_is_silenced() -> None:
    (again,) = outcome(finding(), silences=(a_silence(run="brave-*"),))
    assert isinstance(again, int)
    assert NOW < again <= NOW + 60_000
    assert outcome(finding(), silences=(a_silence(run="other-*"),)) == ["send"]
    later = NOW + 7 * 86_400_000
    assert outcome(finding(), silences=(a_silence(rule="overfitting", until_ms=later + 5),), now_ms=later) == [
        later + 5
    ]
    assert outcome(finding(), now_ms=later) == ["send"]


def test_a_warning_of_a_rule_waits_and_is_dropped_where_it_passes_meanwhile() -> None:
    warning = finding("stagnation", severity=Severity.WARNING)
    assert outcome(warning) == [NOW + SETTLE_MS]
    assert outcome(warning, now_ms=NOW + SETTLE_MS, standing=(stands(warning),)) == ["send"]
    over = stands(warning, state=AlertState.RESOLVED, resolved_ms=NOW + 5)
    assert outcome(warning, now_ms=NOW + SETTLE_MS, standing=(over,)) == ["resolved before it was sent"]
    ended = stands(finding(), state=AlertState.RESOLVED, resolved_ms=NOW + 5, resolution="the run finished")
    assert outcome(finding(), standing=(ended,)) == ["send"]  # what is critical is told, though the run is over


def test_a_warning_from_a_clock_that_was_ahead_does_not_wait_until_its_time_has_come() -> None:
    warning = finding("stagnation", severity=Severity.WARNING, at=NOW + 3_600_000)
    assert outcome(warning, standing=(stands(warning),)) == ["send"]


def test_in_quiet_hours_only_what_is_critical_is_sent() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    night = int(datetime(2026, 3, 3, 2, 30, tzinfo=berlin).timestamp() * 1000)
    morning = int(datetime(2026, 3, 3, 7, 0, tzinfo=berlin).timestamp() * 1000)
    quiet = {"quiet": Quiet.parse("22:00-07:00"), "zone": berlin}
    warning = finding("spike", severity=Severity.WARNING, at=night)
    later = night + SETTLE_MS
    assert outcome(warning, finding(at=night), now_ms=later, **quiet) == [morning, "send"]
    assert outcome(warning, now_ms=morning, **quiet) == ["send"]


@given(start=st.integers(0, 1439), end=st.integers(0, 1439), now=st.integers(NOW, NOW + 400 * 86_400_000))
def test_a_quiet_period_ends_within_a_day_and_then_is_over(start: int, end: int, now: int) -> None:
    if start == end:
        return
    quiet = Quiet(start, end)
    until = quiet.until(now, UTC)
    if until is not None:
        assert now < until <= now + 86_400_000
        assert quiet.until(until, UTC) is None or (until - now) <= 60_000


@given(
    start=st.integers(0, 1439),
    end=st.integers(0, 1439),
    now=st.integers(NOW, NOW + 400 * 86_400_000),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_a_quiet_period_ends_where_clocks_are_set_too(start: int, end: int, now: int, zone: str) -> None:
    if start == end:
        return
    quiet = Quiet(start, end)
    until = quiet.until(now, ZoneInfo(zone))
    if until is not None:
        assert now < until <= now + 25 * 3_600_000
        assert quiet.until(until, ZoneInfo(zone)) is None or (until - now) <= 60_000


@pytest.mark.parametrize("text", ["", "22:00", "24:00-07:00", "07:00-07:00", "22:00-07:60"])
def test_what_is_no_period_is_refused(text: str) -> None:
    from monitor.errors import SettingsError

    with pytest.raises(SettingsError, match='write "22:00-07:00"'):
        Quiet.parse(text)


def test_what_is_over_when_it_fires_is_sent_once_it_happens_again() -> None:
    spike = finding("spike", severity=Severity.WARNING, at=NOW - SETTLE_MS)
    assert outcome(spike, standing=(stands(spike),)) == ["it happened once and is over"]
    assert outcome(spike, standing=(stands(spike, count=2),)) == ["send"]
    lasting = finding("stagnation", severity=Severity.WARNING, at=NOW - SETTLE_MS)
    assert outcome(lasting, standing=(stands(lasting),)) == ["send"]


def test_a_lost_run_inhibits_that_it_stalls() -> None:
    stalled, lost = (status_alert(a_run(), status, now_ms=NOW) for status in (RunStatus.STALLED, RunStatus.LOST))
    assert outcome(stalled, lost, standing=(stands(stalled), stands(lost))) == ["inhibited by lost", "send"]


def test_what_fires_on_as_was_sent_before_is_not_sent_again_but_where_it_fires_anew_it_is() -> None:
    advised = dataclasses.replace(finding(), dedup_key=f"{a_run().id}:overfitting:stop")
    fired = finding(at=NOW + 60_000)
    told = ((advised.dedup_key, NOW + 5, "firing"),)
    again = dataclasses.replace(fired, dedup_key=f"{a_run().id}:overfitting:again")
    assert outcome(fired, told=told, standing=(stands(fired, fired_ms=NOW),)) == ["it fires, as was sent before"]
    assert outcome(again, told=told, standing=(stands(again, fired_ms=NOW),)) == ["send"]
    assert outcome(fired, told=told, standing=(stands(fired, fired_ms=NOW + 60_000),)) == ["send"]
    assert outcome(fired, standing=(stands(fired, fired_ms=NOW),)) == ["send"]
    ahead = ((advised.dedup_key, NOW + 86_400_000, "firing"),)  # by a clock that was set back since
    assert outcome(fired, told=ahead, standing=(stands(fired, fired_ms=NOW),)) == ["send"]
