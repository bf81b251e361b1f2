"""The query language: what it reads, what it finds, and where it points when it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import QueryError
from monitor.store import Store
from monitor.store.runs.query import Comparison, Field, Group, Not, parse
from tests.conftest import NOW_MS, Feed


@pytest.fixture
def four(store: Store) -> Store:
    """Runs a to d, with configurations of every kind."""
    configs: list[dict[str, object]] = [
        {
            "lr": 0.1,
            "model": {"depth": 3, "name": "res'net"},
            "amp": True,
            "größe": {"日本": "ü"},
            "a.b": 5,
            "big": 2**53 + 1,
        },
        {"lr": 0.01, "model": {"depth": 18, "name": "vit"}, "amp": False},
        {"lr": "auto", "amp": None},
        {},
    ]
    for i, config in enumerate(configs):
        feed = Feed(store, now_ms=NOW_MS + i * 1000)
        feed.start(name="abcd"[i], config=config, tags={"team": "vision"} if i < 2 else {"my tag": "x"})
        feed.log("val/loss", [0, 1], [1.0, 0.5 - i / 10])
        if i < 3:
            feed.log("acc@1", [0, 1], [0.1, 0.2 * (i + 1)])
        if i == 3:
            feed.event("finish")
    return store


def found(store: Store, query: str) -> str:
    return "".join(run.name for run in store.runs(query=query, order="name").items)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "abcd"),
        ('name = "a"', "a"),
        ("name = 'a' or name = 'c'", "ac"),
        ('status = "running" and val.best < 0.45 and tags.team = "vision"', "b"),
        ('status != "running"', "d"),
        ('NOT (name = "a" OR name = "b") AND status = "running"', "c"),
        ('name in ("a", "d", "x")', "ad"),
        ('name not in ("a", "d")', "bc"),
        ('name ~ "B"', "b"),
        ('tags.team != "vision"', "cd"),
        ("tags.team = null", "cd"),
        ('tags."my tag" = "x"', "cd"),
        ("config.lr < 0.05", "b"),
        ("config.lr >= 0.01", "ab"),
        ('config.lr = "auto"', "c"),
        ("config.lr = null", "d"),
        ("config.lr != null", "abc"),
        ("config.model.depth = 18", "b"),
        ('config.model.name = "res\'net"', "a"),
        ("config.amp = true", "a"),
        ("config.amp = false", "b"),
        ("config.amp = null", "cd"),
        ('metric."acc@1".last > 0.3', "bc"),
        ('metric."acc@1".last = null', "d"),
        ('metric."acc@1".max_step = 1', "abc"),
        ("val.best <= 0.3 and not config.lr != null", "d"),
        ('verdict = "\'; DROP TABLE monitor_runs; --"', ""),
        ('name = "a" and name = "b" or name = "c"', "c"),
        ('created >= "2025-11-24" and created < "2025-11-25T00:00"', "abcd"),
        (f"created > {NOW_MS + 1500}", "cd"),
        ("attempt = 1 and last_step = 1", "abcd"),
        ('((name = "a"))', "a"),
        ('not (not name = "a") and not name = "b"', "a"),
        ('name = "a" or name = "b" and status = "finished"', "a"),
        ('config.größe."日本" = "ü"', "a"),
        ('config."a.b" = 5', "a"),
        ("config.a.b = 5", ""),
        ("config.big = 9007199254740993", "a"),
        ("config.amp = 1", ""),
        ("config.lr = true", ""),
        ("val.best in (0.5, null)", "a"),
        ("val.best < 1e400 and val.best > -1e400", "abcd"),
        ("last_step = 99999999999999999999", ""),
        ("created > 99999999999999999999", ""),
        ("VAL.BEST < 0.45", "bcd"),
        ('name <> "a"', "bcd"),
        ('name ~ "%" or name ~ "_" or name ~ "\\\\"', ""),
        ('name = "x\' OR 1=1 --"', ""),
        ("finished != null", "d"),
    ],
)
def test_finds_what_it_says(four: Store, query: str, names: str) -> None:
    assert found(four, query) == names
    assert four.runs(query=query).total == len(names)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("order by val.best", "dcba"),
        ("order by val.best desc", "abcd"),
        ("order by config.lr", "bacd"),
        ("order by config.lr desc", "abcd"),
        ('status = "running" order by metric."acc@1".last desc', "cba"),
        ("order by tags.team, name desc", "badc"),
    ],
)
def test_sorts_as_it_says_and_puts_runs_without_a_value_last(four: Store, query: str, names: str) -> None:
    assert found(four, query) == names


@pytest.mark.parametrize(
    ("query", "position", "problem"),
    [
        ("vall.best < 3", 0, "did you mean 'val.best'?"),
        ('status = "running" and foo = 1', 23, "unknown field foo"),
        ("status = running", 9, 'write "running" for a text'),
        ("status running", 7, "expected an operator"),
        ("status = ", 8, "the query ends here"),
        ('status = "running', 9, "a text without its closing quote"),
        ("val.best < 3 %", 13, "'%' is not expected"),
        ("(val.best < 3", 13, "expected `)`"),
        ("val.best < 3)", 12, "expected `and`, `or`"),
        ("val.best < 3 order val.best", 19, "expected `by`"),
        ('val.best = "low"', 9, "val.best is compared with a number"),
        ("name = 3", 5, "name is compared with a text"),
        ("name in 3", 8, "expected `(`"),
        ("name in (1; 2)", 10, "';' is not expected"),
        ("val.best < null", 9, "cannot be < null"),
        ("tags = 3", 0, "tags.NAME"),
        ("metric.acc = 3", 0, 'metric."KEY".WHAT'),
        ("config.lr ~ 3", 0, "put it in quotes"),
        ('created < "soon"', 0, "is not a date"),
        ("and", 0, "expected the name of a field"),
        ('status in ("runing", "lost")', 7, "did you mean 'running'?"),
        ('name like "a%"', 5, "write ~"),
        ("name is null", 5, "write ="),
        ('name = "a" && status = "lost"', 11, "write and"),
        ('name = "a\x00"', 9, "NUL"),
        ("1 = 1; drop table monitor_runs", 5, "';' is not expected"),
        ("name in ()", 9, "expected a value"),
        ("-0.1 < val.best", 0, "expected the name of a field"),
        ("order by nope", 9, "unknown field nope"),
        ("(" * 200, 50, "more than 50"),
        ("x" * 5000, 0, "at most 4000"),
    ],
)
def test_points_at_the_character_that_is_wrong(sqlite_url: str, query: str, position: int, problem: str) -> None:
    with Store.open(sqlite_url) as store, pytest.raises(QueryError) as caught:
        store.runs(query=query)
    assert problem in str(caught.value)
    assert caught.value.position == position
    assert caught.value.field == "query"


def test_the_tree_is_what_was_written() -> None:
    query = parse('not a.b = 1 or c in (true, "x")')
    first = Not(Comparison(Field(("a", "b"), 4), "=", (1.0,), 8))
    second = Comparison(Field(("c",), 15), "in", (True, "x"), 17)
    assert query.where == Group("or", (first, second))


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    assert 0 <= place(lambda: parse(text)) <= len(text)


def place(work: Callable[[], object]) -> int:
    """Where a query is refused; 0 where it is not."""
    try:
        work()
    except QueryError as error:
        return error.position
    return 0


WORDS = [
    "and",
    "or",
    "not",
    "(",
    ")",
    "in",
    "order",
    "by",
    "=",
    "<",
    "~",
    ",",
    ".",
    "val.best",
    "tags",
    "config.a",
    "1",
    '"x"',
    "null",
]


@given(st.lists(st.sampled_from(WORDS), max_size=12))
def test_any_words_are_answered_or_refused_with_a_place(shared: Store, words: list[str]) -> None:
    text = " ".join(words)
    assert 0 <= place(lambda: shared.runs(query=text)) <= len(text)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path_factory.mktemp('query')}/m.db") as store:
        yield store
