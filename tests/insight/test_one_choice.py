"""What is decided once: the checkpoint of a message is that of the saving, and a slice needs no training points."""

from __future__ import annotations

import pytest

from dashboard.markup import run_page
from monitor import insight
from monitor.alerts import Message
from monitor.domain import Severity, best_checkpoint
from monitor.jobs.describing import describe
from monitor.mlflow_store.content import Subject, tags_of
from monitor.settings import Settings
from monitor.store import Store
from tests.conftest import NOW_MS, Feed


def a_run(store: Store, *, slices: bool = False) -> Feed:
    feed = Feed(store, now_ms=NOW_MS)
    feed.start()
    steps = list(range(0, 1001, 20))
    rising = [2.0 - s / 1000 if s <= 500 else 1.5 + (s - 500) / 400 for s in steps]
    feed.log("train/loss", steps, [2.0 / (1 + step / 100) for step in steps])
    feed.log("val/loss", steps, [2.0 / (1 + step / 100) for step in steps] if slices else rising)
    for name in ("night", "day") if slices else ():
        feed.log(f"val/loss{{scene={name}}}", steps, rising if name == "night" else [1.0 / (1 + s) for s in steps])
    return feed


def a_message(feed: Feed, kind: str) -> Message:
    return Message(
        id="1", kind=kind, state="firing", severity=Severity.CRITICAL, title="t", body="b", run_ids=(feed.run_id,),
        run_id=feed.run_id, project="p", run_name="r", step=None, created_ms=NOW_MS, dedup_key="k",
    )  # fmt: skip


@pytest.mark.parametrize("saved", [(480, 520), (520, 480)])
def test_a_message_names_the_same_checkpoint_as_the_saving_where_two_are_as_near(
    store: Store, saved: tuple[int, int]
) -> None:
    feed = a_run(store)
    for step in saved:
        feed.event("checkpoint", step=step, path=f"ckpt-{step}.pt")
    facts = describe(store, Settings(), a_message(feed, "overfitting")).facts
    saving = insight.saving_of(store, Settings(), feed.run_id)
    assert facts is not None and facts.checkpoint == (saving.checkpoint, saving.checkpoint_step) == ("ckpt-480.pt", 480)


@pytest.mark.parametrize("goal", [False, True])
@pytest.mark.parametrize("saved", [(480, 520), (520, 480), (500, 500), (900,)])
def test_every_place_that_names_a_checkpoint_names_the_same(
    sqlite_url: str, goal: bool, saved: tuple[int, ...]
) -> None:
    with Store.open(sqlite_url) as store:
        feed = a_run(store)
        if goal:
            feed.log("val/accuracy", [200, 700, 1000], [0.5, 0.9, 0.7])
        for number, step in enumerate(saved):
            feed.event("checkpoint", step=step, path=f"{number}-{step}.pt")
        seen = insight.snapshot(store, Settings(), feed.run_id)
        (item,) = insight.attention(store, Settings(), now_ms=NOW_MS).items
        explained = insight.explain(store, Settings(), feed.run_id, now_ms=NOW_MS)["best"]
    best = best_checkpoint(seen.info.recommendation, seen.checkpoints)
    assert best is not None and seen.saving is not None
    expected = (best.path, best.step)
    assert (seen.saving.checkpoint, seen.saving.checkpoint_step) == expected
    assert (item.saving.checkpoint, item.saving.checkpoint_step) == expected
    assert (explained["checkpoint"], explained["checkpoint_step"]) == expected
    assert tags_of(Subject(run=seen.info, checkpoints=seen.checkpoints))["monitor.checkpoint.best"] == best.path
    (starred,) = [row for row in str(run_page.checkpoints(seen, NOW_MS)).split("<tr") if "★" in row]
    assert best.path in starred


def test_a_message_about_a_run_that_has_ended_advises_nothing(sqlite_url: str) -> None:
    with Store.open(sqlite_url) as store:
        feed, said = a_run(store), []
        for status in ("running", "failed"):
            if status != "running":
                feed.event("finish", status=status, error="CUDA out of memory")
            facts = describe(store, Settings(), a_message(feed, "alert")).facts
            assert facts is not None and facts.best is not None
            said.append((facts.action, facts.saves is not None))
    assert said == [("stop", True), ("", False)]


def test_a_slice_is_judged_without_reading_the_training_loss(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    feed, read, history = a_run(store, slices=True), list[str](), Store.history

    def noted(self: Store, run_id: str, key: str, *more: object, **named: object) -> object:
        read.append(key)
        return history(self, run_id, key, *more, **named)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(Store, "history", noted)
    worst, other = insight.snapshot(store, Settings(), feed.run_id).examples["slices"]
    assert (worst["slice"], worst["verdict"], other["verdict"]) == ("scene=night", "overfitting", None)
    assert worst["since_step"] == pytest.approx(500, abs=40)
    assert read == ["val/loss{scene=night}"]
