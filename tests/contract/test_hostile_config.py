"""Configurations of any content: every query answers, on both databases the same, whatever was stored before."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from monitor.store import Store
from monitor.store.sql.json_text import json_text
from tests.conftest import NOW_MS, Feed

HOSTILE = {
    "nul": '{"a": "x\\u0000y", "good": 1, "name": "kept"}',
    "high": '{"a": "\\ud800", "good": 1, "name": "kept"}',
    "low": '{"a": "\\uDC00\\udc00 \\ud83d\\ude00", "good": 1, "name": "kept"}',
    "key": '{"\\u0000\\ud800": 0, "good": 1, "name": "kept"}',
    "escaped": '{"a": "\\\\u0000 \\\\ud800", "good": 1, "name": "kept"}',
    "pair": '{"a": "\\ud83d\\ude00", "good": 1, "name": "kept"}',
    "400": f'{{"a": {"7" * 400}, "good": 1, "name": "kept"}}',
    "-4000": f'{{"a": -{"7" * 4000}, "good": 1, "name": "kept"}}',
    "1e400": '{"a": 1e400, "good": 1, "name": "kept"}',
    "-1e99999": '{"a": -1e99999, "good": 1, "name": "kept"}',
    "1e-400": '{"a": 1e-400, "good": 1, "name": "kept"}',
    "1e-99999999": '{"a": 1e-99999999, "good": 1, "name": "kept"}',
    "tiny": '{"a": 5e-324, "good": 1, "name": "kept"}',
    "long": f'{{"a": 0.{"3" * 2000}, "good": 1, "name": "kept"}}',
    "largest": '{"a": 1.7976931348623157e308, "good": 1, "name": "kept"}',
}


@pytest.fixture
def hostile(store: Store) -> Store:
    """A run for each of these configurations, stored as no version of this code does."""
    for name, config in HOSTILE.items():
        Feed(store).start(name=name)
        kind = "TEXT" if store.url.startswith("sqlite") else "JSON"
        with store._change() as connection:
            statement = f"UPDATE monitor_runs SET config = CAST(:config AS {kind}) WHERE name = :name"
            connection.execute(text(statement), {"config": config, "name": name})
    return store


def found(store: Store, query: str) -> set[str]:
    return {run.name for run in store.runs(query=query).items}


@pytest.mark.parametrize(
    "query",
    ["config.good = 1", 'config.name = "kept"', 'config.name ~ "KEP"', "config.none = null", "order by config.a"],
)
def test_no_configuration_keeps_the_others_from_being_found(hostile: Store, query: str) -> None:
    assert found(hostile, query) == set(HOSTILE)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("config.a > 1e300", {"400", "1e400", "largest"}),
        ("config.a < -1e300", {"-4000", "-1e99999"}),
        ("config.a >= 0 and config.a < 0.5", {"1e-400", "1e-99999999", "tiny", "long"}),
        ("config.a > 0.3 and config.a < 0.4", {"long"}),
        ('config.a ~ "\U0001f600"', {"pair", "low"}),
        ('config.a = "\U0001f600"', {"pair"}),
        ('config.a ~ "x"', {"nul"}),
        ("config.a = null", {"key"}),
    ],
)
def test_what_is_odd_is_found_on_both_databases_alike(hostile: Store, query: str, wanted: set[str]) -> None:
    assert found(hostile, query) - {"escaped"} == wanted


def test_a_configuration_of_lone_halves_and_nul_is_stored_as_both_databases_read_it(store: Store) -> None:
    config = {"a\0": "x\0y", "b": ["\ud800", {"c": "\udfff"}], "d": "\U0001f600", "e": 10**5000, "f": 10**400}
    with store.write("a" * 32, NOW_MS) as tx:
        tx.create(project="p", name="n", owner=None, created_ms=NOW_MS)
        tx.set(config=config, tags={"t": "\ud800"})
    run = store.run("n")
    assert run.config["a\ufffd"] == "x\ufffdy"
    assert run.config["b"] == ["\ufffd", {"c": "\ufffd"}]
    assert run.config["d"] == "\U0001f600"
    assert found(store, 'config.b = null or config."a\ufffd" = "x\ufffdy"') == {"n"}
    assert json.dumps(run.tags) == '{"t": "\\ufffd"}'


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.text(st.characters(categories=["Cs"]))
texts = st.text(st.characters()) | st.text(st.characters(categories=["Cs"]))


@given(st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=20))
def test_any_value_becomes_json_that_holds_no_half_of_a_pair_and_no_nul(value: object) -> None:
    read = json.loads(json_text(value))
    assert "\0" not in json.dumps(read, ensure_ascii=False)
    json.dumps(read, ensure_ascii=False).encode()
    assert json_text(read) == json_text(value)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(st.characters(), min_size=1, max_size=5), plain, max_size=5))
def test_any_configuration_is_stored_and_queried(store: Store, config: dict[str, object]) -> None:
    with store.write("a" * 32, NOW_MS) as tx:
        if not tx.exists:
            tx.create(project="p", name="n", owner=None, created_ms=NOW_MS)
        tx.set(config={**config, "good": 1})
    assert found(store, "config.good = 1") == {"n"}
