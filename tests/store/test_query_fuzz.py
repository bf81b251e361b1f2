"""Whatever a query says, it is read or refused with a `QueryError`."""

from __future__ import annotations

import pytest

from monitor.errors import QueryError
from monitor.store import Store
from monitor.store.runs.query import parse

from ..fuzzing import BUDGETS, mutants, refuses_in_one_way

SEEDS = [
    b'status = "running" and val.best < 0.3 order by val.best desc',
    b'tags.team in ("a", "b") or not (name ~ "x")',
    b"config.lr >= 1e-3 order by -created",
    b'config.model.layers = 3 and verdict != "healthy"',
    b"last_step > 5",
]
WORDS = [
    b"(",
    b")",
    b"(" * 300,
    b"not " * 300,
    b"and",
    b"or",
    b"order by",
    b"in (",
    b"=",
    b"<",
    b"~",
    b"!",
    b'"',
    b"'",
    b"%",
    b"_",
    b"config.",
    b"tags.",
    b"1e999",
    b"-1",
    b"9" * 400,
    b"nan",
    b"null",
    b"true",
    b"\0",
    b"\xed\xa0\x80",
    b"\n",
    b"--",
    b";",
]


@pytest.mark.parametrize("seconds", BUDGETS)
def test_queries_are_read_or_refused(seconds: float | None) -> None:
    def read(data: bytes) -> None:
        try:
            text = data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            text = data.decode("utf-8", "replace")
        parse(text)

    assert refuses_in_one_way(read, mutants(SEEDS, WORDS, seconds), QueryError) > 0


def test_what_is_read_can_be_asked_of_a_store(sqlite_url: str) -> None:
    with Store.open(sqlite_url) as store:

        def read(data: bytes) -> None:
            store.runs(query=data.decode("utf-8", "replace"))

        assert refuses_in_one_way(read, mutants(SEEDS, WORDS, None), QueryError) > 0
