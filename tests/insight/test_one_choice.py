"""What is decided once: the checkpoint of a message is that of the saving, and a slice needs no training points."""

from __future__ import annotations

import pytest

from monitor import insight
from monitor.alerts import Message
from monitor.domain import Severity
from monitor.jobs.describing import describe
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


@pytest.mark.parametrize("saved", [(480, 520), (520, 480)])
def test_a_message_names_the_same_checkpoint_as_the_saving_where_two_are_as_near(
    store: Store, saved: tuple[int, int]
) -> None:
    feed = a_run(store)
    for step in saved:
        feed.event("checkpoint", step=step, path=f"ckpt-{step}.pt")
    message = Message(
        id="1", kind="overfitting", state="firing", severity=Severity.CRITICAL, title="t", body="b",
        run_ids=(feed.run_id,), run_id=feed.run_id, project="p", run_name="r", step=None, created_ms=NOW_MS,
        dedup_key="k",
    )  # fmt: skip
    facts = describe(store, Settings(), message).facts
    saving = insight.saving_of(store, Settings(), feed.run_id)
    assert facts is not None and facts.checkpoint == (saving.checkpoint, saving.checkpoint_step) == ("ckpt-480.pt", 480)


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
