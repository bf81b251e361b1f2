"""Processes that write to one SQLite file queue on its lock; the lock is never a reason not to write."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from monitor.store import Store
from monitor.store.sql.lock import Turns
from tests.conftest import Feed

_SPAWN = multiprocessing.get_context("spawn")


def hold(path: Path, held: Event, let_go: Event) -> None:
    """Hold the turn until told to let go."""
    with Turns(path).turn(60):
        held.set()
        let_go.wait(60)


def test_a_turn_is_waited_for_and_goes_with_its_process(tmp_path: Path) -> None:
    held, never = _SPAWN.Event(), _SPAWN.Event()
    other = _SPAWN.Process(target=hold, args=(tmp_path / "turn", held, never))
    other.start()
    assert held.wait(60)
    mine = Turns(tmp_path / "turn")
    assert not mine._take(0.05)
    assert other.pid is not None
    os.kill(other.pid, signal.SIGKILL)
    other.join(60)
    patient = Turns(tmp_path / "turn")
    assert patient._take(60)
    patient.close()
    mine.close()


@pytest.mark.slow
def test_a_turn_that_was_given_up_is_given_back_when_it_comes(tmp_path: Path) -> None:
    held, let_go = _SPAWN.Event(), _SPAWN.Event()
    other = _SPAWN.Process(target=hold, args=(tmp_path / "turn", held, let_go))
    other.start()
    assert held.wait(60)
    impatient = Turns(tmp_path / "turn")
    assert not impatient._take(0.05)
    let_go.set()
    other.join(60)
    third_held, third_go = _SPAWN.Event(), _SPAWN.Event()
    third = _SPAWN.Process(target=hold, args=(tmp_path / "turn", third_held, third_go))
    third.start()
    assert third_held.wait(60), "the turn that nobody waited for any more was kept"
    third_go.set()
    third.join(60)


def test_without_a_turn_the_database_is_written_all_the_same(sqlite_url: str, tmp_path: Path) -> None:
    with Store.open(sqlite_url) as store:
        (tmp_path / "monitor.db-turn").mkdir()  # what cannot be a lock file
        feed = Feed(store)
        feed.start()
        assert feed.log("loss", [1], [1.0]).acked == 2
