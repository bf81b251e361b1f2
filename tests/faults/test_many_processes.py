from __future__ import annotations

import pytest

from monitor.settings import Settings
from monitor.store import Store
from tests.faults.conftest import Victim, check, recover

pytestmark = pytest.mark.faults


def many(victim: Victim, place: Settings, n: int, steps: int) -> None:
    ids = [f"{i:032x}" for i in range(1, n + 1)]
    children = [victim.start("log", place, steps=steps, init={"mode": "embedded", "run_id": i}) for i in ids]
    for child in children:
        child.wait(240)
        assert child.done() == steps
    recover(place)
    with Store.open(place.store_url) as store:
        for run_id in ids:
            assert check(store, run_id, "train/loss", steps) == steps
    assert not list(place.journal_dir.rglob("*.seg"))


def test_six_processes_share_one_embedded_database(victim: Victim, place: Settings) -> None:
    many(victim, place, 6, 500)


@pytest.mark.slow
def test_sixty_four_processes_share_one_embedded_database(victim: Victim, place: Settings) -> None:
    many(victim, place, 64, 2000)


def test_two_processes_write_to_one_run(victim: Victim, place: Settings) -> None:
    run_id = "e" * 32
    first = victim.start("log", place, steps=3000, key="a", init={"run_id": run_id})
    second = victim.start("log", place, steps=3000, key="b", init={"run_id": run_id, "ranks": "all"}, rank=1)
    for child in (first, second):
        child.wait(240)
        assert child.done() == 3000
    recover(place)
    with Store.open(place.store_url) as store:
        assert check(store, run_id, "a", 3000) == check(store, run_id, "b", 3000) == 3000
        assert store.run(run_id).attempt == 1
