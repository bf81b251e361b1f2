"""How long runs are kept, project by project; the clock is moved, nobody waits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from monitor.domain import Access
from monitor.errors import RunNotFound
from monitor.jobs import Jobs
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.retention import Kept, Policy, keep
from tests.conftest import LOCAL, NOW_MS, Feed, event_batch

DAY_MS = 86_400_000


def ended(store: Store, project: str, name: str, points: int = 3) -> str:
    feed = Feed(store)
    feed.start(project=project, name=name)
    feed.log("acc", range(points), np.arange(float(points)))
    feed.event("finish")
    return feed.run_id


def names(store: Store) -> set[str]:
    return {run.name for run in store.runs().items}


def test_each_project_keeps_its_runs_as_long_as_it_says_and_then_they_are_gone(store: Store) -> None:
    policy = Policy(keep_days={"scratch": 10, "*": 30}, purge_days=7)
    short, long = ended(store, "scratch", "short"), ended(store, "vision", "long")
    live = Feed(store)
    live.start(project="scratch", name="live")

    def after(days: float) -> Kept:
        return keep(store, policy, NOW_MS + int(days * DAY_MS))

    assert after(9.9) == Kept()
    assert after(10) == Kept(deleted=(short,))
    assert names(store) == {"long", "live"}
    Feed(store).start(project="scratch", name="short")  # the name is free at once
    assert after(16.9) == Kept()
    store.restore(short, now_ms=NOW_MS)
    assert after(16.9) == Kept(deleted=(short,))
    assert after(23.8) == Kept()
    assert after(23.9) == Kept(purged=(short,))
    with pytest.raises(RunNotFound):
        store.restore(short, now_ms=NOW_MS)
    assert after(30) == Kept(deleted=(long,))
    assert names(store) == {"short", "live"}


def test_tokens_that_ended_long_ago_are_removed_but_never_the_newest(store: Store) -> None:
    def token(name: str, created_ms: int, expires_ms: int | None = None) -> str:
        made, _ = store.create_token(
            name, Access.VIEWER, project=None, expires_ms=expires_ms, now_ms=created_ms, by=LOCAL
        )
        return made.id

    def left() -> list[str]:
        return sorted(token.name for token in store.tokens())

    signed_in, revoked = token("ada (signed in)", NOW_MS, NOW_MS + DAY_MS), token("old", NOW_MS + 1)
    token("valid", NOW_MS + 2)
    store.revoke_token(revoked, now_ms=NOW_MS + DAY_MS, by=LOCAL)
    policy, due = Policy(purge_days=7), NOW_MS + 8 * DAY_MS
    assert keep(store, policy, due - 1) == Kept()
    assert keep(store, policy, due, dry_run=True) == Kept(tokens=2)
    assert left() == ["ada (signed in)", "old", "valid"]
    assert keep(store, policy, due) == Kept(tokens=2)
    assert left() == ["valid"]
    assert signed_in in {entry.target for entry in store.audit()[1]}
    store.revoke_token("valid", now_ms=due, by=LOCAL)
    assert keep(store, policy, due + 30 * DAY_MS) == Kept()
    assert left() == ["valid"]
    assert store.has_tokens()


def test_a_project_that_asked_for_it_is_thinned_and_no_other(store: Store) -> None:
    policy = Policy(thin_days={"vision": 5}, thin_points=500)
    old, other = ended(store, "vision", "old", 5000), ended(store, "speech", "other", 5000)
    assert keep(store, policy, NOW_MS + 4 * DAY_MS) == Kept()
    ((run_id, kept, left_out),) = keep(store, policy, NOW_MS + 5 * DAY_MS).thinned
    assert (run_id, kept + left_out) == (old, 5000)
    assert keep(store, policy, NOW_MS + 6 * DAY_MS) == Kept()
    assert (store.series(old)[0].thinned, store.series(other)[0].thinned) == (left_out, 0)
    assert store.curve(old, "acc").total == 5000


def test_a_dry_run_says_what_is_due_and_changes_nothing(store: Store) -> None:
    policy = Policy(keep_days={"scratch": 1}, thin_days={"*": 1}, thin_points=500, purge_days=0)
    short, long, gone = ended(store, "scratch", "a", 2000), ended(store, "vision", "b", 1001), ended(store, "x", "c")
    ended(store, "vision", "d", 1000)  # thinning would hardly make it smaller
    store.delete(gone, now_ms=NOW_MS)
    now = NOW_MS + DAY_MS
    expected = Kept(deleted=(short,), thinned=((long, 0, 0),), purged=(gone,))
    assert keep(store, policy, now, dry_run=True) == keep(store, policy, now, dry_run=True) == expected
    assert keep(store, policy, now, project="vision", dry_run=True) == Kept(thinned=((long, 0, 0),), purged=(gone,))
    assert names(store) == {"a", "b", "d"}
    done = keep(store, policy, now)
    assert done.deleted == (short,) and [run_id for run_id, *_ in done.thinned] == [long]


def test_the_server_does_it_by_itself(store: Store, tmp_path: object) -> None:
    clock = [NOW_MS]
    settings = Settings(dir=tmp_path, retention_days={"*": 1}, purge_days=1)
    jobs = Jobs(store, settings, clock=lambda: clock[0], running_s=lambda: clock[0] / 1000)
    short = ended(store, "p", "short")
    jobs.run("retention")
    assert names(store) == {"short"}
    clock[0] += DAY_MS
    jobs.run("retention")
    assert names(store) == set()
    clock[0] += DAY_MS
    jobs.run("retention")
    assert jobs.health()["retention"].runs == 3
    with pytest.raises(RunNotFound):
        store.restore(short, now_ms=NOW_MS)


@pytest.mark.parametrize("forward_ms", [2 * DAY_MS, 400 * DAY_MS])
def test_a_clock_that_is_set_forward_deletes_nothing_until_it_has_stood_for_a_day(
    store: Store, tmp_path: object, forward_ms: int
) -> None:
    passed, ahead = [NOW_MS], [0]
    settings = Settings(dir=tmp_path, retention_days={"*": 1}, downsample_days={"*": 1}, purge_days=1)

    def clock() -> int:
        return passed[0] + ahead[0]

    jobs = Jobs(store, settings, clock=clock, running_s=lambda: passed[0] / 1000)
    ended(store, "p", "young")
    gone = ended(store, "p", "gone")
    store.delete(gone, now_ms=NOW_MS)

    def after(ms: int) -> set[str]:
        passed[0] += ms
        jobs.run("retention")
        return names(store)

    ahead[0] = forward_ms
    assert after(3_600_000) == after(3_600_000) == {"young"}
    ahead[0] = 0
    assert after(3_600_000) == {"young"}
    store.restore(gone, now_ms=clock())
    assert after(21 * 3_600_000 - 1) == {"young", "gone"}
    assert after(1) == set()


def test_a_clock_that_is_ahead_for_a_day_is_believed(store: Store, tmp_path: object) -> None:
    passed, ahead = [NOW_MS], [0]
    settings = Settings(dir=tmp_path, retention_days={"*": 30})
    jobs = Jobs(store, settings, clock=lambda: passed[0] + ahead[0], running_s=lambda: passed[0] / 1000)
    ended(store, "p", "old")
    ahead[0] = 40 * DAY_MS
    for hours, left in ((0, {"old"}), (23, {"old"}), (1, set())):
        passed[0] += hours * 3_600_000
        jobs.run("retention")
        assert names(store) == left


def test_a_run_of_a_machine_whose_clock_is_years_behind_is_not_old(store: Store) -> None:
    policy = Policy(keep_days={"*": 30}, thin_days={"*": 30}, thin_points=500)
    feed = Feed(store)
    feed.send(event_batch(feed.run_id, feed.writer, 0, "run", time_ms=1_000, project="p"))
    feed.log("acc", range(2000), np.arange(2000.0))
    feed.send(event_batch(feed.run_id, feed.writer, feed.acked, "finish", time_ms=1_000))
    assert store.run(feed.run_id).finished_ms == 1_000
    assert keep(store, policy, NOW_MS + 29 * DAY_MS) == Kept()
    assert keep(store, policy, NOW_MS + 30 * DAY_MS).deleted == (feed.run_id,)


def test_a_run_that_is_resumed_while_old_runs_are_deleted_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = ended(store, "scratch", "back")
    listed = store.retirable

    def and_then_resumed(**which: Any) -> tuple[str, ...]:
        found = listed(**which)
        Feed(store, run_id=run_id, writer="second").start(project="scratch", resume="must")
        return found

    monkeypatch.setattr(store, "retirable", and_then_resumed)
    assert keep(store, Policy(keep_days={"*": 1}, purge_days=7), NOW_MS + 2 * DAY_MS).deleted == ()
    assert names(store) == {"back"}
