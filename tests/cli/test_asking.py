"""`monitor wait`, `explain`, `attention`, `ledger` and `runs stop`, on a store and on a server."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import monitor
from monitor.cli.asking import ENDED, FAILED, TIME_UP
from monitor.settings import load
from monitor.store import Store
from tests.conftest import Feed

from .conftest import Call
from .test_imports import serving


@pytest.fixture(params=["embedded", "server"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The store of this machine, or a server that the settings name."""
    with contextlib.ExitStack() as stack:
        if request.param == "server":
            monkeypatch.setenv("MONITOR_SERVER_URL", stack.enter_context(serving(tmp_path)))
        yield


def overfitting(name: str, **more: object) -> monitor.Run:
    quiet = load(capture=(), heartbeat_s=3600.0)  # the answer to a heartbeat would deliver a stop that is asked for
    run = monitor.init("p", name=name, settings=quiet, config={"max_steps": 5000, "lr": 0.1}, **more)
    for step in range(0, 1001, 20):
        run.log({"train/loss": 2.0 / (1 + step / 100)}, step=step)
        run.log({"val/loss": 2.0 - step / 1000 if step <= 500 else 1.5 + (step - 500) / 400}, step=step)
    run.checkpoint(500, "ckpt-500.pt")
    assert run.flush()
    return run


def test_an_agent_waits_explains_stops_and_sees_the_end(called: Call, anywhere: None) -> None:
    run = overfitting("ill")
    found = called("wait", "ill", "--for", "verdict=overfitting", "--timeout", "60", "--json")
    assert (found.status, json.loads(found.out)["outcomes"][0]["what"]) == (0, "verdict=overfitting")
    told = called("explain", "ill")
    assert "ckpt-500.pt" in told.out and "do: stop" in told.out
    assert json.loads(called("explain", "ill", "--json").out)["best"]["step"] == 500
    queue = json.loads(called("attention", "--json").out)
    assert [(item["run"]["name"], item["kind"]) for item in queue["items"]] == [("ill", "overfitting")]
    assert "p/ill" in called("attention").out

    assert called("wait", "ill", "--timeout", "0.1").status == TIME_UP
    asked = json.loads(called("runs", "stop", "ill", "--reason", "hopeless", "--who", "agent", "--json").out)
    assert (asked["run_id"], asked["stop"]["reason"]) == (run.id, "hopeless")
    assert run.should_stop(wait_s=60)
    waiting = threading.Timer(0.2, run.finish)
    waiting.start()
    done = called("wait", "ill", "--timeout", "60", "--json")
    waiting.join()
    assert (done.status, json.loads(done.out)["outcomes"][0]["status"]) == (0, "stopped")
    shown = json.loads(called("runs", "show", "ill", "--json").out)
    assert [stop["state"] for stop in shown["stops"]] == ["finished"]
    months = json.loads(called("ledger", "--json").out)["months"]
    assert [(month["project"], month["stops"]) for month in months] == [("p", 1)]
    assert called("ledger").status == 0
    late = called("runs", "stop", "ill")
    assert late.status == 2 and "it is stopped; there is nothing to stop" in late.err


def test_the_exit_status_says_how_a_wait_ended(called: Call, anywhere: None) -> None:
    run = monitor.init("p", name="broken", settings=load(capture=()))
    run.log({"train/loss": 1.0}, step=0)
    run.finish("failed", ValueError("boom"))
    with monitor.init("p", name="fine", settings=load(capture=())) as run:
        run.log({"train/loss": 1.0}, step=0)
    broken = called("wait", "broken")
    assert broken.status == FAILED and "boom" in broken.out
    assert called("wait", "fine").status == 0
    assert called("wait", "fine", "--for", "stop").status == ENDED
    assert called("wait", "fine", "broken", "--all").status == FAILED
    for wrong in (["nobody"], ["fine", "--for", "verdict=overfiting"], ["fine", "--for", "stopp"]):
        found = called("wait", *wrong)
        assert found.status == 2 and found.err.startswith("error: ")


def test_a_stop_is_withdrawn_before_it_is_delivered(called: Call, anywhere: None, tmp_path: Path) -> None:
    """The client is offline: another process has started the run, and was killed."""
    code = (
        "import monitor, os\n"
        "from monitor.settings import load\n"
        "run = monitor.init('p', name='away', settings=load(capture=(), shipper='thread'))\n"
        "run.log({'train/loss': 1.0}, step=0)\n"
        "run.flush()\n"
        "os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", code], timeout=180, check=False)
    asked = called("runs", "stop", "away", "--who", "ada")
    assert "p/away: stop requested, asked by ada" in asked.out
    back = called("runs", "stop", "away", "--withdraw", "--who", "bob")
    assert "withdrawn, asked by ada (withdrawn by bob)" in back.out
    again = called("runs", "stop", "away", "--withdraw")
    assert again.status == 2 and "there is nothing to withdraw" in again.err


def test_events_and_waits_are_the_same_in_python(called: Call, anywhere: None) -> None:
    run = overfitting("ill")
    with monitor.Api() as api:
        first = api.events("ill")
        assert {"points", "finding", "recommendation", "alert", "status", "event"} <= {e.kind for e in first.events}
        (found,) = api.wait("ill", until=["stop", "alert"], timeout_s=60)
        assert found.what == "stop"
        assert api.wait("ill", timeout_s=0.1) == ()
        api.run("ill").request_stop("ada")
        later = api.events("ill", first.cursor, wait_s=20)
        assert [(e.kind, e.data["state"]) for e in later.events if e.kind == "stop"] == [("stop", "requested")]
        run.finish()
        while not later.ended:
            later = api.events("ill", later.cursor, wait_s=20)
        assert api.wait("ill", every=True)[0].status == "finished"
        assert api.run("ill").saving().checkpoint == "ckpt-500.pt"
        assert api.snapshot("ill").saving == api.run("ill").saving()


def test_without_a_server_a_wait_ends_when_a_killed_run_is_lost(tmp_path: Path) -> None:
    settings = load(dir=tmp_path, lost_after_s=1.0, liveness_interval_s=0.1, heartbeat_s=0.1)
    with Store.open(settings.store_url) as store:
        feed = Feed(store, now_ms=time.time_ns() // 1_000_000)
        feed.start(name="killed", heartbeat_s=0.1)
        with monitor.Api(settings=settings) as api:
            (found,) = api.wait(feed.run_id, timeout_s=60)
    assert (found.what, found.status) == (None, "lost")
