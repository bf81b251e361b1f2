"""Statements of a write: compiled once, sent together, and nothing is committed where one of them fails."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
from sqlalchemy import bindparam, select

from monitor.errors import OffsetGap, RunNotFound, StoreError
from monitor.store import Store
from monitor.store.sql.link import Statement
from monitor.store.sql.pipeline import Pipeline
from monitor.store.sql.schema import TAGS
from tests.conftest import NOW_MS, Feed, PostgresServer

_TAG = Statement(TAGS.insert(), TAGS.c.keys())
_TAGS = Statement(select(TAGS).where(TAGS.c.run_id == bindparam("run")).order_by(TAGS.c.name))


def test_rows_are_told_and_asked_for_in_the_order_of_the_statements(feed: Feed) -> None:
    with feed.store.write(feed.run_id, NOW_MS) as tx:
        before = tx._link.ask(_TAGS, {"run": feed.run_id})
        tx._link.tell(_TAG, *({"run_id": feed.run_id, "name": n, "value": f"%{n}%"} for n in "ab"))
        after = tx._link.ask(_TAGS, {"run": feed.run_id})
        assert [row["value"] for row in after.all()] == ["%a%", "%b%"]
        assert before.first() is None


def test_a_failed_statement_is_raised_and_nothing_is_committed(feed: Feed) -> None:
    tag = {"run_id": feed.run_id, "name": "a", "value": "b"}

    def twice() -> None:
        with feed.store.write(feed.run_id, NOW_MS) as tx:
            tx.set(headline="never seen")
            tx._link.tell(_TAG, tag)
            tx._link.tell(_TAG, tag)

    with pytest.raises(StoreError, match=r"(?i)unique"):
        twice()
    assert feed.store.run(feed.run_id).headline != "never seen"
    with feed.store.write(feed.run_id, NOW_MS) as tx:
        assert tx._link.ask(_TAGS, {"run": feed.run_id}).all() == []
    assert feed.log("loss", [1], [1.0]).acked == 2


def test_an_exception_of_the_caller_rolls_back(feed: Feed) -> None:
    def fail() -> None:
        with feed.store.write(feed.run_id, NOW_MS) as tx:
            tx.set(headline="never seen")
            tx.flush()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert feed.store.run(feed.run_id).headline != "never seen"
    assert feed.log("loss", [1], [1.0]).acked == 2


@pytest.mark.postgres
def test_a_batch_waits_for_two_answers_on_postgresql(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    flush = Pipeline._flush

    def flushing(pipeline: Pipeline) -> None:
        sent.append(len(pipeline._under_way))
        flush(pipeline)

    with Store.open(postgres_url) as store:
        feed = Feed(store)
        feed.start()
        for step in range(10):
            feed.log("loss", [step], [1.0])
        monkeypatch.setattr(Pipeline, "_flush", flushing)
        feed.log("loss", [10], [1.0])
    assert len(sent) == 2
    assert sum(sent) <= 14


@pytest.mark.postgres
def test_statements_and_answers_longer_than_what_the_kernel_holds_do_not_block_each_other(postgres_url: str) -> None:
    with Store.open(postgres_url) as store:
        feed = Feed(store)
        feed.start()
        long = "x" * 2**20
        with store.write(feed.run_id, NOW_MS) as tx:
            asked = []
            for i in range(20):
                tx._link.tell(_TAG, {"run_id": feed.run_id, "name": f"{i:02}", "value": long})
                asked.append(tx._link.ask(_TAGS, {"run": feed.run_id}))
            assert [len(answer.all()) for answer in asked] == list(range(1, 21))


@pytest.mark.postgres
def test_a_key_pressed_while_an_answer_is_awaited_gives_the_connection_up(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(pipeline: Pipeline, events: int) -> int:
        raise KeyboardInterrupt

    with Store.open(postgres_url) as store:
        feed = Feed(store)
        feed.start()
        monkeypatch.setattr(Pipeline, "_wait", pressed)
        with pytest.raises(KeyboardInterrupt):
            feed.log("loss", [1], [1.0])
        monkeypatch.undo()
        assert feed.log("loss", [1], [1.0]).acked == 2
        assert len(store.history(feed.run_id, "loss")) == 1


@pytest.mark.postgres
def test_statements_are_prepared_where_the_server_itself_answers(postgres_url: str) -> None:
    with Store.open(postgres_url) as store:
        feed = Feed(store)
        feed.start()
        for step in range(10):
            feed.log("loss", [step], [1.0])
        with pytest.raises(RunNotFound):  # psycopg drops what it has prepared after a rollback
            store.run("no such run")
        with pytest.raises(OffsetGap):
            feed.send(replace(feed.batch("loss", [11], [1.0]), first=99))
        assert feed.log("loss", [11], [1.0]).acked
        assert _prepared(store) >= 9


@pytest.mark.postgres
def test_nothing_is_prepared_where_somebody_stands_in_between(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psycopg.ConnectionInfo, "backend_pid", property(lambda info: 1))  # as a pooler hands them out
    with Store.open(postgres_url) as store:
        feed = Feed(store)
        feed.start()
        for step in range(10):
            feed.log("loss", [step], [1.0])
        assert _prepared(store) == 0
        assert len(store.history(feed.run_id, "loss")) == 10
    with Store.open(f"{postgres_url}&prepare_threshold=0") as store:
        assert Feed(store).start().acked == 1
        assert _prepared(store) > 0


@pytest.mark.postgres
def test_connections_that_the_server_closed_are_replaced(postgres_url: str, postgres: PostgresServer) -> None:
    with Store.open(postgres_url) as store:
        feed, held = Feed(store), Feed(store)
        feed.start()
        held.start()
        with store.write(feed.run_id, NOW_MS), store.write(held.run_id, NOW_MS):
            pass  # two connections are in the pool now
        database = postgres_url.partition("?")[0].rsplit("/", 1)[1]
        postgres.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            f"WHERE datname = '{database}' AND pid <> pg_backend_pid()"
        )
        assert feed.log("loss", [1], [1.0]).acked == 2
        assert held.log("loss", [1], [1.0]).acked == 2


def _prepared(store: Store) -> int:
    with store._linking.connect() as connection:
        return len(connection.exec_driver_sql("SELECT name FROM pg_prepared_statements").all())
