"""The mark by which a page knows that nothing has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.errors import StoreError
from monitor.store import Store

from ..conftest import NOW_MS, Feed


def test_the_mark_stays_while_nothing_is_written_and_is_another_after_each_change(store: Store) -> None:
    seen = [store.change_mark()]

    def changed() -> bool:
        seen.append(store.change_mark())
        return seen[-1] not in seen[:-1]

    feed = Feed(store)
    feed.start(name="one")
    assert changed()
    assert store.change_mark() == seen[-1]
    assert store.runs().total == 1
    assert store.change_mark() == seen[-1]  # a read changes nothing
    feed.log("train/loss", [0, 1], [2.0, 1.0])
    assert changed()
    store.delete(feed.run_id, now_ms=NOW_MS, by=None)
    assert changed()


def test_the_mark_is_another_after_another_process_has_written(store: Store, store_url: str) -> None:
    before = store.change_mark()
    with Store.open(store_url) as other:
        Feed(other).start(name="elsewhere")
    assert store.change_mark() != before


def test_a_file_that_is_gone_has_a_mark_of_its_own_and_reading_says_why(sqlite_url: str) -> None:
    with Store.open(sqlite_url) as store:
        before = store.change_mark()
        Path(sqlite_url.removeprefix("sqlite:///")).unlink()
        assert store.change_mark() != before
        with pytest.raises(StoreError):
            store.runs()
