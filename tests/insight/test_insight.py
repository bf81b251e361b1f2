"""Economics, the ledger, the queue, events, waits and explanations, from a store of either kind."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import insight
from monitor.domain import Checkpoint, RunInfo, RunStatus, Stop, StopState
from monitor.errors import WireError
from monitor.ingest.engines import open_engines
from monitor.insight.attention import FORGET_MS
from monitor.insight.economics import planned_steps, price_of, saving, seconds_per_step
from monitor.insight.explain import MOST_TOKENS, tokens
from monitor.insight.ledger import entry
from monitor.insight.waiting import until_of
from monitor.settings import load
from monitor.store import Store
from monitor.store.runs.facts import Facts
from tests.conftest import LOCAL, NOW_MS, Feed
from tests.variants import SQLITE_FIRST

HOUR = 3_600_000


@pytest.fixture(params=SQLITE_FIRST)
def store_url(request: pytest.FixtureRequest) -> str:
    """A database of this test's own; that PostgreSQL gives the same is left to the slow suite."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def settings(tmp_path: Path):
    return load(dir=tmp_path, cost_per_hour={"*": 2.0, "A100": 3.0})


def trained(store: Store, *, steps: int = 100, gpus: int = 0, step_ms: int = 36_000, **run: object) -> Feed:
    """A run that made steps of 36 s each."""
    feed = Feed(store, now_ms=NOW_MS)
    feed.start(**run)
    if gpus:
        feed.event("capture", gpus=["NVIDIA A100-SXM4-80GB"] * gpus)
    feed.now_ms = NOW_MS + steps * step_ms
    feed.log("train/loss", list(range(steps)), [2.0 / (1 + step / 20) for step in range(steps)])
    return feed


def overfits(store: Store, **run: object) -> Feed:
    """A run that a stop is advised for at step 1000 of 4000 planned ones, 36 s each."""
    feed = Feed(store, now_ms=NOW_MS)
    feed.start(**{"config": {"max_steps": 4000}, **run})
    feed.event("checkpoint", step=480, path="ckpt-480.pt")
    feed.event("checkpoint", step=520, path="ckpt-520.pt")
    feed.now_ms = NOW_MS + 1001 * 36_000
    steps = list(range(0, 1001, 20))
    feed.log("train/loss", steps, [2.0 / (1 + step / 100) for step in steps])
    feed.log("val/loss", steps, [2.0 - s / 1000 if s <= 500 else 1.5 + (s - 500) / 400 for s in steps])
    return feed


def test_a_saving_is_the_product_of_its_numbers(store: Store, settings) -> None:
    feed = trained(store, steps=100, gpus=4, planned_steps=1100)
    found = insight.saving_of(store, settings, feed.run_id)
    assert (found.planned_steps, found.last_step, found.steps) == (1100, 99, 1000)
    assert found.seconds_per_step == pytest.approx(36.0)
    assert found.hours == found.steps * found.seconds_per_step / 3600 == pytest.approx(10.0)
    assert found.gpu_hours == pytest.approx(40.0)
    assert (found.gpus, found.price_hour) == (4, 12.0)
    assert found.cost == pytest.approx(120.0)
    assert found.sentence.startswith("A stop now saves 40 GPU-hours, about 120.00 USD; best is step 99.")


def test_a_saving_names_the_checkpoint_nearest_to_the_best_step_and_how_to_resume(store: Store, settings) -> None:
    feed = overfits(store)
    found = insight.saving_of(store, settings, feed.run_id)
    best = store.run(feed.run_id).recommendation.best_step
    assert found.best_step == best == 500
    assert (found.checkpoint, found.checkpoint_step) == ("ckpt-480.pt", 480)
    assert f'checkpoint ckpt-480.pt (step 480); resume with monitor.init("p", run_id="{feed.run_id}"' in found.sentence
    assert store.snapshot(feed.run_id).saving is None
    assert insight.snapshot(store, settings, feed.run_id).saving == found


def test_without_a_plan_or_a_price_only_what_is_known_is_said(store: Store, tmp_path: Path) -> None:
    bare = load(dir=tmp_path)
    feed = trained(store)
    found = insight.saving_of(store, bare, feed.run_id)
    assert (found.planned_steps, found.hours, found.cost, found.amount) == (None, None, None, "")
    feed = trained(store, planned_steps=200)
    found = insight.saving_of(store, bare, feed.run_id)
    assert found.cost is None and found.amount == "1 hour"


def test_the_pace_of_a_resumed_run_is_that_of_its_attempt(store: Store, settings) -> None:
    feed = trained(store, steps=100, planned_steps=1000)
    second = Feed(store, run_id=feed.run_id, writer="second", now_ms=feed.now_ms + 1000 * HOUR)
    second.start(resume="allow", planned_steps=1000)
    second.now_ms += 100 * 3_600
    second.log("train/loss", list(range(50, 150)), [1.0] * 100)
    assert insight.saving_of(store, settings, feed.run_id).seconds_per_step == pytest.approx(3.6)


@pytest.mark.parametrize(
    ("config", "planned"),
    [
        ({"max_steps": 500}, 500),
        ({"trainer": {"max_steps": -1, "epochs": 3}, "steps_per_epoch": 10}, 30),
        ({"max_steps": -1, "num_iterations": 70}, 70),
        ({"epochs": 3}, None),
        ({"Max_Steps": "many", "total_steps": 9.0}, 9),
        ({"max_steps": True}, None),
        ({"steps": float("nan")}, None),
        ({}, None),
    ],
)
def test_planned_steps_are_read_from_what_trainers_call_them(config: dict[str, object], planned: int | None) -> None:
    run = RunInfo(id="a" * 32, project="p", name="n", status=RunStatus.RUNNING, created_ms=0, config=config)
    assert planned_steps(run) == planned
    assert planned_steps(replace(run, planned_steps=7)) == 7


@given(
    planned=st.integers(1, 10**9), last=st.integers(1, 10**9), took=st.integers(1, 10**12), gpus=st.integers(0, 16),
    price=st.floats(0, 1000),
)  # fmt: skip
def test_every_number_of_a_saving_can_be_recomputed(
    planned: int, last: int, took: int, gpus: int, price: float
) -> None:
    run = RunInfo(
        id="a" * 32, project="p", name="n", status=RunStatus.RUNNING, created_ms=0, last_step=last, last_point_ms=took,
        planned_steps=planned,
    )  # fmt: skip
    facts = Facts(begun_ms=0, first_step=0, gpus=("X100",) * gpus)
    found = saving(
        run, facts, load(cost_per_hour={"*": price, "x100": price}), [Checkpoint(step=1, path="c", time_ms=0)]
    )
    assert found.steps == max(0, planned - last - 1)
    assert found.seconds_per_step == took / 1000 / (last + 1) == seconds_per_step(run, facts)
    assert found.hours == found.steps * found.seconds_per_step / 3600
    assert found.price_hour == pytest.approx(price * (gpus or 1))
    assert found.cost == found.hours * found.price_hour
    assert found.gpu_hours == (found.hours * gpus if gpus else None)


def test_the_longest_words_of_a_card_price_it_and_an_unknown_card_costs_the_flat_price() -> None:
    prices = {"*": 1.0, "A100": 2.0, "A100-SXM4-80GB": 3.0}
    assert price_of(prices, ["NVIDIA A100-SXM4-80GB", "NVIDIA A100-PCIE-40GB"]).hour == 5.0
    assert price_of(prices, ["Tesla K80"]).hour == 1.0
    assert price_of({"A100": 2.0}, ["Tesla K80"]).hour is None


def test_the_ledger_counts_what_was_never_run(store: Store, settings) -> None:
    feed = overfits(store)
    feed.event("finish", status="stopped", error=None)
    (entry,) = insight.ledger(store, settings).entries
    assert (entry.stopped_step, entry.last_step, entry.planned_steps, entry.saved_steps) == (1000, 1000, 4000, 2999)
    assert entry.saved_hours == pytest.approx(29.99, rel=1e-3)
    assert entry.saved_cost == pytest.approx(entry.saved_hours * 2.0)
    assert (entry.who, entry.rule, entry.continued, entry.regret) == ("advice", "overfitting", False, False)
    patience = store.run(feed.run_id).recommendation.patience
    assert patience is not None and entry.patience_step == patience.stop_step
    assert entry.patience_hours == pytest.approx((4000 - patience.stop_step - 1) * entry.seconds_per_step / 3600)
    (month,) = insight.ledger(store, settings, project="p").months
    assert (month.stops, month.saved_cost, month.project) == (1, entry.saved_cost, "p")
    assert not insight.ledger(store, settings, project="other").entries
    assert not insight.ledger(store, settings, until_ms=NOW_MS).entries


@pytest.mark.parametrize(("reached", "missed"), [(0.9, True), (1.0, False), (1.1, False)])
def test_patience_missed_what_the_run_reached_after_it_would_have_stopped(
    settings, reached: float, missed: bool
) -> None:
    run = RunInfo(id="a" * 32, project="p", name="n", status=RunStatus.STOPPED, created_ms=0, last_step=90)
    stop = Stop(id=1, who="ada", requested_ms=0, finished_ms=1, stopped_step=90, patience_step=40, patience_best=1.0)
    facts = Facts(begun_ms=0, first_step=0, bests={"val": reached, "train": 0.1})
    assert entry(run, facts, stop, settings, newest=True).patience_missed is missed


@pytest.mark.parametrize(("then", "regret"), [(0.5, True), (2.5, False)])
def test_a_stopped_run_that_was_continued_is_regretted_where_it_got_better(
    store: Store, settings, then: float, regret: bool
) -> None:
    feed = overfits(store)
    feed.event("finish", status="stopped", error=None)
    second = Feed(store, run_id=feed.run_id, writer="second", now_ms=feed.now_ms)
    second.start(resume="allow", config={"max_steps": 4000})
    second.now_ms += 1000 * 36_000
    second.log("val/loss", list(range(1001, 2001)), [then] * 1000)
    (entry,) = insight.ledger(store, settings).entries
    assert (entry.continued, entry.saved_hours, entry.regret) == (True, 0, regret)
    second.event("finish", status="finished", error=None)
    (entry,) = insight.ledger(store, settings).entries
    assert (entry.saved_steps, entry.last_step, entry.best_at_stop) == (1999, 2000, 1.5)
    lost = 1000 * entry.seconds_per_step / 3600
    assert (entry.lost_hours, entry.lost_cost) == (
        (pytest.approx(lost), pytest.approx(lost * 2)) if regret else (None, None)
    )


def test_a_run_that_was_stopped_twice_saves_once(store: Store, settings) -> None:
    feed = overfits(store)
    feed.event("finish", status="stopped", error=None)
    second = Feed(store, run_id=feed.run_id, writer="second", now_ms=feed.now_ms)
    second.start(resume="allow")
    second.log("val/loss", list(range(1001, 1101)), [2.0] * 100)
    second.event("finish", status="stopped", error=None)
    first, last = insight.ledger(store, settings).entries
    assert (first.saved_steps, last.saved_steps) == (0, 4000 - 1100 - 1)


def test_attention_ranks_by_severity_cost_and_novelty(store: Store, settings) -> None:
    trained(store, name="fine")
    cheap = overfits(store, name="cheap", config={"max_steps": 1100})
    dear = overfits(store, name="dear", config={"max_steps": 400_000})
    lost = trained(store, name="gone")
    store.set_status(lost.run_id, RunStatus.LOST, now_ms=NOW_MS)
    over = overfits(store, name="over")
    over.event("finish", status="stopped", error=None)
    now = dear.now_ms
    found = insight.attention(store, settings, now_ms=now, sparkline=20)
    assert [item.run.name for item in found.items] == ["dear", "cheap", "gone"]
    assert (found.total, found.running, found.lost, found.finished_today) == (3, 3, 1, 1)
    for item in found.items:
        assert item.score == item.severity * (1 + item.burn) * item.novelty
    first = found.items[0]
    assert (first.kind, first.severity, first.burn) == ("overfitting", 1.0, first.saving.cost)
    assert 2 <= len(first.sparkline["val"]) <= 20
    assert found.saved_hours == pytest.approx(29.99, rel=1e-3)
    assert found.items[2].burn == 0
    later = insight.attention(store, settings, now_ms=lost.now_ms + FORGET_MS + HOUR)
    assert later.lost == 1 and "gone" not in [item.run.name for item in later.items]
    later = insight.attention(store, settings, now_ms=now + 48 * HOUR, limit=1)
    assert (len(later.items), later.total) == (1, 3)
    assert json.dumps(found.to_dict())
    assert cheap.run_id == found.items[1].run.id


def test_what_ended_today_ended_since_midnight(store: Store, settings) -> None:
    feed = Feed(store)
    feed.start()
    feed.event("finish", status="finished", error=None)
    midnight = NOW_MS - NOW_MS % (24 * HOUR) + 24 * HOUR
    ended = [insight.attention(store, settings, now_ms=at).finished_today for at in (midnight - 1, midnight)]
    assert ended == [1, 0]


def test_attention_explanation_and_events_say_how_an_alert_stands(store: Store, settings) -> None:
    ill, other = overfits(store, name="ill"), overfits(store, name="other")
    now = ill.now_ms
    before = insight.happened(store, ill.run_id, now_ms=now)
    (fired,) = [e.data for e in before.events if e.kind == "alert"]
    assert (fired["rule"], fired["state"]) == ("overfitting", "firing")
    store.acknowledge(fired["id"], "ada", "lr down", now_ms=now, by=LOCAL)

    first, last = insight.attention(store, settings, now_ms=now).items
    assert (first.run.name, last.run.name) == ("other", "ill")  # somebody has the other in hand
    assert (last.alert.id, last.alert.acked_by, last.novelty) == (fired["id"], "ada", 0.05)
    assert first.alert.state == "firing"

    found = insight.explain(store, settings, "ill", now_ms=now)
    (told,) = found["alerts"]
    assert (told["id"], told["state"], told["acked_note"]) == (fired["id"], "acknowledged", "lr down")
    assert f"Alert {fired['id'][:8]} (overfitting): acknowledged by ada: lr down." in found["text"]

    after = insight.happened(store, ill.run_id, before.cursor, now_ms=now)
    assert [(e.kind, e.data["state"]) for e in after.events] == [("alert", "acknowledged")]
    ill.event("finish", status="finished", error=None)
    over = insight.happened(store, ill.run_id, after.cursor, now_ms=now)
    assert [e.data["resolution"] for e in over.events if e.kind == "alert"] == ["the run finished"]
    assert insight.happened(store, ill.run_id, over.cursor, now_ms=now).events == ()
    assert other.run_id == first.run.id


def test_attention_counts_what_the_loop_and_thresholds_raise(store: Store, settings) -> None:
    feed = Feed(store, engines=open_engines(load(thresholds=({"when": "x > 1"},))))
    feed.start(name="watched")
    feed.log("x", [3], [2.0])
    (item,) = insight.attention(store, settings, now_ms=NOW_MS).items
    assert (item.kind, item.severity, item.novelty) == ("threshold", 0.4, 1.0)
    assert item.sentence == "x is 2 at step 3; the threshold is x > 1."
    feed.event("alert", title="disk nearly full", body="3 GiB left", severity="critical")
    (item,) = insight.attention(store, settings, now_ms=NOW_MS).items
    assert (item.kind, item.severity, item.sentence) == ("alert", 1.0, "disk nearly full: 3 GiB left")
    assert item.alert is not None
    store.acknowledge(item.alert.id, "ada", "", now_ms=NOW_MS, by=LOCAL)
    (item,) = insight.attention(store, settings, now_ms=NOW_MS).items
    assert (item.kind, item.novelty) == ("alert", 0.05)
    feed.event("alert", title="news", body="", severity="info")
    feed.event("finish", status="finished", error=None)
    assert insight.attention(store, settings, now_ms=NOW_MS).items == ()


def test_an_explanation_of_a_run_in_trouble_advises_nothing_for_good_news(store: Store, settings) -> None:
    feed = overfits(store, name="ill")
    assert {each["because"].split()[0] for each in insight.explain(store, settings, "ill", now_ms=NOW_MS)["next"]} == {
        "overfitting"
    }
    assert ", do: stop." in insight.explain(store, settings, "ill", now_ms=NOW_MS)["text"]
    feed.event("finish", status="failed", error="CUDA out of memory")
    text = insight.explain(store, settings, "ill", now_ms=NOW_MS)["text"]
    assert "do:" not in text.splitlines()[0] and "Error: CUDA out of memory" in text


def test_events_come_once_each_in_order_and_resume_by_their_cursor(store: Store) -> None:
    feed = Feed(store)
    feed.start()
    first = insight.happened(store, feed.run_id, now_ms=NOW_MS)
    assert [e.kind for e in first.events] == ["recommendation", "status"]
    assert insight.happened(store, feed.run_id, first.cursor, now_ms=NOW_MS).events == ()

    feed.log("train/loss", [0, 1, 2], [3.0, 2.0, 1.0])
    feed.event("checkpoint", step=2, path="c.pt")
    feed.event("alert", title="look", body="", severity="warning")
    second = insight.happened(store, feed.run_id, first.cursor, now_ms=NOW_MS)
    assert [(e.kind, e.data.get("event")) for e in second.events] == [
        ("points", None), ("alert", None), ("event", "checkpoint"), ("event", "alert"),
    ]  # fmt: skip
    assert second.events[0].data["series"]["train/loss"]["last"] == 1.0

    store.request_stop(feed.run_id, "ada", now_ms=NOW_MS)
    feed.beat()
    feed.event("finish", status="stopped", error=None)
    third = insight.happened(store, feed.run_id, second.cursor, now_ms=NOW_MS)
    assert [(e.kind, e.data.get("state"), e.data.get("status")) for e in third.events] == [
        ("stop", "finished", None), ("status", None, "stopped"),
    ]  # fmt: skip
    assert third.ended
    whole = insight.happened(store, feed.run_id, now_ms=NOW_MS)
    assert whole.cursor == third.cursor


def test_a_finding_comes_when_it_fires_and_when_it_is_resolved(store: Store) -> None:
    feed = overfits(store)
    first = insight.happened(store, feed.run_id, now_ms=NOW_MS)
    fired = {e.data["number"]: e.data["rule"] for e in first.events if e.kind == "finding"}
    assert "overfitting" in fired.values()
    steps = list(range(1020, 4000, 20))
    feed.log("val/loss", steps, [max(0.2, 2.7 - (s - 1020) / 400) for s in steps])
    second = insight.happened(store, feed.run_id, first.cursor, now_ms=NOW_MS)
    resolved = [e.data for e in second.events if e.kind == "finding" and e.data["state"] == "resolved"]
    assert "overfitting" in {data["rule"] for data in resolved}
    assert insight.happened(store, feed.run_id, second.cursor, now_ms=NOW_MS).events == ()


@pytest.mark.parametrize("cursor", ["x", "abcdefAAAA", "ü" * 10, "0" * 4000])
def test_a_cursor_that_is_none_is_refused(store: Store, cursor: str) -> None:
    feed = Feed(store)
    feed.start()
    with pytest.raises(WireError, match="is not a cursor of this run"):
        insight.happened(store, feed.run_id, cursor, now_ms=NOW_MS)
    other = Feed(store)
    other.start()
    found = insight.happened(store, other.run_id, now_ms=NOW_MS).cursor
    with pytest.raises(WireError, match="is not a cursor of this run"):
        insight.happened(store, feed.run_id, found, now_ms=NOW_MS)


def test_a_long_history_of_alerts_comes_in_portions_and_whole(store: Store) -> None:
    feed = Feed(store)
    feed.start()
    for at in range(1100):
        feed.event("tags", tags={"t": str(at)})
    seen, cursor = 0, ""
    for _ in range(5):
        found = insight.happened(store, feed.run_id, cursor, now_ms=NOW_MS)
        seen += sum(e.kind == "event" for e in found.events)
        cursor = found.cursor
    assert seen == 1100


def test_a_wait_ends_when_it_happens_or_can_happen_no_more(store: Store) -> None:
    calm, ill = trained(store, name="calm"), overfits(store, name="ill")
    ids = [calm.run_id, ill.run_id]
    assert insight.outcomes(store, ids, until_of([])) == ()
    (found,) = insight.outcomes(store, ids, until_of(["verdict=overfitting"]))
    assert (found.name, found.what, found.status) == ("ill", "verdict=overfitting", "running")
    (found,) = insight.outcomes(store, ids, until_of(["stop"]))
    assert found.name == "ill"
    (found,) = insight.outcomes(store, ids, until_of(["alert"]))
    assert found.name == "ill"
    calm.event("finish", status="failed", error="boom")
    (found,) = insight.outcomes(store, ids, until_of(["finish"]))
    assert (found.what, found.status, found.why) == (None, "failed", "boom")


def test_a_wait_returns_soon_after_another_process_has_written(store_url: str) -> None:
    with Store.open(store_url) as store, Store.open(store_url) as other:
        feed = Feed(store)
        feed.start()
        writer = threading.Timer(0.3, lambda: Feed(other, run_id=feed.run_id, acked=1).event(
            "finish", status="finished", error=None))  # fmt: skip
        writer.start()
        (found,) = insight.wait_for_outcomes(store, [feed.run_id], until_of([]), 60)
        writer.join()
        assert (found.what, found.status) == ("finish", "finished")
        begun = insight.wait_for_events(store, feed.run_id, "", 0)
        assert insight.wait_for_events(store, feed.run_id, begun.cursor, 0.1).events == ()


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("verdict=overfiting", "did you mean 'overfitting'"),
        ("stopp", "did you mean 'stop'"),
        ("verdict", "give finish, stop, alert or verdict=NAME"),
        ("finish=1", "give finish"),
        ("", "give finish"),
    ],
)
def test_a_word_that_cannot_be_waited_for_is_refused_with_the_nearest(word: str, problem: str) -> None:
    with pytest.raises(WireError, match=problem):
        until_of([word])


def test_an_explanation_holds_what_is_stored_and_fits(store: Store, settings) -> None:
    ill = overfits(store, name="ill", config={"max_steps": 4000, "opt": {"lr": 0.1, "wd": 0}}, group="g")
    good = Feed(store)
    good.start(name="good", group="g", config={"max_steps": 4000, "opt": {"lr": 0.01, "wd": 0}})
    good.log("val/loss", list(range(0, 1000, 20)), [1.0 / (1 + s / 100) for s in range(0, 1000, 20)])
    found = insight.explain(store, settings, "ill", now_ms=NOW_MS)
    run = store.run(ill.run_id)
    assert (found["verdict"], found["action"], found["reason"]) == ("overfitting", "stop", run.recommendation.reason)
    assert found["best"] == {
        "step": 500,
        "loss": 1.5,
        "goal": None,
        "checkpoint": "ckpt-480.pt",
        "checkpoint_step": 480,
    }
    other = found["against_best"]
    assert (other["run"]["name"], other["of"], other["better"]) == ("good", "group", "there")
    assert other["changes"] == [{"key": "opt.lr", "here": 0.1, "there": 0.01}]
    assert other["effect"] == pytest.approx(1.5 - 1.0 / 10.8)
    assert found["next"][0]["try"] and "overfitting" in found["next"][0]["because"]
    text = found["text"]
    assert tokens(text) <= MOST_TOKENS
    for word in ("overfitting", "ckpt-480.pt", "opt.lr 0.1 here, 0.01 there", "A stop now saves", "Try: "):
        assert word in text
    json.dumps(found, allow_nan=False)


@given(st.lists(st.text(max_size=400), max_size=30))
def test_no_text_is_too_long(lines: list[str]) -> None:
    from monitor.insight.explain import _fitting

    assert tokens(_fitting(lines)) <= MOST_TOKENS


def test_a_run_without_anything_is_explained_too(store: Store, settings) -> None:
    feed = Feed(store)
    feed.start()
    found = insight.explain(store, settings, feed.run_id, now_ms=NOW_MS)
    assert found["verdict"] == "too_early" and found["against_best"] is None and found["text"]


def test_stops_are_part_of_an_explanation(store: Store, settings) -> None:
    feed = trained(store)
    store.request_stop(feed.run_id, "ada", now_ms=NOW_MS)
    found = insight.explain(store, settings, feed.run_id, now_ms=NOW_MS)
    assert found["stops"][0]["state"] == StopState.REQUESTED
    assert "Stop 1: requested, asked by ada." in found["text"]


def test_a_run_that_logged_nothing_is_explained_without_a_step(store: Store, settings) -> None:
    feed = Feed(store, now_ms=NOW_MS)
    feed.start(name="empty")
    feed.event("finish", status="failed", error="boom")
    text = insight.explain(store, settings, "empty", now_ms=NOW_MS)["text"]
    assert ": failed before its first step, verdict too_early." in text and "–" not in text
