from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from monitor.alerts import MemoryChannel
from monitor.domain import Alert, RunStatus
from monitor.ingest import ingest
from monitor.jobs import Jobs
from monitor.rules import Engine
from monitor.settings import Settings
from monitor.store import Store
from monitor.wire import Batch, Columns, Event

RUN = "ab" * 16
START = 1_700_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now_ms = START

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(dir=tmp_path, alert_interval_s=0.05, liveness_interval_s=0.05, mlflow_interval_s=0.05)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def log(store: Store, losses: list[float], *, first: int, now_ms: int) -> None:
    n, start = len(losses), first == 0
    data = {"project": "p", "name": "n", "resume": "never", "heartbeat_s": 10}
    steps = np.arange(first + 1, first + 1 + n)
    batch = Batch(
        run_id=RUN,
        writer="w",
        first=first,
        count=n + start,
        keys=("train/loss",) if n else (),
        points=Columns(np.zeros(n, "u2"), steps, np.array(losses, "f8"), np.full(n, now_ms)) if n else Columns.empty(),
        events=(Event(kind="run", record=0, time_ms=now_ms, data=data),) if start else (),
    )
    ingest(store, Engine(), batch, now_ms=now_ms)


def watch(jobs: Jobs, clock: Clock, seconds: int) -> None:
    for _ in range(seconds):
        clock.now_ms += 1_000
        jobs.run("liveness")


@pytest.fixture
def jobs(store: Store, settings: Settings, clock: Clock) -> Jobs:
    return Jobs(store, settings, clock=clock)


def test_a_run_whose_process_died_is_lost_and_told_once(store: Store, settings: Settings, clock: Clock) -> None:
    log(store, [3.0, 2.0], first=0, now_ms=START)
    channel = MemoryChannel()
    jobs = Jobs(store, settings, channels=[channel], clock=clock)

    watch(jobs, clock, 60)
    assert store.run(RUN).status is RunStatus.RUNNING
    watch(jobs, clock, 1)
    assert store.run(RUN).status is RunStatus.LOST

    watch(jobs, clock, 60)
    jobs.run("delivery")
    jobs.run("delivery")
    assert [(alert.kind, alert.state) for alert in channel.sent] == [("lost", "firing")]


def test_a_lost_run_that_logs_again_runs_again(store: Store, jobs: Jobs, clock: Clock) -> None:
    log(store, [3.0, 2.0], first=0, now_ms=START)
    watch(jobs, clock, 62)
    assert store.run(RUN).status is RunStatus.LOST

    log(store, [1.0], first=3, now_ms=clock.now_ms)
    watch(jobs, clock, 30)

    assert store.run(RUN).status is RunStatus.RUNNING


def test_a_run_that_beats_but_does_not_step_is_stalled(store: Store, jobs: Jobs, clock: Clock) -> None:
    log(store, [3.0, 2.0], first=0, now_ms=START)
    for _ in range(61):
        watch(jobs, clock, 10)
        log(store, [], first=3, now_ms=clock.now_ms)

    assert store.run(RUN).status is RunStatus.STALLED
    assert [row.alert.kind for row in store.alerts(RUN)] == ["stalled"]


def test_a_machine_that_slept_does_not_lose_its_runs(store: Store, jobs: Jobs, clock: Clock) -> None:
    log(store, [3.0, 2.0], first=0, now_ms=START)
    watch(jobs, clock, 5)

    clock.now_ms += 8 * 3_600_000
    watch(jobs, clock, 30)

    assert store.run(RUN).status is RunStatus.RUNNING


def test_the_scheduler_runs_every_job_and_its_failure_is_shown_and_ends_when_it_works_again(
    store: Store, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    mended, worked = threading.Event(), threading.Event()
    tries = threading.Semaphore(0)

    class Mirror:
        def sync(self, store: Store, now_ms: int) -> int:
            tries.release()
            if not mended.is_set():
                raise ConnectionError("MLflow is down")
            worked.set()
            return 0

    jobs = Jobs(store, settings, channels=[MemoryChannel()], mirror=Mirror())
    jobs.start()
    try:
        for _ in range(3):
            assert tries.acquire(timeout=10)
        health = jobs.health()["mlflow"]
        assert health.failing
        assert health.last_error == "ConnectionError: MLflow is down"
        mended.set()
        assert worked.wait(10)
        assert tries.acquire(timeout=10)
        while jobs.health()["mlflow"].failing:
            assert tries.acquire(timeout=10)
        assert jobs.health()["mlflow"].last_error == "ConnectionError: MLflow is down"
        assert jobs.health().keys() == {"liveness", "delivery", "mlflow", "compaction", "keeping"}
        assert not jobs.health()["liveness"].failing
    finally:
        jobs.close()
    assert caplog.text.count("job mlflow failed") == 1
    assert "job mlflow works again" in caplog.text


def test_a_job_that_hangs_is_not_started_twice_and_keeps_nobody_from_closing(store: Store, settings: Settings) -> None:
    inside, release, entered = threading.Event(), threading.Event(), []

    class Hanging(MemoryChannel):
        def send(self, alert: Alert) -> None:
            entered.append(alert)
            inside.set()
            release.wait(30)

    log(store, [3.0, float("nan"), float("nan")], first=0, now_ms=time.time_ns() // 1_000_000)
    assert store.alerts(RUN)
    jobs = Jobs(store, settings, channels=[Hanging()])
    jobs.start()
    try:
        assert inside.wait(10)
        while jobs.health()["liveness"].runs < 10:
            time.sleep(0.02)
        begin = time.monotonic()
        jobs.close(timeout_s=0.2)
        assert time.monotonic() - begin < 2
        assert len(entered) == 1
    finally:
        release.set()
        jobs.close(5)


def test_a_run_that_ended_is_compacted(store: Store, jobs: Jobs) -> None:
    for n in range(40):
        log(store, [3.0], first=n and n + 1, now_ms=START + n)
    end = Event(kind="finish", record=41, time_ms=START + 99, data={"status": "finished"})
    ingest(store, Engine(), Batch(run_id=RUN, writer="w", first=41, count=1, events=(end,)), now_ms=START + 99)
    before = store.history(RUN, "train/loss").values.tolist()

    jobs.run("compaction")

    assert store.compactable() == ()
    assert store.history(RUN, "train/loss").values.tolist() == before
