from __future__ import annotations

import asyncio
import socket
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from starlette.testclient import TestClient

from monitor.domain.rules_version import RulesVersion
from monitor.errors import RulesError, SchemaMismatch, SettingsError, StoreError
from monitor.owner import process_owner
from monitor.server import create_app
from monitor.server.app import open_store
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.sql import migrate
from monitor.store.sql.schema import VERSION_TABLE


def test_a_new_embedded_store_is_made_with_its_folder(tmp_path: Path) -> None:
    settings = Settings(dir=tmp_path / "a" / "b")

    with open_store(settings) as store:
        assert store.runs().total == 0
    assert migrate.current(settings.store_url) == migrate.head()


def test_an_embedded_store_without_tables_of_ours_is_migrated(tmp_path: Path) -> None:
    settings = Settings(dir=tmp_path)
    migrate.upgrade(settings.store_url)
    migrate.downgrade(settings.store_url, "base")

    with open_store(settings) as store:
        assert store.runs().total == 0


def test_an_embedded_store_from_the_future_is_left_alone_and_the_error_says_what_to_do(tmp_path: Path) -> None:
    settings = Settings(dir=tmp_path)
    Store.open(settings.store_url).close()
    with sqlite3.connect(tmp_path / "monitor.db") as database:
        database.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    database.close()

    with pytest.raises(SchemaMismatch, match="9999"):
        open_store(settings)


@pytest.mark.postgres
def test_an_empty_postgresql_is_migrated_and_one_with_another_schema_is_left_alone(
    postgres: object, tmp_path: Path
) -> None:
    url = postgres.create()  # type: ignore[attr-defined]  # the fixture of tests/conftest.py
    settings = Settings(dir=tmp_path, database_url=url)
    open_store(settings).close()
    assert migrate.current(url) == migrate.head()
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '0000'".encode())

    with pytest.raises(SchemaMismatch, match="has schema 0000, this version needs"):
        open_store(settings)
    assert migrate.current(url) == "0000"


def test_a_database_that_is_not_there_is_a_store_error(tmp_path: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:1/none?connect_timeout=2"

    with pytest.raises(StoreError):
        create_app(Settings(dir=tmp_path, database_url=url))


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"alert_urls": ("carrierpigeon://loft",)}, SettingsError),
        ({"mlflow_tracking_uri": "sqlite:///mlflow.db"}, SettingsError),
        ({"rules": {"overfiting": {}}}, RulesError),
    ],
)
def test_settings_that_cannot_be_used_fail_before_anything_is_opened(
    tmp_path: Path, settings: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        create_app(Settings(dir=tmp_path / "new", **settings))  # type: ignore[arg-type]  # as given above
    assert not (tmp_path / "new").exists()


def test_the_jobs_live_as_long_as_the_application(tmp_path: Path) -> None:
    app = create_app(Settings(dir=tmp_path, liveness_interval_s=0.01))
    health = app.state.services.jobs

    async def live() -> None:
        async with app.router.lifespan_context(app):
            while health()["liveness"].runs < 3:
                await asyncio.sleep(0.01)

    assert health()["liveness"].runs == 0
    with ThreadPoolExecutor(1) as pool:  # the browser tests leave a loop running in the main thread
        pool.submit(asyncio.run, live()).result()
    runs = health()["liveness"].runs
    assert runs >= 3
    assert health()["liveness"].runs == runs


def test_a_start_with_other_rules_is_written_down_once_with_who_made_it(tmp_path: Path) -> None:
    def start(**more: object) -> None:
        app = create_app(Settings(dir=tmp_path, **more), jobs_elsewhere=None)  # type: ignore[arg-type]  # settings
        with TestClient(app):
            pass

    start()
    start()
    start(rules={"overfitting": {"rise": 0.2}}, projects={"vision": {"rules": {"spike": False}}})
    start(rules={"overfitting": {"rise": 0.2}})
    with Store.open(Settings(dir=tmp_path).store_url) as store:
        found = store.rules_history()
        assert [each.project for each in found] == ["vision", "vision", None, None]
        gone, own, changed, first = found
        assert first.since(None) == ()
        assert changed.since(first) == (("overfitting", "rise: default → 0.2"),)
        assert ("spike", "enabled: default → False") in own.since(None)
        assert gone.overrides == changed.overrides
        assert all(each.who == f"{process_owner()}@{socket.gethostname()}" for each in found)
        assert [each.project for each in store.rules_history("other")] == [None, None]
        total, entries = store.audit()
        assert (total, {entry.action for entry in entries}) == (4, {"rules.set"})


def test_a_release_with_another_version_of_a_rule_is_written_down(tmp_path: Path) -> None:
    known = RulesVersion(time_ms=1, who="a", project=None, hash="1", versions={"spike": 1, "gone": 1})
    now = replace(known, time_ms=2, hash="2", versions={"spike": 2, "gone": 1, "plateau": 1})
    with Store.open(Settings(dir=tmp_path).store_url) as store:
        assert store.note_rules(known)
        assert not store.note_rules(replace(known, time_ms=9))
        assert store.note_rules(now)
        newest, oldest = store.rules_history()
        assert (newest, oldest) == (now, known)
        assert newest.since(oldest) == (("plateau", "version 1, new"), ("spike", "version 2, before 1"))
