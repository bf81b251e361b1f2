from __future__ import annotations

import random
import socket
import threading
import time

import httpx
import pytest

from monitor.run.start import init
from monitor.server.ports import free_port
from monitor.settings import Settings
from monitor.shipping.sinks import MemorySink
from monitor.shipping.sync import sync
from monitor.store import Store
from tests.faults.conftest import Child, Victim, check, until

pytestmark = pytest.mark.faults


def serve(victim: Victim, place: Settings, port: int) -> Child:
    def up() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/healthz").is_success
        except httpx.HTTPError:
            return False

    child = victim.start("serve", place, port=port)
    until(up, 60)
    return child


def killed_and_restarted(victim: Victim, place: Settings, times: int, seed: int) -> None:
    rng, port = random.Random(seed), free_port("127.0.0.1", 0, "port")
    server = serve(victim, place, port)
    there = place.model_copy(update={"server_url": f"http://127.0.0.1:{port}", "finish_timeout_s": 60.0})
    run = init("faults", settings=there)
    done, stop = 0, threading.Event()

    def loop() -> None:
        nonlocal done
        while not stop.is_set():
            run.log({"train/loss": float(done), "lr": 0.1}, step=done)
            done += 1
            if done % 50 == 0:
                time.sleep(0.001)  # a loop that trains, rather than one that only logs

    thread = threading.Thread(target=loop)
    thread.start()
    for _ in range(times):
        time.sleep(rng.expovariate(1 / 0.1))  # a random moment is what this test is about
        server.kill()
        time.sleep(rng.uniform(0, 0.2))
        server = serve(victim, place, port)
    stop.set()
    thread.join()
    run.finish()
    server.kill()
    assert not list(place.journal_dir.rglob("*.seg"))
    with Store.open(place.store_url) as store:
        assert check(store, run.id, "train/loss", done) == done
        assert len(store.history(run.id, "lr")) == done


def test_killed_and_restarted_loses_nothing_and_stores_nothing_twice(victim: Victim, place: Settings) -> None:
    killed_and_restarted(victim, place, 6, seed=1)


@pytest.mark.slow
def test_killed_and_restarted_fifty_times(victim: Victim, place: Settings) -> None:
    killed_and_restarted(victim, place, 50, seed=2)


def test_that_accepts_and_never_answers_costs_the_loop_nothing(place: Settings) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(16)
        there = place.model_copy(
            update={"server_url": f"http://127.0.0.1:{deaf.getsockname()[1]}", "finish_timeout_s": 0.5}
        )
        begun = time.perf_counter()
        run = init("faults", settings=there)
        assert time.perf_counter() - begun < 2
        times = []
        for step in range(5000):
            before = time.perf_counter()
            run.log({"train/loss": float(step)}, step=step)
            times.append(time.perf_counter() - before)
        assert sorted(times)[2500] < 1e-4
        assert not run.should_stop()
        begun = time.perf_counter()
        run.finish()
        assert time.perf_counter() - begun < 5
    sink = MemorySink()
    until(lambda: sync(place.journal_dir, lambda _: sink).sent, 10)
    assert sink.points(run.id, "train/loss") == [(step, float(step)) for step in range(5000)]


def test_a_name_that_resolves_to_nothing_costs_the_loop_nothing(place: Settings) -> None:
    there = place.model_copy(update={"server_url": "http://nowhere.invalid:8470", "finish_timeout_s": 0.3})
    run = init("faults", settings=there)
    for step in range(100):
        run.log({"x": float(step)}, step=step)
    run.finish()
    sink = MemorySink()
    until(lambda: sync(place.journal_dir, lambda _: sink).sent, 10)
    assert len(sink.points(run.id, "x")) == 100


def test_a_clock_that_goes_backwards_keeps_the_order(place: Settings) -> None:
    with init("faults", settings=place) as run:
        for step in range(500):
            run.log({"train/loss": float(step)}, step=step, time=1_700_000_000.0 - step)
    with Store.open(place.store_url) as store:
        assert check(store, run.id, "train/loss", 500) == 500
        assert store.history(run.id, "train/loss").times.tolist() == [1_700_000_000_000 - 1000 * s for s in range(500)]
