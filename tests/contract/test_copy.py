"""A database is copied into another, of either kind, and comes out the same."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from monitor.domain import Access, Caller
from monitor.errors import SchemaMismatch, StoreError
from monitor.store import Store
from monitor.store.access import digest_of
from monitor.store.copy import Progress, copy
from monitor.store.sql.connect import parse_url
from tests.conftest import Feed, PostgresServer


@pytest.fixture(
    params=[pytest.param("sqlite", marks=pytest.mark.slow), pytest.param("postgres", marks=pytest.mark.postgres)]
)
def other_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A second database, which is new."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'other.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.create()


@pytest.fixture
def full(store: Store) -> Store:
    """Three runs with everything a run can have."""
    for i in range(3):
        feed = Feed(store, run_id=f"{i:x}" * 32)
        feed.start(name=f"run {i}", tags={"é": "ü"}, config={"lr": 0.1, "n": [1, None, {"z": 1, "a": 2}]})
        for step in range(70):
            feed.log("loss", [step], [1 / (1 + step)])
        feed.log("loss", range(70, 5000), [*np.linspace(1, 0.1, 4928), math.inf, math.nan])
        feed.log("acc", [1], [0.5], epochs=[0.1])
        feed.event("checkpoint", step=3, path="a.pt")
        store.exported(feed.run_id, "mlflow", 3, None)
    return store


def url_of(store: Store) -> str:
    return store._engine.url.render_as_string(hide_password=False)


def same(one: Store, two: Store) -> None:
    for run in one.runs().items:
        assert two.run(run.id) == run
        assert two.series(run.id) == one.series(run.id)
        assert two.diagnosis(run.id) == one.diagnosis(run.id)
        assert two.events(run.id) == one.events(run.id)
        assert two.alerts(run.id) == one.alerts(run.id)
        for key in ("loss", "acc"):
            a, b = one.history(run.id, key), two.history(run.id, key)
            assert (a.steps.tobytes(), a.values.tobytes(), a.times.tobytes()) == (
                b.steps.tobytes(),
                b.values.tobytes(),
                b.times.tobytes(),
            )


def test_everything_comes_along_and_logging_goes_on(full: Store, other_url: str) -> None:
    seen: list[Progress] = []
    done = copy(url_of(full), other_url, progress=seen.append)
    assert (done.done, done.total, done.copied) == (3, 3, 3)
    assert [p.done for p in seen] == [0, 1, 2, 3]
    with Store.open(other_url, create=False) as other:
        same(full, other)
        feed = Feed(other, run_id="0" * 32, acked=5003)
        assert not feed.log("loss", [5000], [1.0]).duplicate


def test_a_copy_that_was_broken_off_goes_on(full: Store, other_url: str) -> None:
    class Stop(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.done == 2:
            raise Stop

    with pytest.raises(Stop):
        copy(url_of(full), other_url, progress=stop)
    with Store.open(other_url) as other:
        assert other.runs().total == 2
    done = copy(url_of(full), other_url)
    assert (done.done, done.copied) == (3, 1)


def test_a_run_that_moved_on_is_copied_again(full: Store, other_url: str) -> None:
    copy(url_of(full), other_url)
    Feed(full, run_id="1" * 32, acked=5003).log("loss", [6000], [9.0])
    assert copy(url_of(full), other_url).copied == 1
    with Store.open(other_url) as other:
        same(full, other)


def test_a_row_that_reads_back_otherwise_is_found(full: Store, other_url: str) -> None:
    copy(url_of(full), other_url)
    engine = create_engine(parse_url(other_url))
    with engine.begin() as connection:
        connection.execute(text("UPDATE monitor_chunks SET n = n + 1 WHERE run_id = :run"), {"run": "2" * 32})
    engine.dispose()
    with pytest.raises(StoreError, match=r"run 2222.*monitor_chunks reads back differently"):
        copy(url_of(full), other_url)


def test_a_database_is_not_copied_to_itself_nor_from_nowhere(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="to itself"):
        copy(sqlite_url, sqlite_url)
    with pytest.raises(SchemaMismatch):
        copy(f"sqlite:///{tmp_path}/nothing.db", sqlite_url)


def test_tokens_and_the_audit_log_are_copied_and_open_the_copy(store: Store, other_url: str) -> None:
    by = Caller(name="ada", access=Access.ADMIN, address="10.0.0.1")
    kept, token = store.create_token("ci", Access.LOGGER, project="p", expires_ms=None, now_ms=1, by=by)
    lost, _ = store.create_token("lost", Access.VIEWER, project=None, expires_ms=None, now_ms=2, by=by)
    copy(url_of(store), other_url)
    store.revoke_token(lost.id, now_ms=3, by=by)

    copy(url_of(store), other_url)

    with Store.open(other_url) as other:
        assert other.tokens() == store.tokens()
        assert other.audit() == store.audit()
        assert other.audit()[0] == 3
        found, digest = other.digests(10)[kept.id]
        assert (found, digest) == (kept, digest_of(token))
        assert lost.id not in other.digests(10)
