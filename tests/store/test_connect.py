"""Databases are opened with care, and refused with reasons."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from monitor.errors import StoreBusy, StoreError
from monitor.store import Store
from monitor.store.opening import open_embedded
from monitor.store.sql import connect
from monitor.store.sql.connect import is_network_file_system, parse_url
from tests.conftest import NOW_MS, Feed

MOUNTS = """\
/dev/vda / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/vdb /home/local ext4 rw 0 0
share /mnt/my\\040share cifs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/data/monitor.db", None),
        ("/home/anna/monitor.db", "nfs4"),
        ("/homework/monitor.db", None),
        ("/home/local/monitor.db", None),
        ("/mnt/my share/x.db", "cifs"),
    ],
)
def test_a_network_file_system_is_told_from_a_local_one(path: str, kind: str | None) -> None:
    assert is_network_file_system(Path(path), MOUNTS) == kind


def test_a_network_file_system_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "_mounts", lambda: f"server:/x {tmp_path} nfs rw 0 0")
    with pytest.raises(StoreError, match=r"network file system \(nfs\).*MONITOR_DIR"):
        Store.open(f"sqlite:///{tmp_path}/monitor.db")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("nonsense", "not a database URL"),
        ("postgresql//u:secret@h/d", "what is given is not a database URL"),
        ("postgresql://u@h:secret/d", "what is given is not a database URL"),
        (
            "postgresql://127.0.0.1:1/d?user=u&password=secret&connect_timeout=2",
            r"database postgresql.*password=HIDDEN",
        ),
        ("postgresql://127.0.0.1:1/d?sslmode=disable&sslpassword=secret&connect_timeout=2", "database postgresql"),
        ("mysql://h/d?passwd=secret&api_key=secret&ssl_token=secret", "mysql is not supported"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("mysql://u:secret@h/d", "mysql is not supported"),
        ("postgresql://u:secret@127.0.0.1:1/d?connect_timeout=2", "database postgresql"),
    ],
)
def test_a_url_that_cannot_be_used_says_why_and_keeps_the_password(url: str, problem: str) -> None:
    with pytest.raises(StoreError, match=problem) as caught:
        Store.open(url)
    assert "secret" not in str(caught.value)


def test_two_slashes_before_a_path_are_one(tmp_path: Path) -> None:
    with Store.open(f"sqlite:////{tmp_path}/double.db") as store:
        assert store.runs().total == 0
    assert (tmp_path / "double.db").exists()


@pytest.mark.parametrize("url", ["postgresql://h/d", "postgres://h/d", "postgresql+psycopg2://h/d"])
def test_postgresql_means_psycopg_3(url: str) -> None:
    assert parse_url(url).drivername == "postgresql+psycopg"


def test_sqlite_is_set_up_for_blobs_and_readers(sqlite_url: str) -> None:
    with Store.open(sqlite_url) as store, store._read() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("page_size", "journal_mode", "busy_timeout", "foreign_keys", "synchronous")
        }
    assert pragmas == {
        "page_size": 32768, "journal_mode": "wal", "busy_timeout": 10_000, "foreign_keys": 1, "synchronous": 1
    }  # fmt: skip


def test_folders_on_the_way_are_made(tmp_path: Path) -> None:
    Store.open(f"sqlite:///{tmp_path}/a/b/monitor.db").close()
    assert (tmp_path / "a/b/monitor.db").stat().st_size > 0


def test_a_file_that_is_no_database_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_bytes(b"no database at all, but long enough to have a header " * 100)
    with pytest.raises(StoreError, match="file is not a database"):
        Store.open(f"sqlite:///{path}")


def test_a_database_that_stays_locked_is_busy(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "BUSY_TIMEOUT_S", 0.05)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    with Store.open(sqlite_url) as store:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match=r"locked by another writer for 0\.05 s"):
            Feed(store).start()
        other.execute("ROLLBACK")
        Feed(store).start()
    other.close()


def test_without_a_server_a_write_outlasts_the_patience_of_a_request(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store.open(sqlite_url).close()
    monkeypatch.setattr(connect, "BUSY_TIMEOUT_S", 0.05)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    waits = threading.Timer(0.5, lambda: other.execute("ROLLBACK"))
    with open_embedded(sqlite_url) as store:
        waits.start()
        Feed(store).start()
    waits.join()
    other.close()


def test_readers_do_not_wait_for_a_writer(sqlite_url: str) -> None:
    with Store.open(sqlite_url) as store:
        feed = Feed(store)
        feed.start()
        feed.log("loss", [1], [1.0])
        with store.write(feed.run_id, NOW_MS) as tx:
            tx.set(headline="not yet")
            tx.flush()
            assert store.run(feed.run_id).headline != "not yet"
            assert len(store.history(feed.run_id, "loss")) == 1
        assert store.run(feed.run_id).headline == "not yet"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_gets_connections_of_its_own(store: Store) -> None:
    feed = Feed(store)
    feed.start()
    pid = os.fork()
    if pid == 0:
        try:
            Feed(store, run_id="c" * 32).start(name="child")
            ok = store.run(feed.run_id).id == feed.run_id
        except BaseException:  # the parent sees the status
            ok = False
        os._exit(0 if ok else 1)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    feed.log("loss", [1], [1.0])
    assert store.run("child").project == "p"
