from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain import RunInfo, RunStatus
from monitor.ingest.liveness import judge
from monitor.settings import Settings

SETTINGS = Settings(lost_after_s=60, stalled_after_s=600, heartbeat_s=10)
START = 1_000_000_000


def a_run(**changed: Any) -> RunInfo:
    values: dict[str, Any] = {
        "id": "ab" * 16,
        "project": "p",
        "name": "n",
        "status": RunStatus.RUNNING,
        "created_ms": START,
        "heartbeat_ms": START,
        "last_point_ms": START,
    }
    return RunInfo(**(values | changed))


def after(seconds: float) -> int:
    return START + int(seconds * 1000)


@pytest.mark.parametrize(
    ("silent_s", "verdict"), [(0, None), (60, None), (60.001, RunStatus.LOST), (9e9, RunStatus.LOST)]
)
def test_a_run_is_lost_once_its_heartbeat_is_older_than_the_setting(silent_s: float, verdict: RunStatus | None) -> None:
    assert judge(a_run(), after(silent_s), SETTINGS) == verdict


def test_a_run_that_beats_slowly_is_lost_only_after_three_of_its_own_beats() -> None:
    slow = a_run(heartbeat_s=100.0)

    assert judge(slow, after(299), SETTINGS) is None
    assert judge(slow, after(301), SETTINGS) is RunStatus.LOST


def test_a_run_that_promised_nothing_is_held_to_the_servers_heartbeat() -> None:
    settings = SETTINGS.model_copy(update={"heartbeat_s": 50.0})

    assert judge(a_run(), after(149), settings) is None
    assert judge(a_run(), after(151), settings) is RunStatus.LOST


def test_a_run_whose_heartbeat_goes_on_without_points_is_stalled_not_lost() -> None:
    run = a_run(heartbeat_ms=after(601))

    assert judge(run, after(600), SETTINGS) is None
    assert judge(run, after(601), SETTINGS) is RunStatus.STALLED


def test_a_run_whose_points_come_every_half_hour_gets_ten_of_its_own_intervals() -> None:
    run = a_run(last_point_ms=after(4 * 1800), heartbeat_ms=after(100_000))

    assert judge(run, after(4 * 1800 + 17_990), SETTINGS, points=lambda: 5) is None
    assert judge(run, after(4 * 1800 + 18_010), SETTINGS, points=lambda: 5) is RunStatus.STALLED


def test_a_run_with_one_point_has_no_interval_and_stalls_after_the_setting() -> None:
    run = a_run(last_point_ms=after(60), heartbeat_ms=after(700))

    assert judge(run, after(660), SETTINGS, points=lambda: 1) is None
    assert judge(run, after(661), SETTINGS, points=lambda: 1) is RunStatus.STALLED


def test_points_are_counted_only_where_the_answer_hangs_on_them() -> None:
    def points() -> int:
        raise AssertionError("counted")

    assert judge(a_run(heartbeat_ms=after(300)), after(300), SETTINGS, points=points) is None
    assert judge(a_run(), after(300), SETTINGS, points=points) is RunStatus.LOST


def test_a_run_that_never_logged_a_point_stalls_too() -> None:
    assert judge(a_run(last_point_ms=None, heartbeat_ms=after(700)), after(700), SETTINGS) is RunStatus.STALLED


def test_a_stalled_run_whose_process_dies_is_lost() -> None:
    assert judge(a_run(status=RunStatus.STALLED), after(61), SETTINGS) is RunStatus.LOST


def test_silence_while_the_server_was_down_is_not_held_against_the_run() -> None:
    back = after(3_600)

    assert judge(a_run(), back, SETTINGS, since_ms=back) is None
    assert judge(a_run(), back + 59_000, SETTINGS, since_ms=back) is None
    assert judge(a_run(), back + 61_000, SETTINGS, since_ms=back) is RunStatus.LOST


def test_a_clock_that_was_set_back_loses_no_run_and_hides_none() -> None:
    back = START - 86_400_000
    assert judge(a_run(), back, SETTINGS) is None
    assert judge(a_run(), back + 59_000, SETTINGS, since_ms=back) is None
    assert judge(a_run(), back + 61_000, SETTINGS, since_ms=back) is RunStatus.LOST


@given(
    status=st.sampled_from(RunStatus),
    now=st.integers(0, 2 * START),
    beat=st.none() | st.integers(0, 2 * START),
    point=st.none() | st.integers(0, 2 * START),
    points=st.integers(0, 10**9),
    since=st.integers(0, 2 * START),
)
def test_only_a_run_that_is_not_lost_yet_can_be_lost_or_stall_whatever_the_clocks_say(
    status: RunStatus, now: int, beat: int | None, point: int | None, points: int, since: int
) -> None:
    run = a_run(status=status, heartbeat_ms=beat, last_point_ms=point)

    found = judge(run, now, SETTINGS, since_ms=since, points=lambda: points)

    allowed: dict[RunStatus, set[RunStatus | None]] = {
        RunStatus.RUNNING: {None, RunStatus.LOST, RunStatus.STALLED},
        RunStatus.STALLED: {None, RunStatus.LOST},
    }
    assert found in allowed.get(status, {None})
