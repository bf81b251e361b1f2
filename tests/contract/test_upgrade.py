"""Databases that older versions left behind, on both engines, are upgraded and read as they were."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from monitor.api import create_api
from monitor.ingest.engines import Engines
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.sql import migrate
from tests.api.conftest import served
from tests.conftest import Feed, PostgresServer
from tests.upgrade_assets.make import describe
from tests.variants import some

ASSETS = Path(__file__).parents[1] / "upgrade_assets"
VERSIONS = sorted(path.stem for path in ASSETS.glob("*.json"))


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def old_url(request: pytest.FixtureRequest, version: str, tmp_path: Path) -> str:
    """A database as that version left it."""
    if request.param == "sqlite":
        path = tmp_path / "old.db"
        path.write_bytes(gzip.decompress((ASSETS / f"{version}.db.gz").read_bytes()))
        return f"sqlite:///{path}"
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.create()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(gzip.decompress((ASSETS / f"{version}.sql.gz").read_bytes()))
    return url


def test_every_migration_but_the_newest_has_an_asset_and_so_has_the_newest() -> None:
    assert VERSIONS[-1] == migrate.head()


def test_an_old_database_is_upgraded_and_reads_as_it_was(old_url: str, version: str) -> None:
    assert migrate.current(old_url) == version
    migrate.upgrade(old_url)
    wanted = json.loads((ASSETS / f"{version}.json").read_text(encoding="utf-8"))
    with Store.open(old_url, create=False) as store:
        assert describe(store) == wanted
        feed = Feed(store, run_id="a" * 32, writer="second", acked=101)
        feed.log("train/loss", [1100], [0.25])
        assert store.history(feed.run_id, "train/loss").values[-1] == 0.25


@pytest.mark.parametrize("version", some(zip(reversed(VERSIONS)), every=len(VERSIONS) - 1))
def test_migrations_run_beside_a_live_writer(old_url: str) -> None:
    migrate.upgrade(old_url)
    begun, stop = threading.Event(), threading.Event()
    written: list[int] = []

    def write() -> None:
        with Store.open(old_url) as store:
            feed = Feed(store, run_id="c" * 32)
            feed.start()
            while not stop.is_set():
                feed.log("loss", [len(written)], [1.0])
                written.append(1)
                begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert begun.wait(60)
    for _ in range(5):
        migrate.upgrade(old_url)
    stop.set()
    writer.join(60)
    assert not writer.is_alive()
    with Store.open(old_url, create=False) as store:
        assert len(store.history("c" * 32, "loss")) == len(written) > 0


LOOP = """
import sys, threading, time
import monitor

stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
run = monitor.init("live", run_id="c" * 32)
step = 0
while not stop.is_set():
    run.log({"acc": step / 8}, step=step)
    step += 1
    time.sleep(0.002)
run.finish()
print(step)
"""


@contextmanager
def logging_process(folder: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process that logs a point every two milliseconds until a line comes, and then says how many there were."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    given = {**os.environ, "MONITOR_DIR": str(folder), "MONITOR_FINISH_TIMEOUT_S": "60", **environment}
    with subprocess.Popen([sys.executable, "-c", LOOP], text=True, env=given, **pipes) as process:  # type: ignore[call-overload]  # three pipes
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str], words: str) -> str:
    """The line of its errors that holds these words, waited for."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if words in line:
            return line
    raise AssertionError("".join(lines))


def db(*words: str) -> str:
    """What `monitor db` prints."""
    command = [sys.executable, "-c", "from monitor.cli import main; main()", "db", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def all_are_there(url: str, process: subprocess.Popen[str]) -> None:
    """Stop the process; what it logged is stored, each point once."""
    out, err = process.communicate("stop\n", timeout=180)
    with Store.open(url, create=False) as store:
        points = store.history("c" * 32, "acc")
    assert points.steps.tolist() == list(range(int(out))), err
    assert (points.values == points.steps / 8).all()


# The oldest is fast enough; that the others are upgraded is tested above.
@pytest.mark.parametrize("version", some(zip(VERSIONS[:-1]), every=len(VERSIONS)))
def test_a_process_that_logs_into_an_old_database_waits_for_the_upgrade_and_loses_nothing(
    old_url: str, version: str, tmp_path: Path
) -> None:
    with logging_process(tmp_path, MONITOR_DATABASE_URL=old_url) as process:
        line = said(process, "points wait in")
        assert f"has schema {version}" in line
        assert "run `monitor db upgrade --url " in line
        assert f"from schema {version} to {migrate.head()}" in db("upgrade", "--url", old_url)
        all_are_there(old_url, process)


@pytest.mark.slow
def test_a_server_outlives_a_downgrade_and_the_upgrade_after_it_and_loses_nothing(
    store_url: str, tmp_path: Path
) -> None:
    settings = Settings(dir=tmp_path / "server", database_url=store_url)
    with (
        Store.open(store_url) as store,
        served(create_api(store, Engines(), settings)) as address,
        logging_process(tmp_path / "client", MONITOR_SERVER_URL=address) as process,
    ):
        while not store.runs().total:
            assert process.poll() is None
        try:
            db("downgrade", "0001", "--url", store_url)
            said(process, "points wait in")
        finally:
            db("upgrade", "--url", store_url)
        all_are_there(store_url, process)
