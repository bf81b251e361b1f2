from __future__ import annotations

import pytest

from dashboard import data
from monitor.domain import Action, Recommendation, RunStatus
from monitor.errors import ServerUnreachable, StoreBusy, StoreError, Unauthorized

from .conftest import NOW_MS, a_run


@pytest.mark.parametrize(
    ("status", "action", "needed"),
    [
        (RunStatus.RUNNING, Action.CONTINUE, False),
        (RunStatus.RUNNING, Action.STOP, True),
        (RunStatus.RUNNING, Action.INVESTIGATE, True),
        (RunStatus.STALLED, Action.CONTINUE, True),
        (RunStatus.LOST, Action.CONTINUE, True),
        (RunStatus.STOPPED, Action.STOP, False),
        (RunStatus.FAILED, Action.STOP, False),
    ],
)
def test_a_person_is_needed_by_live_runs_in_trouble_only(status: RunStatus, action: Action, needed: bool) -> None:
    run = a_run(status=status, recommendation=Recommendation(action=action))
    assert data.needs_person(run, NOW_MS) is needed


def test_a_run_that_was_lost_days_ago_no_longer_asks_for_attention() -> None:
    lost = a_run(status=RunStatus.LOST, heartbeat_ms=NOW_MS)
    assert data.needs_person(lost, NOW_MS + data.FORGET_MS)
    assert not data.needs_person(lost, NOW_MS + data.FORGET_MS + 1)


def test_every_error_that_reading_gives_has_a_title_of_its_own() -> None:
    errors = (
        ServerUnreachable("http://localhost:1", "refused"),
        Unauthorized("http://localhost:1"),
        StoreBusy("sqlite:///x", 5),
        StoreError("broken"),
    )
    assert len({data.explain(error)[0] for error in errors}) == len(errors)
