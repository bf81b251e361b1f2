"""The schema goes up and down, is what the code says, and is made once however many ask for it at once."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from monitor.errors import SchemaMismatch, StoreError
from monitor.store import Store
from monitor.store.sql import migrate
from monitor.store.sql.connect import parse_url
from monitor.store.sql.schema import METADATA, VERSION_TABLE
from monitor.store.sql.version import NEWEST


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server = request.getfixturevalue("postgres")
    url = server.create()
    yield url
    server.drop(url)


def test_the_version_that_stores_ask_for_is_the_newest_migration() -> None:
    assert migrate.head() == NEWEST


def test_opening_a_database_that_needs_no_migration_loads_no_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'there.db'}"
    Store.open(url).close()
    code = (
        "import sys; from monitor.store import Store; Store.open(sys.argv[1]).close(); print('alembic' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code, url], check=True, capture_output=True, text=True)
    assert found.stdout == "False\n"


def test_goes_up_and_down_and_up_again(empty_url: str) -> None:
    assert migrate.current(empty_url) is None
    migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == migrate.head()
    migrate.downgrade(empty_url, "base")
    assert migrate.current(empty_url) is None
    assert set(_tables(empty_url)) <= {VERSION_TABLE}
    migrate.upgrade(empty_url)
    assert set(METADATA.tables) <= set(_tables(empty_url))


def test_makes_the_tables_that_the_code_uses(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    engine = create_engine(parse_url(empty_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True, "include_name": _ours}
        )
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_a_new_database_is_refused_where_it_is_not_to_be_made(empty_url: str) -> None:
    with pytest.raises(SchemaMismatch, match=r"(does not exist|has schema none).*`monitor db upgrade"):
        Store.open(empty_url, create=False)


def test_an_older_database_names_the_command(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    _set_version(empty_url, None)
    with pytest.raises(SchemaMismatch, match="monitor db upgrade --url"):
        Store.open(empty_url, create=False)


def test_a_newer_database_names_the_command(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    _set_version(empty_url, "9999")
    with pytest.raises(SchemaMismatch, match=r"has schema 9999.*pip install --upgrade lossmonitor"):
        Store.open(empty_url)


def test_an_unknown_revision_is_one_clear_line(empty_url: str) -> None:
    with pytest.raises(StoreError, match="nonsense"):
        migrate.upgrade(empty_url, "nonsense")


def test_processes_that_open_a_new_database_at_once_make_it_once(empty_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(4), context.Queue()
    workers = [context.Process(target=_open, args=(empty_url, barrier, answers)) for _ in range(4)]
    for worker in workers:
        worker.start()
    assert [answers.get(timeout=180) for _ in workers] == ["ok"] * 4
    for worker in workers:
        worker.join()


def _open(url: str, barrier: object, answers: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]  # a multiprocessing barrier
    try:
        with Store.open(url) as store:
            store.runs()
        answers.put("ok")  # type: ignore[attr-defined]  # a multiprocessing queue
    except Exception as error:  # the parent shows it
        answers.put(repr(error))  # type: ignore[attr-defined]  # as above


def _tables(url: str) -> list[str]:
    engine = create_engine(parse_url(url))
    try:
        return inspect(engine).get_table_names()
    finally:
        engine.dispose()


def _set_version(url: str, version: str | None) -> None:
    engine = create_engine(parse_url(url))
    with engine.begin() as connection:
        if version is None:
            connection.execute(text(f"DELETE FROM {VERSION_TABLE}"))
        else:
            connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = :v"), {"v": version})
    engine.dispose()


def _ours(name: str | None, kind: str, parents: object) -> bool:
    return kind != "table" or name in METADATA.tables
