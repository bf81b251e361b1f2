"""A stop on both databases: by its mode, by a person, and how far it is."""

from __future__ import annotations

import pytest

from monitor.domain import Action, AlertQuery, Recommendation, RunStatus, StopState
from monitor.errors import StopRefused
from monitor.ingest import ingest, stops
from monitor.ingest.engines import Engines
from monitor.store import Store
from tests.conftest import NOW_MS, Feed, event_batch

OVERFIT = [(step, 2.0 - step / 1000 if step <= 500 else 1.5 + (step - 500) / 400) for step in range(0, 1001, 20)]


def overfitted(feed: Feed, **run: object) -> Feed:
    """A run whose validation loss has risen for long."""
    feed.start(**run)
    feed.log("train/loss", list(range(0, 1001, 20)), [2.0 / (1 + step / 100) for step in range(0, 1001, 20)])
    feed.log("val/loss", [step for step, _ in OVERFIT], [value for _, value in OVERFIT])
    return feed


def further(feed: Feed, first: int, last: int):
    """The same course for some more steps."""
    steps = list(range(first, last, 20))
    return feed.log("val/loss", steps, [1.5 + (step - 500) / 400 for step in steps])


def test_advise_tells_the_loop_at_once(store: Store) -> None:
    feed = overfitted(Feed(store))
    reply = feed.beat()
    assert reply.recommendation.rule == "overfitting"
    assert (reply.stop, reply.stop_request, reply.stop_reason) == (True, None, reply.recommendation.reason)
    assert store.run(feed.run_id).stop_step is None


def test_alert_tells_people_alone_and_a_person_still_stops_the_loop(store: Store) -> None:
    feed = overfitted(Feed(store), stop="alert")
    reply = feed.beat()
    assert reply.recommendation.action == "stop" and reply.stop is False
    run = store.run(feed.run_id)
    assert run.stop_step == reply.recommendation.stop_step
    alerts = store.alerts(feed.run_id)
    further(feed, 1020, 1500)
    assert [d.alert.kind for d in alerts] == ["overfitting"] and store.alerts(feed.run_id) == alerts
    store.request_stop(feed.run_id, "ada", reason="enough", now_ms=NOW_MS)
    assert feed.beat().stop_reason == "ada asked the run to stop: enough"


def advise(store: Store, run_id: str, action: Action, *, now_ms: int) -> None:
    """A batch after which a stop is advised for a finding that is only likely, or no longer is."""
    with store.write(run_id, now_ms) as tx:
        rule = "overfitting" if action is Action.STOP else None
        advice = Recommendation(action=action, rule=rule, stop_step=2.0 if rule else None, reason="It rises.")
        tx.set(action=str(action), recommendation=advice.to_dict())
        stops.consider(tx, Engines({}, {}, {}))


def test_a_stop_for_what_is_only_likely_is_an_alert_of_its_rule_until_it_is_no_longer_advised(store: Store) -> None:
    feed = Feed(store)
    feed.start(stop="alert", name="ill")
    feed.log("train/loss", [0, 1, 2], [3.0, 2.0, 1.0])
    for minute, action in enumerate((Action.STOP, Action.STOP, Action.CONTINUE, Action.CONTINUE, Action.STOP)):
        advise(store, feed.run_id, action, now_ms=NOW_MS + 60_000 * minute)
        (alert,) = store.alert_page(AlertQuery(), NOW_MS).items
        assert alert.rule == "overfitting" and (alert.state == "firing") == (action is Action.STOP)
    assert alert.count == 2
    assert [d.alert.title for d in reversed(store.alerts(feed.run_id))] == [
        "ill: overfitting, would have stopped at step 2 (p)",
        "ill: overfitting no longer likely at step 2 (p)",
        "ill: overfitting, would have stopped at step 2 (p)",
    ]


def advised(feed: Feed) -> int:
    """Let a run of the mode `stop` go until a stop is first advised; the step after that."""
    feed.start(stop="stop")
    for first in range(0, 1000, 20):
        value = 2.0 - first / 1000 if first <= 500 else 1.5 + (first - 500) / 400
        feed.log("train/loss", [first], [2.0 / (1 + first / 100)])
        if feed.log("val/loss", [first], [value]).recommendation.action == "stop":
            return first + 20
    raise AssertionError("no stop was advised")


def test_stop_notes_first_and_asks_once_the_advice_has_stood(store: Store) -> None:
    feed = Feed(store)
    step = advised(feed)
    reply = feed.beat()
    at = store.run(feed.run_id).stop_step
    assert at is not None and reply.stop is False and not store.stops(feed.run_id)
    while not reply.stop:
        reply = further(feed, step, step + 20)
        step += 20
        assert step < 2000
    assert step - 20 >= at * 1.1 > step - 40
    (stop,) = store.stops(feed.run_id)
    assert (stop.who, stop.rule, stop.state) == ("monitor", "overfitting", StopState.DELIVERED)
    assert reply.stop_request == stop.id


def test_a_batch_of_a_run_that_is_only_advised_to_stop_needs_no_further_read(store: Store) -> None:
    feed = overfitted(Feed(store))
    with store.write(feed.run_id, NOW_MS) as tx:
        stops.consider(tx, Engines({}, {}, {}))
        assert tx.get("action") == "stop"
        assert not tx._cold


def test_what_a_person_takes_back_from_the_monitor_is_not_asked_again(store: Store) -> None:
    feed = Feed(store)
    step = advised(feed)
    with store.write(feed.run_id, NOW_MS) as tx:
        tx.request_stop("monitor", "overfits", "overfitting")
    store.withdraw_stop(feed.run_id, "ada", now_ms=NOW_MS)
    assert further(feed, step, 1600).stop is False


@pytest.mark.parametrize(
    ("server", "project", "run", "stops"),
    [
        (None, None, None, True),
        ("alert", None, None, False),
        ("alert", "advise", None, True),
        ("alert", {"overfitting": "advise"}, None, True),
        ("advise", "advise", {"overfitting": "alert"}, False),
        ("alert", None, "advise", True),
        ("off", "advise", "advise", False),
        ({"overfitting": "alert"}, None, "advise", True),
        ({"divergence": "alert"}, None, None, True),
    ],
)
def test_the_most_particular_choice_holds_and_off_always_wins(
    sqlite_url: str, server: object, project: object, run: object, stops: bool
) -> None:
    from monitor.stop_modes import stop_modes

    projects = {"p": {"stop": project}} if project is not None else {}
    engines = Engines({}, projects, stop_modes(server))
    with Store.open(sqlite_url) as store:
        feed = overfitted(Feed(store), stop=run)
        reply = ingest(store, engines, event_batch(feed.run_id, feed.writer, feed.acked, "tags", tags={"a": "b"}),
                       now_ms=NOW_MS)  # fmt: skip
        assert reply.stop is stops


def test_a_request_goes_from_requested_to_finished_with_its_times(store: Store) -> None:
    feed = Feed(store)
    feed.start()
    feed.log("train/loss", [0, 1, 2], [3.0, 2.0, 1.0])
    asked = store.request_stop(feed.run_id, "ada", reason="out of budget", now_ms=NOW_MS + 1)
    assert (asked.state, asked.step, asked.requested_ms) == (StopState.REQUESTED, 2, NOW_MS + 1)
    again = store.request_stop(feed.run_id, "bob", now_ms=NOW_MS + 2)
    assert (again.id, again.who) == (asked.id, "ada")

    feed.now_ms = NOW_MS + 3
    reply = feed.beat()
    assert (reply.stop, reply.stop_requested, reply.stop_request) == (True, "ada", asked.id)
    (stop,) = store.stops(feed.run_id)
    assert (stop.state, stop.delivered_ms) == (StopState.DELIVERED, NOW_MS + 3)
    with pytest.raises(StopRefused, match="its loop has the stop already"):
        store.withdraw_stop(feed.run_id, "ada", now_ms=NOW_MS + 4)

    feed.now_ms = NOW_MS + 5
    feed.event("stop", request=asked.id, step=2)
    (stop,) = store.stops(feed.run_id)
    assert (stop.state, stop.acknowledged_ms, stop.acknowledged_step) == (StopState.ACKNOWLEDGED, NOW_MS + 5, 2)

    feed.now_ms = NOW_MS + 6
    feed.event("finish", status="stopped", error=None)
    (stop,) = store.stops(feed.run_id)
    assert (stop.state, stop.finished_ms, stop.stopped_step) == (StopState.FINISHED, NOW_MS + 6, 2)
    assert (stop.best, stop.best_step) == (1.0, 2)
    assert store.snapshot(feed.run_id).stops == (stop,)
    with pytest.raises(StopRefused, match="it is stopped; there is nothing to stop"):
        store.request_stop(feed.run_id, "ada", now_ms=NOW_MS + 7)


def test_a_loop_whose_clock_is_ahead_has_heard_of_a_stop_no_later_than_now(store: Store) -> None:
    feed = Feed(store)
    feed.start()
    asked = store.request_stop(feed.run_id, "ada", now_ms=NOW_MS)
    feed.now_ms = NOW_MS + 5
    feed.send(event_batch(feed.run_id, "w", 1, "stop", time_ms=NOW_MS + 3_600_000, request=asked.id, step=2))
    (stop,) = store.stops(feed.run_id)
    assert (stop.delivered_ms, stop.acknowledged_ms) == (NOW_MS + 5, NOW_MS + 5)


def test_what_a_stopped_run_had_reached_is_its_goal_else_its_validation_loss(store: Store) -> None:
    for key, best in (("train/loss", (0.5, 2)), ("val/loss", (1.0, 1)), ("val/acc", (0.75, 0))):
        feed = Feed(store)
        feed.start(roles={"goal": "val/acc"})
        feed.log("train/loss", [0, 1, 2], [3.0, 2.0, 0.5])
        if key != "train/loss":
            feed.log("val/loss", [0, 1, 2], [3.0, 1.0, 2.0])
        if key == "val/acc":
            feed.log("val/acc", [0, 1, 2], [0.75, 0.5, 0.25])
        feed.event("finish", status="stopped", error=None)
        (stop,) = store.stops(feed.run_id)
        assert (stop.best, stop.best_step) == best


def test_a_request_is_taken_back_before_it_is_delivered(store: Store) -> None:
    feed = Feed(store)
    feed.start()
    with pytest.raises(StopRefused, match="no stop is asked for"):
        store.withdraw_stop(feed.run_id, "ada", now_ms=NOW_MS)
    store.request_stop(feed.run_id, "ada", now_ms=NOW_MS)
    stop = store.withdraw_stop(feed.run_id, "bob", now_ms=NOW_MS + 1)
    assert (stop.state, stop.withdrawn_ms, stop.note) == (StopState.WITHDRAWN, NOW_MS + 1, "withdrawn by bob")
    reply = feed.beat()
    assert (reply.stop, reply.stop_requested) == (False, None)
    feed.event("finish", status="finished", error=None)
    with pytest.raises(StopRefused, match="it is finished; there is nothing to withdraw"):
        store.withdraw_stop(feed.run_id, "ada", now_ms=NOW_MS + 2)


def test_a_loop_that_stops_for_nobody_refuses(store: Store) -> None:
    feed = overfitted(Feed(store), stop="off")
    assert feed.beat().stop is False
    assert store.run(feed.run_id).stop_step is not None
    assert not [d for d in store.alerts(feed.run_id) if d.alert.kind == "stop"]
    store.request_stop(feed.run_id, "ada", now_ms=NOW_MS)
    reply = feed.beat()
    assert (reply.stop, reply.stop_requested) == (False, None)
    (stop,) = store.stops(feed.run_id)
    assert (stop.state, stop.note) == (StopState.REFUSED, "the setting stop is off")


def test_a_lost_run_hears_of_it_when_it_is_back(store: Store) -> None:
    feed = Feed(store)
    feed.start()
    store.set_status(feed.run_id, RunStatus.LOST, now_ms=NOW_MS)
    store.request_stop(feed.run_id, "ada", now_ms=NOW_MS)
    assert feed.log("train/loss", [1], [1.0]).stop is True


def test_another_attempt_is_asked_nothing(store: Store) -> None:
    feed = Feed(store)
    feed.start()
    store.request_stop(feed.run_id, "ada", now_ms=NOW_MS)
    other = Feed(store, run_id=feed.run_id, writer="second")
    assert other.start(resume="allow").stop is False
    (stop,) = store.stops(feed.run_id)
    assert (stop.state, stop.note) == (StopState.WITHDRAWN, "another attempt began")


def test_an_advice_that_was_obeyed_is_kept_like_a_request(store: Store) -> None:
    feed = overfitted(Feed(store))
    feed.event("finish", status="stopped", error=None, reason="it overfits")
    (stop,) = store.stops(feed.run_id)
    assert (stop.who, stop.rule, stop.reason, stop.stopped_step) == ("advice", "overfitting", "it overfits", 1000)


def test_nonsense_in_a_stop_event_is_reported_and_not_obeyed(store: Store) -> None:
    feed = Feed(store)
    feed.start(stop="loud", planned_steps=-3)
    assert store.run(feed.run_id).stop_modes is None and store.run(feed.run_id).planned_steps is None
    store.request_stop(feed.run_id, "ada", now_ms=NOW_MS)
    feed.event("stop", request="1", step="x")
    assert store.stops(feed.run_id)[0].acknowledged_ms is None
