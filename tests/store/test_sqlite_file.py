"""A database file that is deleted or replaced while it is in use, its mode, and the time that a statement may take."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from monitor.errors import StoreBusy, StoreError
from monitor.store import Store
from monitor.store.sql import connect
from monitor.store.sql.connect import STATEMENT_S
from tests.conftest import NOW_MS, Feed


def delete(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    shutil.copy(path, f"{path}.copy")
    Path(f"{path}.copy").replace(path)


def delete_all(path: Path) -> None:
    for found in path.parent.glob(f"{path.name}*"):
        found.unlink()


def move_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def delete_wal(path: Path) -> None:
    Path(f"{path}-wal").unlink()


def replace_shm(path: Path) -> None:
    replace(Path(f"{path}-shm"))


@pytest.fixture
def path(sqlite_url: str) -> Path:
    """A database in a folder that a test may move."""
    found = Path(sqlite_url.removeprefix("sqlite:///"))
    folder = found.parent / "place"
    folder.mkdir()
    return found.rename(folder / "monitor.db")


@pytest.mark.parametrize("harm", [delete, replace, delete_all, move_folder, delete_wal, replace_shm])
def test_nothing_is_acknowledged_into_a_file_that_nobody_will_find(path: Path, harm: object) -> None:
    with Store.open(f"sqlite:///{path}") as store:
        feed = Feed(store)
        feed.start()
        feed.log("loss", [1], [1.0])
        harm(path)  # type: ignore[operator]  # one of the functions above
        for _ in range(2):
            with pytest.raises(StoreError, match=r"deleted, moved or replaced while it was in use.*restart"):
                feed.log("loss", [2], [1.0])
        assert feed.acked == 2
        with pytest.raises(StoreError, match="deleted, moved or replaced"):
            store.request_stop(feed.run_id, "me", now_ms=NOW_MS)
        with pytest.raises(StoreError, match="deleted, moved or replaced"):
            store.exported(feed.run_id, "mlflow", 1, None)


@pytest.mark.parametrize("harm", [delete, replace, delete_all, move_folder])
def test_a_file_that_is_gone_is_not_read_either_and_none_is_made_in_its_place(path: Path, harm: object) -> None:
    with Store.open(f"sqlite:///{path}") as store:
        Feed(store).start()
        harm(path)  # type: ignore[operator]  # as above
        here = path.exists()
        for _ in range(2):
            with pytest.raises(StoreError, match="deleted, moved or replaced"):
                store.runs(limit=1)
        with store._writing:  # another connection than the pool's
            store._engine.dispose()
        with pytest.raises(StoreError, match="deleted, moved or replaced"):
            store.runs(limit=1)
        assert path.exists() == here


def test_a_file_that_is_put_back_is_used_again(path: Path) -> None:
    with Store.open(f"sqlite:///{path}") as store:
        feed = Feed(store)
        feed.start()
        move_folder(path)
        with pytest.raises(StoreError, match="deleted, moved or replaced"):
            feed.log("loss", [1], [1.0])
        path.parent.with_name("elsewhere").rename(path.parent)
        feed.log("loss", [1], [1.0])
        assert len(store.history(feed.run_id, "loss")) == 1


def test_connections_that_are_made_anew_find_files_that_sqlite_made_anew(path: Path) -> None:
    with Store.open(f"sqlite:///{path}") as store:
        feed = Feed(store)
        feed.start()
        store._engine.dispose()  # the last connection takes the files beside the database along
        assert not Path(f"{path}-wal").exists()
        assert feed.log("loss", [1], [1.0]).acked == 2


def test_what_a_store_makes_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "monitor.db"
    mask = os.umask(0)
    try:
        with Store.open(f"sqlite:///{path}") as store:
            Feed(store).start()
            modes = {found.name: stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()}
    finally:
        os.umask(mask)
    names = ["monitor.db", "monitor.db-shm", "monitor.db-turn", "monitor.db-wal"]
    assert modes == dict.fromkeys(names, 0o600)
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)] == [0o700, 0o700]


def test_the_mode_of_a_file_that_is_there_stays(path: Path) -> None:
    path.chmod(0o640)
    path.parent.chmod(0o750)
    with Store.open(f"sqlite:///{path}") as store:
        Feed(store).start()
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o640, 0o750)


def test_writers_that_wait_for_another_process_wait_at_the_same_time(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "BUSY_TIMEOUT_S", 1.0)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    waits: list[tuple[str, int]] = []
    with Store.open(sqlite_url) as store:
        seen = store._hurry

        def hurry(connection: object, patience_s: float) -> None:
            seen(connection, patience_s)  # type: ignore[arg-type]  # a connection
            waits.append(("patience", round(patience_s, 1)))  # type: ignore[arg-type]  # a number

        monkeypatch.setattr(store, "_hurry", hurry)
        other.execute("BEGIN IMMEDIATE")
        busy: list[StoreBusy] = []

        together = threading.Barrier(8, timeout=60)

        def write(number: int) -> None:
            together.wait()
            try:
                Feed(store, run_id=f"{number:032x}").start()
            except StoreBusy as error:
                busy.append(error)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(busy) == 8
        assert sum(patience for _, patience in waits) < 3  # not 8 times the whole of it
        other.execute("ROLLBACK")
        Feed(store).start()
    other.close()


def test_a_statement_that_takes_too_long_is_ended_and_the_next_one_is_not(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.store.store.STATEMENT_S", 0.05)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with Store.open(sqlite_url) as store:
        for _ in range(2):
            with pytest.raises(StoreError, match="a statement took too long and was ended"), store._read() as reading:
                reading.execute(text(endless))
            assert store.runs(limit=1).total == 0


def test_the_time_of_a_read_does_not_end_a_later_write_on_its_connection(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writes go to the driver directly, which starts no clock of its own."""
    now = [100.0]
    monkeypatch.setattr("monitor.store.sql.sqlite_file.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr("monitor.store.sql.sqlite_file._INSTRUCTIONS", 1)
    with Store.open(sqlite_url) as store:
        with store._read() as reading:
            reading.execute(text("SELECT 1"))
            reading.info["read"] = True
        now[0] += STATEMENT_S + 1  # the limit of that statement
        with store._change() as writing:
            assert writing.info["read"]
        Feed(store).start()
        assert store.runs(limit=1).total == 1
