"""The scripts of Compose's profile `scale`, as the file calls them: a real PgBouncer, a standby that takes over."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from monitor._resources import ROOT
from monitor.server.ports import free_port
from monitor.store import Store
from monitor.store.sql import migrate
from tests.conftest import Feed, PostgresServer
from tests.faults import postgres_pair as pair

PASSWORD = "a-long-random-text"
FOLDERS = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
pytestmark = [pytest.mark.slow, pytest.mark.postgres]


class Script:
    """One of `deploy/*.sh`, run by the user and with the variables that its service has."""

    def __init__(self, name: str, **env: object) -> None:
        path = f"{pair._binary('postgres').parent}:{FOLDERS}"
        self.process = subprocess.Popen(
            ["sh", str(ROOT / "deploy" / name)],
            env={"PATH": path, "POSTGRES_PASSWORD": PASSWORD, **{name: str(value) for name, value in env.items()}},
            user=pair._user(),
            cwd="/",
            start_new_session=True,
        )

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def url_at(port: int, database: str = "monitor") -> str:
    return f"postgresql://monitor:{PASSWORD}@127.0.0.1:{port}/{database}"


def answers(url: str, query: str = "SELECT 1") -> Any:
    """The first value that the database answers with, once it does."""
    end = time.monotonic() + 60
    while True:
        try:
            with psycopg.connect(url, prepare_threshold=None) as connection:
                row = connection.execute(query.encode()).fetchone()
                return row and row[0]
        except psycopg.OperationalError:
            assert time.monotonic() < end
        time.sleep(0.1)  # nothing tells when it does


@pytest.fixture
def primary(postgres: PostgresServer) -> Iterator[pair.Postgres]:
    """PostgreSQL as its image makes it: whoever has the password may connect, but not copy it."""
    made = pair.Postgres(pair._folder())
    word = made.folder.parent / "password"
    word.write_text(PASSWORD)
    pair._command("initdb", "-D", str(made.folder), "-U", "monitor", f"--pwfile={word}", "--auth=trust")
    (made.folder / "pg_hba.conf").write_text("host all postgres all trust\nhost all all all scram-sha-256\n")
    Script("replication.sh", PGDATA=made.folder).process.wait(20)
    made.process = subprocess.Popen(
        [str(pair._binary("postgres")), "-D", str(made.folder), "-p", str(made.port), "-k", "", "-c", "fsync=off"],
        user=pair._user(), start_new_session=True,
    )  # fmt: skip
    try:
        answers(url_at(made.port, "postgres"))
        with psycopg.connect(url_at(made.port, "postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE monitor")
        migrate.upgrade(url_at(made.port))
        yield made
    finally:
        made.close()


@pytest.mark.skipif(
    shutil.which("pgbouncer", path=FOLDERS) is None, reason="no pgbouncer; Debian's package has the name"
)
def test_servers_reach_postgresql_through_the_pooler_with_the_same_password(primary: pair.Postgres) -> None:
    port = free_port("127.0.0.1", 0, "port")
    pooler = Script("pgbouncer.sh", DATABASE_HOST="127.0.0.1", DATABASE_PORT=primary.port, POOLER_PORT=port)
    try:
        assert answers(url_at(port)) == 1
        with Store.open(url_at(port)) as store:
            feed = Feed(store)
            feed.start()
            feed.log("loss", [0, 1], [2.0, 1.0])
            assert len(store.history(feed.run_id, "loss")) == 2
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url_at(port).replace(PASSWORD, "another"))
    finally:
        pooler.close()


def test_a_standby_copies_the_primary_follows_it_and_takes_over(primary: pair.Postgres) -> None:
    folder, port = pair._folder(), free_port("127.0.0.1", 0, "port")
    (folder / "left").write_text("of a copy that was broken off")
    env = {"PGDATA": folder, "DATABASE_HOST": "127.0.0.1", "DATABASE_PORT": primary.port, "STANDBY_PORT": port}
    standby = Script("standby.sh", **env)
    try:
        assert answers(url_at(port), "SELECT pg_is_in_recovery()") is True
        standby.close()
        standby = Script("standby.sh", **env)  # a second start copies nothing
        with Store.open(url_at(primary.port)) as store:
            feed = Feed(store)
            feed.start()
        end = time.monotonic() + 30
        while answers(url_at(port), "SELECT count(*) FROM monitor_runs") != 1:
            assert time.monotonic() < end
            time.sleep(0.1)  # as above
        primary.kill()
        assert answers(url_at(port), "SELECT pg_promote(true, 30)") is True
        with Store.open(url_at(port)) as store:
            feed.store = store
            feed.log("loss", [0], [1.0])
            assert len(store.history(feed.run_id, "loss")) == 1
    finally:
        standby.close()
        shutil.rmtree(folder.parent, ignore_errors=True)
