"""What a run's series are taken for as their names arrive, in the store."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.ingest import rejudge
from monitor.ingest.engines import Engines
from monitor.roles import Role
from monitor.rules import diagnose
from monitor.store import Store
from tests.conftest import NOW_MS, Feed

N = 120
STEPS = np.arange(N)
FALLING = 2 * np.exp(-STEPS / 30)
RISING = FALLING + 0.02 * np.maximum(0, STEPS - 40)


def test_a_test_loss_stands_for_validation_until_there_is_one(feed: Feed) -> None:
    feed.log("train_loss", STEPS, FALLING)
    feed.log("test_loss", STEPS, RISING)
    assert feed.store.run(feed.run_id).verdict == "overfitting"
    feed.log("val_loss", STEPS, FALLING)
    assert feed.store.run(feed.run_id).verdict != "overfitting"
    held_out = [s.key for s in feed.store.series(feed.run_id) if s.role is Role.VAL]
    assert held_out == ["val_loss", "test_loss"]  # readers take the first of a role for the judged one
    page = feed.store.runs(query="val.best < 0.04")
    assert [run.id for run in page.items] == [feed.run_id]


def test_a_run_whose_series_change_roles_is_judged_as_if_they_had_been_known(feed: Feed) -> None:
    feed.log("loss", STEPS, RISING)
    feed.log("val_loss", STEPS, RISING)
    feed.log("total_loss", STEPS, FALLING)
    known = diagnose(np.c_[STEPS, FALLING], np.c_[STEPS, RISING])
    assert feed.store.run(feed.run_id).verdict == known.verdict == "overfitting"
    found = feed.store.findings(feed.run_id)
    assert [(f.rule, f.onset_step, f.fired_step) for f in found] == [
        (f.rule, f.onset_step, f.fired_step) for f in known.findings
    ]


@pytest.mark.parametrize(("roles", "action"), [({}, "stop"), ({"goal": "val/accuracy"}, "continue")])
def test_only_a_goal_that_was_named_holds_back_a_stop(store: Store, roles: dict[str, str], action: str) -> None:
    feed = Feed(store)
    feed.start(roles=roles)
    feed.log("train/loss", STEPS, FALLING)
    feed.log("val/accuracy", STEPS, STEPS / N)
    feed.log("val/loss", STEPS, RISING)
    run = feed.store.run(feed.run_id)
    assert (run.verdict, str(run.recommendation.action)) == ("overfitting", action)
    rejudge(feed.store, Engines(), feed.run_id, now_ms=NOW_MS)
    assert str(feed.store.run(feed.run_id).recommendation.action) == action
