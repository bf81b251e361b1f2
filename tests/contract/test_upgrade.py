"""Databases that older versions left behind, on both engines, are upgraded and read as they were."""

from __future__ import annotations

import gzip
import json
import threading
from pathlib import Path

import psycopg
import pytest

from monitor.store import Store, migrate
from tests.conftest import Feed, PostgresServer
from tests.upgrade_assets.make import describe

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
    assert begun.wait(30)
    for _ in range(5):
        migrate.upgrade(old_url)
    stop.set()
    writer.join(30)
    assert not writer.is_alive()
    with Store.open(old_url, create=False) as store:
        assert len(store.history("c" * 32, "loss")) == len(written) > 0
