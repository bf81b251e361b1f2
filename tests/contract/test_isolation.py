"""Writes need the isolation that they ask for, whatever the database's default is."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from monitor.domain import Access
from monitor.store import Store
from tests.conftest import LOCAL, NOW_MS, Feed, PostgresServer

pytestmark = pytest.mark.postgres


@pytest.fixture(params=["repeatable read", "serializable"])
def strict_url(postgres: PostgresServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database whose operator made a stricter isolation the default."""
    url = postgres.create(postgres.template)
    name = url.partition("?")[0].rsplit("/", 1)[1]
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = '{request.param}'")
    yield url
    postgres.drop(url)


def test_writes_to_the_same_rows_follow_one_another_and_none_fails(strict_url: str) -> None:
    problems: list[BaseException] = []
    with Store.open(strict_url) as store:
        first = Feed(store)
        first.start()
        made, _ = store.create_token("t", Access.ADMIN, project=None, expires_ms=None, now_ms=NOW_MS, by=LOCAL)

        def work(writer: str) -> None:
            try:
                feed = Feed(store, run_id=first.run_id, writer=writer)
                feed.start(join=True)
                for step in range(15):
                    feed.log(f"loss/{writer}", [step], [1.0])
                    store.note_token_use({made.id: NOW_MS + step})
            except BaseException as error:
                problems.append(error)

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert problems == []
        assert [len(store.history(first.run_id, f"loss/{name}")) for name in "abcd"] == [15] * 4
