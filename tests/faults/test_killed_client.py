from __future__ import annotations

import random
import time

import pytest

from monitor.domain import RunStatus
from monitor.settings import Settings
from monitor.shipping.sync import unsent
from monitor.store import Store
from tests.faults.conftest import Child, Victim, check, recover, until

pytestmark = pytest.mark.faults


def kill_somewhere(child: Child, rng: random.Random) -> int:
    """Let it log for a while, kill it, and say how many calls had returned."""
    until(lambda: not child.alive() or child.ready(), 60)
    time.sleep(rng.expovariate(1 / 0.03))  # a random moment is what this test is about
    child.kill()
    return child.done()


def trials(victim: Victim, place: Settings, n: int, seed: int, **init: object) -> None:
    rng = random.Random(seed)
    total = 0
    with Store.open(place.store_url) as store:
        for trial in range(n):
            run_id = f"{rng.getrandbits(128):032x}"
            order = {"val_every": rng.choice([0, 3, 10]), "init": {"run_id": run_id, "resume": "allow", **init}}
            returned = kill_somewhere(victim.start("log", place, **order), rng)
            recover(place)
            assert unsent(place.journal_dir) == ()
            if returned:
                total += check(store, run_id, "train/loss", returned)
                assert store.run(run_id).status is RunStatus.RUNNING, trial
    assert total > 50 * n


def test_kill_9_loses_nothing_that_was_logged_offline(victim: Victim, place: Settings) -> None:
    trials(victim, place, 12, seed=1, mode="offline")


def test_kill_9_while_shipping_loses_nothing_and_stores_nothing_twice(victim: Victim, place: Settings) -> None:
    trials(victim, place, 5, seed=2, mode="embedded")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["offline", "embedded"])
def test_kill_9_at_two_hundred_moments(victim: Victim, place: Settings, mode: str) -> None:
    trials(victim, place, 200, seed=3, mode=mode)


def test_kill_9_of_the_recovery_itself_is_recovered_from(victim: Victim, place: Settings) -> None:
    rng = random.Random(4)
    child = victim.start("log", place, steps=20_000, init={"mode": "offline", "run_id": "a" * 32})
    child.wait(180)
    for _ in range(4):
        sender = victim.start("sync", place)
        time.sleep(rng.uniform(0.01, 0.3))  # as above
        sender.kill()
    recover(place)
    with Store.open(place.store_url) as store:
        assert check(store, "a" * 32, "train/loss", 20_000) == 20_000
        assert store.run("a" * 32).status is RunStatus.FINISHED
