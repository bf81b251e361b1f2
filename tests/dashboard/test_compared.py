"""The comparison: runs by query, what their configuration did, and tables that a click sorts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from dashboard import fields, readings
from dashboard.charts import overlay
from dashboard.markup import access, comparison, pieces
from dashboard.pages import compared_curves
from monitor.store import Store

from .conftest import NOW_MS, Show, logged, snapshot


def figure_of(body: str) -> dict[str, object]:
    """The chart of a page."""
    found: dict[str, object] = next(json.loads(line) for line in body.splitlines() if line.startswith('{"data"'))
    return found


def test_a_query_that_cannot_be_read_is_one_notice_and_not_a_failed_page(embedded: Store, show: Show) -> None:
    logged(embedded, "some", [2.0, 1.0])
    body = show("compare", query="val.bst < 3", find="val.bst < 3")
    assert "did you mean &#39;val.best&#39;?" in body and "Pick runs to compare." in body


def test_the_query_and_how_many_runs_it_finds_stand_above_them(embedded: Store, show: Show) -> None:
    for name in ("a", "b"):
        logged(embedded, name, [2.0, 1.0])
    body = show("compare", query='name in ("a", "b")')
    assert "2 runs of <code>name in (&#34;a&#34;, &#34;b&#34;)</code>" in body


def test_a_value_that_only_some_runs_have_is_not_one_that_differs(embedded: Store, show: Show) -> None:
    for name, config in (("a", {"batch": 8, "lr": 0.1}), ("b", {"batch": 8, "lr": 0.2}), ("c", {})):
        logged(embedded, name, [2.0, 1.0], [2.0, 1.0], config=config)
    layout = figure_of(show("compare", query="name != null", view="Scatter"))["layout"]
    assert isinstance(layout, dict) and layout["xaxis"]["title"]["text"] == "lr"


def test_a_small_learning_rate_is_told_without_an_si_prefix(embedded: Store, show: Show) -> None:
    for name, lr in (("a", 1e-5), ("b", 1e-2)):
        logged(embedded, name, [2.0, 1.0], [2.0, 1.0], config={"lr": lr})
    layout = figure_of(show("compare", query="name != null", view="Scatter"))["layout"]
    assert isinstance(layout, dict)
    assert layout["xaxis"] | {"type": "log", "tickformat": "~g", "dtick": 1} == layout["xaxis"]


def test_runs_without_a_counter_are_left_out_of_its_axis_and_counted(embedded: Store, show: Show) -> None:
    for name in ("a", "b"):
        logged(embedded, name, [2.0, 1.0]).log("tokens", [0, 1], [10.0, 20.0])
    logged(embedded, "c", [2.0, 1.0])
    body = show("compare", query="name != null", x="tokens")
    assert "1 run without tokens left out" in body
    assert compared_curves._counters([snapshot(("tokens",)), snapshot(())]) == ()


@pytest.mark.parametrize(("order", "first"), [("", "a"), ("Last step", "b"), ("-Last step", "c"), ("-Run", "c")])
def test_the_results_are_sorted_by_a_title_and_what_is_missing_comes_last(order: str, first: str) -> None:
    steps = {"a": None, "b": 1, "c": 7}
    seen = [snapshot(name=name, id=name * 32, last_step=step) for name, step in steps.items()]
    body = comparison.results(seen, NOW_MS, order=order)
    names = re.findall(r'href="run\?id=(\w)', str(body))
    assert names[0] == first
    assert order.endswith("Run") or not order or names[-1] == "a"


def test_a_title_says_how_the_table_is_sorted_and_asks_for_the_other_order() -> None:
    body = str(pieces.table(("x", "y"), [("1", "b"), ("2", "a")], values=[(1, "b"), (2, "a")], order="y"))
    assert body.index(">a<") < body.index(">b<")
    assert 'aria-sort="ascending"' in body and 'data-arg="-y"' in body and 'data-arg="x"' in body
    assert "data-act" not in str(pieces.table(("x", "y"), [("1", "b")]))


def test_the_prices_of_an_hour_stand_in_the_settings_and_that_there_are_none_is_said() -> None:
    body = str(access.costs("EUR", {"vision": {"*": 0.5, "<b>A100": 2.0}, "text": {}}))
    assert "the machine" in body and "0.5 EUR" in body and "&lt;b&gt;A100" in body and "text" not in body
    assert "cost_per_hour" in str(access.costs("USD", {"vision": {}}))


def test_runs_are_grouped_by_all_but_their_seed(embedded: Store, show: Show) -> None:
    for lr in (0.1, 0.2):
        for seed in range(3):
            config = {"lr": lr, "width": 64, "seed": seed}
            logged(embedded, f"lr{lr}-s{seed}", [2.0, 1.0], [2.0, lr + seed / 100], config=config)
    body = show("runs", by=fields.SETTING)
    assert "6 runs in 2 groups" in body and "lr 0.1" in body and "0.11" in body and "0.01" in body
    query = re.findall(r'href="compare[?]query=([^"]*)"', body)
    assert len(query) == 2 and query[0].count("%22") == 6  # three ids
    for view in ("Curves", "Scatter"):
        assert "lr 0.2" in show("compare", query="name != null", by=fields.SETTING, view=view)


def test_what_is_compared_is_made_once_while_nothing_changes(
    embedded: Store, show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr(overlay, "overlay_figure", _noted(made, "figure", overlay.overlay_figure))
    monkeypatch.setattr(comparison, "differences", _noted(made, "table", comparison.differences))
    monkeypatch.setattr(readings, "now_ms", lambda: NOW_MS)
    feeds = [logged(embedded, name, [2.0, 1.0], config={"lr": name}) for name in ("a", "b")]
    first = show("compare", query="name != null")
    assert show("compare", query="name != null") == first
    assert made == ["figure", "table"]
    feeds[0].log("train/loss", [2], [0.5])
    assert show("compare", query="name != null") != first
    assert made == ["figure", "table"] * 2


def _noted(made: list[str], what: str, make: Callable[..., object]) -> Callable[..., object]:
    def noted(*args: object, **more: object) -> object:
        made.append(what)
        return make(*args, **more)

    return noted
