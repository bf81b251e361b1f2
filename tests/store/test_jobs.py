"""What the jobs read and write."""

from __future__ import annotations

from monitor.domain import RunStatus
from monitor.store import Store
from tests.conftest import NOW_MS, Feed


def test_live_runs_are_those_that_run_or_hang(store: Store) -> None:
    feeds = [Feed(store) for _ in range(4)]
    for feed in feeds:
        feed.start()
    feeds[0].event("finish")
    store.set_status(feeds[1].run_id, RunStatus.LOST, now_ms=NOW_MS)
    store.set_status(feeds[2].run_id, RunStatus.STALLED, now_ms=NOW_MS)
    assert {run.id for run in store.live_runs()} == {feeds[2].run_id, feeds[3].run_id}


def test_alerts_of_all_runs_or_of_one_the_newest_first(store: Store) -> None:
    feeds = [Feed(store, now_ms=NOW_MS + i) for i in range(3)]
    for i, feed in enumerate(feeds):
        feed.start()
        feed.event("alert", title=str(i))
    assert [d.alert.title for d in store.alerts()] == ["2", "1", "0"]
    assert [d.alert.title for d in store.alerts(limit=1)] == ["2"]
    assert [d.alert.title for d in store.alerts(feeds[1].run_id)] == ["1"]


def test_a_mirror_sees_each_version_once(feed: Feed) -> None:
    store = feed.store
    ((run, external),) = store.changed_runs("mlflow")
    assert (run.id, external) == (feed.run_id, None)
    store.exported(run.id, "mlflow", run.version, "ext-1")
    assert store.changed_runs("mlflow") == ()
    assert len(store.changed_runs("elsewhere")) == 1
    feed.beat()
    assert store.changed_runs("mlflow") == ()
    feed.log("loss", [1], [1.0])
    ((again, external),) = store.changed_runs("mlflow")
    assert (again.version > run.version, external) == (True, "ext-1")


def test_a_status_change_comes_with_its_alert_or_not_at_all(feed: Feed) -> None:
    feed.event("alert", title="template")
    (delivery,) = feed.store.alerts()
    changed = feed.store.set_status(
        feed.run_id, RunStatus.STALLED, now_ms=NOW_MS, seen_heartbeat_ms=1, alert=delivery.alert
    )
    assert (changed, len(feed.store.alerts())) == (False, 1)
    changed = feed.store.set_status(
        feed.run_id, RunStatus.STALLED, now_ms=NOW_MS, seen_heartbeat_ms=NOW_MS, alert=delivery.alert
    )
    assert (changed, len(feed.store.alerts())) == (True, 2)


def test_the_first_server_to_say_so_names_a_mirrored_run(store: Store, feed: Feed) -> None:
    assert store.mirrored_as(feed.run_id, "mlflow", "one", instead_of=None) == "one"
    assert store.mirrored_as(feed.run_id, "mlflow", "two", instead_of=None) == "one"
    assert [known for run, known in store.changed_runs("mlflow") if run.id == feed.run_id] == ["one"]
    store.exported(feed.run_id, "mlflow", 3, "one")
    assert store.mirrored_as(feed.run_id, "mlflow", "three", instead_of="one") == "three"
    assert store.mirrored_as(feed.run_id, "mlflow", "four", instead_of="one") == "three"
