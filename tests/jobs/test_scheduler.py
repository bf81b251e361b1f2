from __future__ import annotations

import math
import threading
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import numpy as np
import pytest

from monitor.alerts import MemoryChannel, Message, key_of
from monitor.domain import Alert, RunStatus
from monitor.ingest import ingest
from monitor.ingest.engines import Engines
from monitor.jobs import Jobs
from monitor.settings import Settings
from monitor.store import Store
from monitor.wire import Batch, Columns, Event
from tests.conftest import Feed
from tests.variants import SQLITE_FIRST, some

RUN = "ab" * 16
START = 1_700_000_000_000


@pytest.fixture(params=SQLITE_FIRST)
def store_url(request: pytest.FixtureRequest) -> str:
    """A database of this test's own; that PostgreSQL gives the same is left to the slow suite."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


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
    ingest(store, Engines(), batch, now_ms=now_ms)


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


def test_a_critical_alert_that_nobody_answers_is_sent_again_after_a_day(
    store: Store, settings: Settings, clock: Clock
) -> None:
    log(store, [3.0, 2.0], first=0, now_ms=START)
    channel = MemoryChannel()
    jobs = Jobs(store, settings, channels=[channel], clock=clock)
    watch(jobs, clock, 62)
    told = []
    for hours in (0, 23, 2, 22, 3):
        clock.now_ms += hours * 3_600_000
        jobs.run("alerts")
        clock.now_ms += 10_000  # more runs may have been lost
        jobs.run("delivery")
        told.append(len(channel.sent))
    assert told == [1, 1, 2, 2, 3]


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


def test_a_run_that_dies_after_the_clock_was_set_back_is_lost(store: Store, jobs: Jobs, clock: Clock) -> None:
    log(store, [3.0, 2.0], first=0, now_ms=START)
    watch(jobs, clock, 5)
    clock.now_ms -= 86_400_000
    log(store, [], first=3, now_ms=clock.now_ms)
    watch(jobs, clock, 50)
    assert store.run(RUN).status is RunStatus.RUNNING
    watch(jobs, clock, 20)
    assert store.run(RUN).status is RunStatus.LOST


@pytest.mark.parametrize("ahead_s", some([(120,), (86_400,)], every=2))
def test_a_run_that_beats_at_a_server_whose_clock_is_ahead_is_neither_lost_nor_stalled_until_it_is(
    store: Store, jobs: Jobs, clock: Clock, ahead_s: int
) -> None:
    log(store, [3.0, 2.0], first=0, now_ms=START)
    watch(jobs, clock, 700)
    log(store, [1.0], first=3, now_ms=clock.now_ms + 1000 * ahead_s)
    store.sweep_alerts(0, now_ms=clock.now_ms)
    before = len(store.alerts(RUN))
    for n in range(120):
        watch(jobs, clock, 10)
        log(store, [1.0], first=4 + n, now_ms=clock.now_ms + 1000 * ahead_s)
        assert store.run(RUN).status is RunStatus.RUNNING
    assert len(store.alerts(RUN)) == before

    watch(jobs, clock, 59)
    assert store.run(RUN).status is RunStatus.RUNNING
    watch(jobs, clock, 3)
    assert store.run(RUN).status is RunStatus.LOST


def test_an_alert_that_waits_while_the_clock_is_set_forward_is_sent(
    store: Store, settings: Settings, clock: Clock
) -> None:
    channel = MemoryChannel()
    jobs = Jobs(store, settings, channels=[channel], clock=clock, running_s=lambda: START / 1000)
    jobs.run("delivery")
    log(store, [3.0, math.nan], first=0, now_ms=START)
    assert store.outgoing(key_of(channel), START + 60_000, 0).due
    clock.now_ms += 2 * 86_400_000
    jobs.run("delivery")
    assert [alert.kind for alert in channel.sent] == ["nan"]


def test_jobs_go_on_where_the_clock_is_set(store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from apscheduler.schedulers import base

    from monitor.jobs import scheduler

    shift, ran = [timedelta()], threading.Semaphore(0)

    class SetBack(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # of the real class
            return datetime.now(tz) - shift[0]

    class Mirror:
        def sync(self, store: Store, now_ms: int, link: object) -> int:
            ran.release()
            return 0

    for module in (base, scheduler):
        monkeypatch.setattr(module, "datetime", SetBack)
    monkeypatch.setattr(scheduler, "CLOCK_INTERVAL_S", 0.1)
    jobs = Jobs(store, settings, mirror=Mirror())
    jobs.start()
    try:
        assert ran.acquire(timeout=60)
        for set_back in (timedelta(hours=1), timedelta(days=-50 * 365), timedelta()):
            shift[0] = set_back
            for _ in range(5):
                assert ran.acquire(timeout=60)
    finally:
        jobs.close()


def test_the_scheduler_runs_every_job_and_its_failure_is_shown_and_ends_when_it_works_again(
    store: Store, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    mended, worked = threading.Event(), threading.Event()
    tries = threading.Semaphore(0)

    class Mirror:
        def sync(self, store: Store, now_ms: int, link: object) -> int:
            tries.release()
            if not mended.is_set():
                raise ConnectionError("MLflow is down")
            worked.set()
            return 0

    jobs = Jobs(store, settings, channels=[MemoryChannel()], mirror=Mirror())
    jobs.start()
    try:
        for _ in range(3):
            assert tries.acquire(timeout=60)
        health = jobs.health()["mlflow"]
        assert health.failing
        assert health.last_error == "ConnectionError: MLflow is down"
        mended.set()
        assert worked.wait(60)
        assert tries.acquire(timeout=60)
        while jobs.health()["mlflow"].failing:
            assert tries.acquire(timeout=60)
        assert jobs.health()["mlflow"].last_error == "ConnectionError: MLflow is down"
        assert jobs.health().keys() == {
            "liveness",
            "delivery",
            "channels",
            "alerts",
            "mlflow",
            "compaction",
            "retention",
        }
        assert not jobs.health()["liveness"].failing
    finally:
        jobs.close()
    assert caplog.text.count("job mlflow failed") == 1
    assert "job mlflow works again" in caplog.text


def test_a_job_that_hangs_is_not_started_twice_and_keeps_nobody_from_closing(store: Store, settings: Settings) -> None:
    inside, release, left, entered = threading.Event(), threading.Event(), threading.Event(), []

    class Hanging(MemoryChannel):
        def send(self, alert: Alert) -> None:
            entered.append(alert)
            inside.set()
            release.wait(60)
            left.set()

    jobs = Jobs(store, settings, channels=[Hanging()])
    jobs.start()
    try:
        log(store, [3.0, float("nan"), float("nan")], first=0, now_ms=time.time_ns() // 1_000_000 + 1000)
        assert store.alerts(RUN)
        assert inside.wait(60)
        while jobs.health()["liveness"].runs < 10:
            time.sleep(0.02)
        jobs.close(timeout_s=0.2)
        assert not left.is_set(), "it did not wait for the job that hangs"
        assert len(entered) == 1
    finally:
        release.set()
        jobs.close(5)


def test_a_run_that_ended_is_compacted(store: Store, jobs: Jobs) -> None:
    for n in range(40):
        log(store, [3.0], first=n and n + 1, now_ms=START + n)
    end = Event(kind="finish", record=41, time_ms=START + 99, data={"status": "finished"})
    ingest(store, Engines(), Batch(run_id=RUN, writer="w", first=41, count=1, events=(end,)), now_ms=START + 99)
    before = store.history(RUN, "train/loss").values.tolist()

    jobs.run("compaction")

    assert store.compactable() == ()
    assert store.history(RUN, "train/loss").values.tolist() == before


def an_alert(store: Store, clock: Clock, title: str) -> None:
    """Have a run's loop raise an alert."""
    feed = Feed(store, now_ms=clock.now_ms)
    feed.start()
    feed.event("alert", title=title)


def pass_of(jobs: Jobs) -> None:
    """One pass of each channel."""
    for name in jobs.health():
        if name.startswith("delivery"):
            jobs.run(name)


def test_a_channel_that_hangs_delays_no_other(store: Store, settings: Settings) -> None:
    release, told = threading.Event(), threading.Event()

    class Hanging(MemoryChannel):
        def send(self, alert: Alert) -> None:
            release.wait(60)

    class Healthy(MemoryChannel):
        def send(self, alert: Alert) -> None:
            super().send(alert)
            if len(self.sent) == 3:
                told.set()

    jobs = Jobs(store, settings, channels=[Hanging("hanging"), Healthy("healthy"), Hanging("hanging too")])
    jobs.start()
    try:
        for n in range(3):
            now = Clock()
            now.now_ms = time.time_ns() // 1_000_000 + 1000
            an_alert(store, now, f"alert {n}")
        assert told.wait(60)
    finally:
        release.set()
        jobs.close(5)


def loop_titles(channel: MemoryChannel) -> list[str]:
    """What the loop called its alerts, which are sent with the name of the run and the project around it."""
    return [alert.title.partition(": ")[2].removesuffix(" (p)") for alert in channel.sent]


def test_a_restart_repeats_nothing_that_a_channel_took(store: Store, settings: Settings, clock: Clock) -> None:
    class Down(MemoryChannel):
        def send(self, alert: Alert) -> None:
            raise ConnectionError("down")

    took, down = MemoryChannel("took"), Down("down")
    for n in range(6):
        jobs = Jobs(store, settings, channels=[took, down], clock=clock)  # as a restart makes it
        if n == 0:
            pass_of(jobs)
        if n < 3:
            an_alert(store, clock, f"alert {n}")
        pass_of(jobs)
        clock.now_ms += 3_600_000
    assert loop_titles(took) == ["alert 0", "alert 1", "alert 2"]
    mended = MemoryChannel("down")
    pass_of(Jobs(store, settings, channels=[took, mended], clock=clock))
    assert sorted(loop_titles(mended)) == ["alert 0", "alert 1", "alert 2"]
    assert len(took.sent) == 3
    assert all(delivery.delivered_ms == clock.now_ms for delivery in store.alerts())


def test_two_servers_on_one_store_tell_once(store: Store, settings: Settings, clock: Clock) -> None:
    channels = [MemoryChannel("one"), MemoryChannel("one")]
    servers = [Jobs(store, settings, channels=[channel], clock=clock) for channel in channels]
    for jobs in servers:
        pass_of(jobs)
    for n in range(4):
        an_alert(store, clock, f"alert {n}")
    threads = [threading.Thread(target=pass_of, args=(jobs,)) for jobs in servers for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(title for channel in channels for title in loop_titles(channel)) == [f"alert {n}" for n in range(4)]


def test_a_channel_that_is_configured_later_gets_what_happens_from_then_on(
    store: Store, settings: Settings, clock: Clock
) -> None:
    first, second = MemoryChannel("first"), MemoryChannel("second")
    an_alert(store, clock, "before")
    clock.now_ms += 1_000
    pass_of(Jobs(store, settings, channels=[first], clock=clock))
    an_alert(store, clock, "between")
    clock.now_ms += 1_000
    jobs = Jobs(store, settings, channels=[first, second], clock=clock)
    pass_of(jobs)
    an_alert(store, clock, "after")
    pass_of(jobs)
    assert loop_titles(first) == ["between", "after"]
    assert loop_titles(second) == ["after"]


def test_many_runs_that_are_lost_at_once_are_one_message(store: Store, settings: Settings, clock: Clock) -> None:
    channel = MemoryChannel()
    jobs = Jobs(store, settings, channels=[channel], clock=clock)
    jobs.links = {"dashboard": "http://127.0.0.1:8471/"}
    pass_of(jobs)
    for n in range(30):
        Feed(store, now_ms=clock.now_ms).start(name=f"run-{n}", heartbeat_s=10)
    for _ in range(90):
        watch(jobs, clock, 1)
        pass_of(jobs)
    (message,) = channel.sent
    assert message.title.startswith("30 runs lost since ")
    assert isinstance(message, Message)
    assert message.link == f"http://127.0.0.1:8471/run?id={message.run_id}"
    assert all(delivery.delivered_ms for delivery in store.alerts())


def test_an_alert_is_sent_without_waiting_for_the_next_look(store: Store, tmp_path: Path) -> None:
    sent = threading.Event()

    class Channel(MemoryChannel):
        def send(self, alert: Alert) -> None:
            super().send(alert)
            sent.set()

    channel = Channel()
    settings = Settings(dir=tmp_path, alert_interval_s=600.0)
    jobs = Jobs(store, settings, channels=[channel])
    jobs.run("delivery")  # takes up the channel
    jobs.start()
    try:
        feed = Feed(store, now_ms=time.time_ns() // 1_000_000)
        feed.start()
        feed.event("alert", title="look", body="", severity="critical")
        assert sent.wait(60)
    finally:
        jobs.close()


def test_news_that_comes_while_a_delivery_ends_is_looked_at_once_more(store: Store, settings: Settings) -> None:
    jobs = Jobs(store, settings, channels=[MemoryChannel()])
    ran, ends = threading.Semaphore(0), threading.Semaphore(0)

    def deliver() -> None:
        ran.release()
        ends.acquire(timeout=60)

    jobs._work["delivery"] = deliver
    jobs._begin("delivery", news=True)
    assert ran.acquire(timeout=60)
    thread = jobs._threads["delivery"]
    jobs._begin("delivery")
    jobs._begin("delivery", news=True)
    ends.release()
    assert ran.acquire(timeout=60)
    ends.release()
    thread.join(60)
    assert not thread.is_alive() and not ran.acquire(blocking=False)
