"""What a batch does, on both databases."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from monitor.domain import RunStatus
from monitor.errors import OffsetGap, RunExists, RunNotFound, WireError
from monitor.store import Store
from monitor.wire import Batch, Columns, Event, batch_from_json, batch_to_json, decode_batch, encode_batch
from tests.conftest import NOW_MS, Feed


def test_points_come_back_bit_by_bit(feed: Feed) -> None:
    values = [0.1, math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308]
    feed.log("train/loss", range(7), values, epochs=[0.0, 0.5, math.nan, 1.0, 1.5, 2.0, 2.5])
    found = feed.store.history(feed.run_id, "train/loss")
    assert np.array(values).tobytes() == found.values.tobytes()
    assert found.steps.tolist() == list(range(7))
    assert found.times.tolist() == [NOW_MS + i for i in range(7)]
    assert found.epochs is not None
    np.testing.assert_array_equal(found.epochs, [0.0, 0.5, math.nan, 1.0, 1.5, 2.0, 2.5])


def test_a_series_without_epochs_has_none(feed: Feed) -> None:
    feed.log("train/loss", [1], [2.0])
    assert feed.store.history(feed.run_id, "train/loss").epochs is None


def test_a_batch_of_several_series_is_taken_apart(feed: Feed) -> None:
    columns = Columns(
        np.array([1, 0, 1, 2, 0], "u2"),
        np.arange(5),
        np.arange(5) / 2,
        np.full(5, NOW_MS),
        np.array([math.nan, 1.0, math.nan, math.nan, 2.0]),
    )
    batch = Batch(run_id=feed.run_id, writer="w", first=1, count=5, keys=("loss", "val_loss", "acc"), points=columns)
    feed.send(batch)
    assert [(s.key, str(s.role), s.count) for s in feed.store.series(feed.run_id)] == [
        ("val_loss", "val", 2),
        ("loss", "train", 2),
        ("acc", "goal", 1),
    ]
    assert feed.store.history(feed.run_id, "loss").steps.tolist() == [1, 4]
    assert feed.store.history(feed.run_id, "val_loss").epochs is None
    assert feed.store.counts(feed.run_id).unmapped == ()


def test_the_same_batch_again_changes_nothing(feed: Feed) -> None:
    batch = feed.batch("loss", range(10), np.ones(10).tolist())
    first = feed.send(batch)
    version = feed.store.run(feed.run_id).version
    again = feed.send(batch)
    assert (first.duplicate, again.duplicate, again.acked) == (False, True, first.acked)
    assert len(feed.store.history(feed.run_id, "loss")) == 10
    assert feed.store.run(feed.run_id).version == version


@pytest.mark.parametrize("first", [0, 4, 12])
def test_a_batch_that_starts_elsewhere_is_refused_with_the_offset(feed: Feed, first: int) -> None:
    feed.log("loss", range(9), [1.0] * 9)
    columns = feed.batch("loss", range(20), [2.0] * 20).points
    batch = Batch(run_id=feed.run_id, writer="w", first=first, count=20, keys=("loss",), points=columns)
    with pytest.raises(OffsetGap) as caught:
        feed.send(batch)
    assert caught.value.expected == 10
    assert len(feed.store.history(feed.run_id, "loss")) == 9


def test_a_writer_that_nobody_knows_starts_at_its_first_record(store: Store) -> None:
    feed = Feed(store, acked=7)
    with pytest.raises(OffsetGap) as caught:
        feed.log("loss", [1], [1.0])
    assert caught.value.expected == 0
    with pytest.raises(OffsetGap):
        Feed(store).beat()
    with pytest.raises(WireError, match="first record must be a run event"):
        Feed(store).log("loss", [1], [1.0])
    assert store.runs().total == 0


def test_an_event_that_cannot_be_used_is_set_aside_and_the_rest_of_the_batch_is_stored(feed: Feed) -> None:
    good = feed.batch("loss", [1], [1.0])
    bad = Event(kind="checkpoint", record=2, time_ms=NOW_MS, data={"step": "four", "path": "a.pt"})
    batch = Batch(run_id=feed.run_id, writer="w", first=1, count=2, keys=good.keys, points=good.points, events=(bad,))
    reply = feed.send(batch)
    assert reply.acked == 3
    assert [line for line in reply.set_aside if line.startswith("dropped: checkpoint: step 'four'")]
    assert feed.store.history(feed.run_id, "loss").values.tolist() == [1.0]
    assert feed.store.checkpoints(feed.run_id) == ()
    assert feed.store.run(feed.run_id).warnings == {"dropped": 2}
    told = [event.data for event in feed.store.events(feed.run_id) if event.kind == "warning"]
    assert [(data["key"], data["count"]) for data in told] == [("checkpoint.step", 1), ("checkpoint", 1)]
    again = feed.send(batch)
    assert (again.duplicate, again.set_aside, feed.store.run(feed.run_id).warnings) == (True, (), {"dropped": 2})


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("run", {"project": 5}, "renamed: 5"),
        ("run", {"resume": "perhaps"}, "mended: run.resume: 'perhaps'"),
        ("run", {"config": [1]}, "dropped: config: [1] is not a mapping"),
        ("run", {"heartbeat_s": -1}, "dropped: heartbeat_s: -1"),
        ("run", {"name": "n" * 251}, "renamed: nnn"),
        ("finish", {"status": "running"}, "status: running: is not a valid final status"),
        ("alert", {"title": " "}, "mended: alert.title: ' '"),
        ("alert", {"title": "t", "severity": "bad"}, "mended: alert.severity: 'bad'"),
        ("checkpoint", {"step": 1}, "dropped: checkpoint: step 1, path ''"),
        ("checkpoint", {"step": 1, "path": "p", "size": 3}, "dropped: checkpoint.size: is not one of its fields"),
        ("tags", {"": "x"}, "dropped: tags: a tag without a name"),
        ("loss", {"loss": 5}, "dropped: loss: 5 is not a mapping"),
        ("weights", {"step": 3, "weights": {"kl": "half"}}, "dropped: weights.kl: 'half'"),
        ("dance", {"step": 3}, "dropped: event: 'dance' is not a kind of event"),
    ],
)
def test_what_is_wrong_in_a_record_is_named_and_the_run_goes_on(
    feed: Feed, kind: str, data: dict[str, object], said: str
) -> None:
    other = Feed(feed.store) if kind == "run" else feed
    reply = other.event(kind, **data)
    assert reply.acked == other.acked
    assert any(line.startswith(said) for line in reply.set_aside), reply.set_aside
    assert sum(feed.store.run(other.run_id).warnings.values()) == len(reply.set_aside)
    assert other.log("loss", [1], [1.0]).set_aside == ()


def test_a_run_starts_with_what_its_event_says(store: Store) -> None:
    feed = Feed(store)
    feed.start(
        name="digits",
        group="g",
        config={"lr": 0.1, "deep": {"a": [1, None]}},
        tags={"team": "vision"},
        loss={"kind": "cross_entropy"},
        heartbeat_s=5,
    )
    run = store.run("digits")
    assert (run.id, run.project, run.group, run.status, run.attempt) == (feed.run_id, "p", "g", "running", 1)
    assert run.config == {"lr": 0.1, "deep": {"a": [1, None]}}
    assert (run.tags, run.loss) == ({"team": "vision"}, {"kind": "cross_entropy"})
    assert (run.created_ms, run.heartbeat_ms, run.verdict) == (NOW_MS, NOW_MS, "too_early")


def test_a_run_without_a_name_gets_one(store: Store) -> None:
    feed = Feed(store, run_id="ab" * 16)
    feed.start()
    assert store.run("ab").name == "run-abababab"


def test_never_resume_refuses_a_run_that_is_there(feed: Feed) -> None:
    with pytest.raises(RunExists):
        Feed(feed.store, run_id=feed.run_id, writer="other").start()


def test_must_resume_refuses_a_run_that_is_not_there(store: Store) -> None:
    with pytest.raises(RunNotFound):
        Feed(store).start(resume="must")
    assert store.runs().total == 0


def test_a_new_attempt_hides_what_it_logs_again(feed: Feed) -> None:
    feed.log("loss", range(10), [1.0] * 10)
    feed.event("finish", status="failed", error="boom")
    second = Feed(feed.store, run_id=feed.run_id, writer="second")
    second.start(resume="allow")
    run = feed.store.run(feed.run_id)
    assert (run.attempt, run.status, run.error, run.finished_ms) == (2, RunStatus.RUNNING, None, None)
    second.log("loss", range(6, 12), [2.0] * 6)
    assert feed.store.history(feed.run_id, "loss").values.tolist() == [1.0] * 6 + [2.0] * 6
    assert feed.store.history(feed.run_id, "loss", attempt=1).values.tolist() == [1.0] * 10
    assert feed.store.history(feed.run_id, "loss", attempt=2).steps.tolist() == list(range(6, 12))
    (series,) = feed.store.series(feed.run_id)
    assert (series.count, series.last_step, series.last, series.min, series.max) == (12, 11, 2.0, 1.0, 2.0)


def test_a_straggler_of_an_older_attempt_stays_hidden(feed: Feed) -> None:
    feed.log("loss", range(5), [1.0] * 5)
    second = Feed(feed.store, run_id=feed.run_id, writer="second")
    second.start(resume="allow")
    second.log("loss", [3], [2.0])
    feed.log("loss", [2, 9], [1.5, 7.0])
    assert feed.store.history(feed.run_id, "loss").values.tolist() == [1.0, 1.0, 1.0, 1.5, 2.0]
    (series,) = feed.store.series(feed.run_id)
    assert (series.count, series.last_step, series.max) == (5, 3, 2.0)


def test_a_straggler_that_was_shown_is_hidden_once_the_newer_attempt_goes_below_it(feed: Feed) -> None:
    second = Feed(feed.store, run_id=feed.run_id, writer="second")
    second.start(resume="allow")
    second.log("loss", [23, 24], [2.0, 2.0])
    feed.log("loss", [0, 5], [1.0, 1.0])
    assert feed.store.series(feed.run_id)[0].count == 4
    second.log("loss", [3], [2.0])
    assert feed.store.history(feed.run_id, "loss").steps.tolist() == [0, 3, 23, 24]
    assert feed.store.series(feed.run_id)[0].count == 4


def test_a_joining_writer_adds_to_the_attempt(feed: Feed) -> None:
    rank = Feed(feed.store, run_id=feed.run_id, writer="rank1")
    rank.start(join=True, config={"rank": 1})
    rank.log("system/gpu", [1], [50.0])
    rank.event("finish")
    run = feed.store.run(feed.run_id)
    assert (run.attempt, run.status, run.config) == (1, RunStatus.RUNNING, {})
    assert [s.key for s in feed.store.series(run.id)] == ["system/gpu"]
    assert run.last_point_ms is None


def test_a_joining_writer_may_come_first(store: Store) -> None:
    rank = Feed(store, writer="rank1")
    rank.start(join=True, name="by rank 1")
    owner = Feed(store, run_id=rank.run_id, writer="rank0")
    owner.start(name="by rank 0")
    run = store.run(rank.run_id)
    assert (run.name, run.attempt) == ("by rank 0", 1)
    with pytest.raises(RunExists):
        Feed(store, run_id=rank.run_id, writer="third").start()


def test_points_bring_a_lost_run_back(feed: Feed) -> None:
    assert feed.store.set_status(feed.run_id, RunStatus.LOST, now_ms=NOW_MS + 1, seen_heartbeat_ms=NOW_MS)
    feed.now_ms += 5
    feed.log("loss", [1], [1.0])
    run = feed.store.run(feed.run_id)
    assert (run.status, run.heartbeat_ms, run.last_point_ms) == (RunStatus.RUNNING, NOW_MS + 5, NOW_MS + 5)
    (delivery,) = feed.store.alerts(feed.run_id)
    assert (delivery.alert.kind, delivery.alert.state) == ("lost", "resolved")


def test_a_heartbeat_alone_leaves_a_stalled_run_stalled(feed: Feed) -> None:
    feed.store.set_status(feed.run_id, RunStatus.STALLED, now_ms=NOW_MS)
    feed.now_ms += 5
    feed.beat()
    assert feed.store.run(feed.run_id).status is RunStatus.STALLED
    feed.log("system/cpu", [0], [10.0])
    assert feed.store.run(feed.run_id).status is RunStatus.STALLED
    feed.log("loss", [1], [1.0])
    assert feed.store.run(feed.run_id).status is RunStatus.RUNNING


def test_a_heartbeat_is_no_new_version(feed: Feed) -> None:
    before = feed.store.run(feed.run_id)
    feed.now_ms += 10_000
    reply = feed.beat()
    after = feed.store.run(feed.run_id)
    assert (reply.duplicate, reply.acked) == (False, 1)
    assert (after.version, after.heartbeat_ms) == (before.version, NOW_MS + 10_000)


def test_a_status_is_not_set_on_what_has_moved(feed: Feed) -> None:
    assert not feed.store.set_status(feed.run_id, RunStatus.LOST, now_ms=NOW_MS, seen_heartbeat_ms=NOW_MS - 1)
    feed.event("finish", status="stopped")
    assert not feed.store.set_status(feed.run_id, RunStatus.LOST, now_ms=NOW_MS)
    assert feed.store.run(feed.run_id).status is RunStatus.STOPPED
    assert not feed.store.set_status("0" * 32, RunStatus.LOST, now_ms=NOW_MS)


def test_events_change_the_run_and_are_kept(feed: Feed) -> None:
    feed.event("config", lr=0.1)
    feed.event("config", depth=3)
    feed.event("tags", team="vision", n=4)
    feed.event("warning", name="dropped", count=3)
    feed.event("warning", name="dropped", count=2)
    feed.event("checkpoint", step=100, path="best.pt")
    feed.event("capture", git="abc")
    feed.event("finish", status="failed", error="ValueError: no")
    run = feed.store.run(feed.run_id)
    assert (run.config, run.tags, run.warnings) == (
        {"lr": 0.1, "depth": 3},
        {"team": "vision", "n": "4"},
        {"dropped": 5},
    )
    assert (run.status, run.error, run.finished_ms) == (RunStatus.FAILED, "ValueError: no", NOW_MS)
    (checkpoint,) = feed.store.checkpoints(run.id)
    assert (checkpoint.step, checkpoint.path, checkpoint.time_ms) == (100, "best.pt", NOW_MS)
    events = feed.store.events(run.id)
    assert [e.kind for e in events] == [
        "run",
        *["config"] * 2,
        "tags",
        *["warning"] * 2,
        "checkpoint",
        "capture",
        "finish",
    ]
    assert [e.record for e in events] == list(range(9))


def test_a_checkpoint_is_listed_once_and_until_it_is_deleted(feed: Feed) -> None:
    def listed() -> list[tuple[int, str]]:
        return [(found.step, found.path) for found in feed.store.checkpoints(feed.run_id)]

    for step in (1, 2):
        feed.event("checkpoint", step=step, path=f"{step}.pt")
        feed.event("checkpoint", step=step, path="last.pt")
    assert listed() == [(1, "1.pt"), (2, "2.pt"), (2, "last.pt")]
    feed.event("checkpoint", path="1.pt", deleted=True)
    feed.event("checkpoint", path="never.pt", deleted=True)
    assert listed() == [(2, "2.pt"), (2, "last.pt")]
    data = ({"step": 3, "path": "1.pt"}, {"path": "1.pt", "deleted": True}, {"path": "2.pt", "deleted": True})
    again = (*data, {"step": 4, "path": "1.pt"})
    events = tuple(
        Event(kind="checkpoint", record=feed.acked + i, time_ms=NOW_MS, data=each) for i, each in enumerate(again)
    )
    feed.send(Batch(run_id=feed.run_id, writer="w", first=feed.acked, count=4, events=events))
    assert listed() == [(2, "last.pt"), (4, "1.pt")]


def test_an_alert_of_the_loop_goes_to_the_outbox(feed: Feed) -> None:
    feed.event("alert", title="GPU is hot", body="95 °C", severity="critical")
    (delivery,) = feed.store.alerts()
    assert (delivery.alert.title, delivery.alert.severity, delivery.alert.kind) == ("GPU is hot", "critical", "alert")


def test_texts_that_a_database_would_refuse_are_mended(feed: Feed) -> None:
    feed.event("tags", **{"a\0b": "half \ud800 pair"})
    feed.event("config", note="nul \0 and \ud800", **{"\udcff": 2**70})
    feed.event("alert", title="nul \0")
    feed.event("finish", status="failed", error="\udcff")
    run = feed.store.run(feed.run_id)
    assert run.tags == {"a\ufffdb": "half \\ud800 pair"}
    assert run.config == {"note": "nul \ufffd and \\ud800", "\\udcff": str(2**70)}
    assert run.error == "\\udcff"
    assert run.warnings == {"renamed": 1, "mended": 6}


@pytest.mark.parametrize("key", ["", " ", "k" * 251, "a\0", "\udcff.png", " loss"])
def test_points_under_a_name_that_no_database_takes_are_stored_under_another(feed: Feed, key: str) -> None:
    reply = feed.log(key, [1, 2], [1.0, 2.0])
    (series,) = feed.store.series(feed.run_id)
    assert (series.count, feed.store.run(feed.run_id).warnings) == (2, {"renamed": 2})
    assert reply.set_aside[0].startswith(f"renamed: {series.key}")


def test_names_that_become_one_are_one_series(feed: Feed) -> None:
    columns = Columns(np.array([0, 1], "u2"), np.arange(2), np.arange(2.0), np.full(2, NOW_MS))
    batch = Batch(run_id=feed.run_id, writer="w", first=1, count=2, keys=("loss ", "loss"), points=columns)
    feed.send(batch)
    assert [(s.key, s.count) for s in feed.store.series(feed.run_id)] == [("loss", 2)]


def test_times_of_a_clock_that_stands_before_1970_are_mended_in_both_spellings(feed: Feed) -> None:
    columns = Columns(np.zeros(2, "u2"), np.arange(2), np.arange(2.0), np.array([-5, NOW_MS]))
    batch = Batch(run_id=feed.run_id, writer="w", first=1, count=2, keys=("loss",), points=columns)
    feed.send(decode_batch(encode_batch(batch)))
    feed.send(replace(batch_from_json(batch_to_json(batch)), first=3))
    assert sorted(feed.store.history(feed.run_id, "loss").times.tolist()) == [0, 0, NOW_MS, NOW_MS]
    assert feed.store.run(feed.run_id).warnings["converted"] == 2


def test_a_stop_request_reaches_the_loop(feed: Feed) -> None:
    feed.store.request_stop(feed.run_id, "anna", now_ms=NOW_MS)
    assert feed.beat().stop_requested == "anna"
    assert feed.log("loss", [1], [1.0]).stop_requested == "anna"
    with pytest.raises(RunNotFound):
        feed.store.request_stop("0" * 32, "anna", now_ms=NOW_MS)


def test_a_finding_is_stored_with_its_alert_and_resolves_in_place(feed: Feed) -> None:
    reply = feed.log("loss", range(200), [1 / (1 + i) for i in range(199)] + [math.nan])
    (finding, *_) = [f for f in feed.store.findings(feed.run_id) if f.rule == "nan"]
    assert (finding.fired_step, str(finding.state)) == (199, "firing")
    run = feed.store.run(feed.run_id)
    assert (run.verdict, run.recommendation) == ("nan", reply.recommendation)
    assert [d.alert.kind for d in feed.store.alerts(feed.run_id)] == ["nan"]
    numbers = [f.number for f in feed.store.findings(feed.run_id)]
    assert len(set(numbers)) == len(numbers)


def test_the_first_series_of_a_role_is_the_judged_one(feed: Feed) -> None:
    feed.log("train_loss", range(5), [1.0] * 5)
    feed.log("loss", range(3), [math.nan] * 3)
    counts = feed.store.counts(feed.run_id)
    assert (counts.train, counts.non_finite, counts.unmapped) == (5, 0, ("loss",))


def test_late_points_are_stored_and_counted(feed: Feed) -> None:
    feed.log("loss", [1, 5, 3, 6], [1.0, 5.0, 3.0, 6.0])
    feed.log("loss", [2], [2.0])
    assert feed.store.history(feed.run_id, "loss").values.tolist() == [1.0, 2.0, 3.0, 5.0, 6.0]
    assert feed.store.run(feed.run_id).warnings == {"late": 2}


def test_a_batch_of_the_json_spelling_is_the_same(store: Store) -> None:
    feed = Feed(store)
    feed.start()
    rows = [{"key": "loss", "step": 3, "value": "NaN", "time_ms": NOW_MS}]
    feed.send(batch_from_json({"run_id": feed.run_id, "writer": "w", "first": 1, "count": 1, "points": rows}))
    assert math.isnan(store.history(feed.run_id, "loss").values[0])


def test_many_keys_in_one_batch(feed: Feed) -> None:
    n = 700
    keys = tuple(f"metric/{i}" for i in range(n))
    columns = Columns(np.arange(n, dtype="u2"), np.zeros(n, "i8"), np.arange(n) * 1.0, np.full(n, NOW_MS))
    feed.send(Batch(run_id=feed.run_id, writer="w", first=1, count=1, keys=keys, points=columns))
    columns = Columns(columns.key, columns.step + 1, columns.value, columns.time_ms)
    feed.send(Batch(run_id=feed.run_id, writer="w", first=2, count=1, keys=keys, points=columns))
    found = feed.store.series(feed.run_id)
    assert [s.key for s in found] == list(keys)
    assert {s.count for s in found} == {2}


def test_the_longest_key_fits(feed: Feed) -> None:
    key = "é" * 250
    feed.log(key, [1], [1.0])
    assert feed.store.series(feed.run_id)[0].key == key
