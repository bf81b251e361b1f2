"""Thresholds by expression: what is read, what is refused and where, and when they fire."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alerts.thresholds import parse, read
from monitor.errors import MonitorError, SettingsError
from monitor.ingest.engines import Engines, open_engines
from monitor.ingest.watched import thresholds_of, watch
from monitor.settings import load
from monitor.store import Store
from monitor.wire import Batch
from tests.conftest import NOW_MS, Feed


def fires(when: str, *points: tuple[str, float], rising: bool | None = None) -> list[str | None]:
    threshold, state = parse(when), dict[str, object]()
    return [threshold.see(state, name, value, rising=rising) for name, value in points]


@pytest.mark.parametrize(
    ("when", "names", "times"),
    [
        ("val/loss > 2 for 3 evals", ("val/loss",), 3),
        ("grad_norm > 100", ("grad_norm",), 1),
        ("goal < best * 0.9", ("goal", "best"), 1),
        ("'val/acc@5' < 0.5 for 2 points", ("val/acc@5",), 2),
        ("metrics.loss >= 1e3", ("metrics.loss",), 1),
        ("eval/sub/loss > 1", ("eval/sub/loss",), 1),
        ("'a' / 'b' > 2 and lr < 1", ("a", "b", "lr"), 1),
        ("0.1 < loss < 0.2 or loss > -best / 2", ("loss", "best"), 1),
    ],
)
def test_an_expression_is_read(when: str, names: tuple[str, ...], times: int) -> None:
    found = parse(when)
    assert (found.names, found.times) == (names, times)


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("", "cannot be read"),
        ("val/loss >", "cannot be read at character"),
        ("val/loss", "at character 1: 'val / loss' is not a comparison"),
        ("__import__('os').system('x') > 1", "at character 1: .* is neither a number nor the name"),
        ("loss > f(1)", "at character 8: 'f\\(1\\)' is neither"),
        ("loss[0] > 1", "at character 1: 'loss\\[0\\]' is neither"),
        ("loss is 1", "compare with <"),
        ("loss > 1 for 0 evals", "1 to 10,000"),
        ("2 > 1", "names no metric"),
        ("best > 1", "names no metric"),
        ("a > best and b > 1", "one expression for each metric"),
        ("loss > True", "neither a number"),
        ("loss > 2 for three evals", "cannot be read"),
        ("(lambda: 1)() > loss", "is neither"),
        ("loss > 9**9**9", "is neither"),
        ("x" * 300 + " > 1", "longer than 200"),
        ("(" * 150 + "a" + ")" * 40, "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_place(when: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(when)


@given(text=st.text(max_size=60))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse(text).names


def test_it_fires_when_it_held_so_often_in_a_row_and_is_resolved_the_same_way() -> None:
    values = [3.0, 3.0, 1.0, 3.0, 3.0, 3.0, 3.0, 1.0, 3.0, 1.0, 1.0, 1.0, 1.0]
    found = fires("loss > 2 for 3 evals", *(("loss", value) for value in values))
    assert {i: change for i, change in enumerate(found) if change} == {5: "firing", 11: "resolved"}


def test_the_best_is_that_of_the_points_before() -> None:
    accuracy = [("val/acc", value) for value in (0.5, 0.9, 0.85, 0.8, 0.95)]
    assert fires("val/acc < best * 0.9", *accuracy) == [None, None, None, "firing", "resolved"]
    losses = [("loss", value) for value in (2.0, 1.0, 1.4, 1.6)]
    assert fires("loss > best * 1.5", *losses) == [None, None, None, "firing"]
    assert fires("goal > best", ("goal", 1.0), ("goal", 0.5), ("goal", 0.6), rising=False)[-1] == "firing"


@pytest.mark.parametrize("when", ["loss > 2", "loss < 2", "loss != 2", "loss == 2", "-loss <= 2", "loss * 0 != 7"])
def test_of_a_nan_nothing_holds(when: str) -> None:
    assert fires(when, ("loss", math.nan)) == [None]


def test_two_metrics_are_compared_once_both_are_known() -> None:
    assert fires("'a' / 'b' > 2", ("a", 9.0), ("b", 3.0), ("b", 0.0), ("a", 1.0)) == [None, "firing", "resolved", None]


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ([{"when": "loss >"}], r"thresholds\[1\]\.when: 'loss >' cannot be read"),
        ([{"when": "loss > 1"}, {}], r"thresholds\[2\]: has no when"),
        ([{"when": "loss > 1", "level": "x"}], r"thresholds\[1\]\.level: is not known"),
        ([{"when": "loss > 1", "severity": "x"}], r"thresholds\[1\]\.severity"),
        ([{"when": "loss > 1", "projects": "x"}], r"thresholds\[1\]\.projects"),
    ],
)
def test_the_settings_name_the_place(tables: list[object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read(tables)


def test_thresholds_of_a_run_are_kept_between_batches_and_raise_alerts(store: Store) -> None:
    tables = ({"when": "val/loss > 2 for 3 evals", "severity": "critical"}, {"when": "goal < best * 0.9"})
    engines = open_engines(load(thresholds=tables))
    feed = Feed(store, engines=engines)
    feed.start(name="watched")
    for step, value in enumerate((1.0, 2.5, 2.6, 2.7, 2.8)):
        feed.log("val/loss", [step], [value])
    (found,) = [d.alert for d in store.alerts() if d.alert.kind == "threshold"]
    assert found.title == "watched: val/loss > 2 for 3 evals at step 3 (p)"
    assert found.body.splitlines()[0] == "val/loss is 2.7 at step 3; the threshold is val/loss > 2 for 3 evals."
    feed.log("val/loss", [5, 6, 7], [1.0, 1.0, 1.0])
    feed.log("val/acc", range(4), [0.5, 0.9, 0.95, 0.7])
    told = [(d.alert.state, d.alert.step) for d in reversed(store.alerts()) if d.alert.kind == "threshold"]
    assert told == [("firing", 3.0), ("resolved", 7.0), ("firing", 3.0)]


def test_a_batch_without_the_metrics_of_a_threshold_needs_no_further_read(store: Store) -> None:
    engines = Engines(thresholds=read([{"when": "grad_norm > 100"}]))
    feed = Feed(store)
    feed.start()
    with store.write(feed.run_id, NOW_MS) as tx:
        watch(tx, thresholds_of(engines, tx), Batch(run_id=feed.run_id, writer="w", first=0, count=0), {})
        assert not tx._cold


def test_a_threshold_says_whether_the_rules_judge_its_metrics_too(store: Store) -> None:
    tables = ({"when": "val/loss > 2"}, {"when": "goal < best * 0.9"}, {"when": "val/loss > 2 or gpu_temp > 90"})
    feed = Feed(store, engines=open_engines(load(thresholds=tables)))
    feed.start()
    feed.log("gpu_temp", [0], [95.0])
    feed.log("val/acc", [0, 1], [0.9, 0.5])
    feed.log("val/loss", [0], [3.0])
    found = {d.alert.key: d.alert.judged for d in store.alerts() if d.alert.kind == "threshold"}
    assert found == {
        "threshold:val/loss > 2": True,
        "threshold:goal < best * 0.9": True,
        "threshold:val/loss > 2 or gpu_temp > 90": False,
    }


@given(cuts=st.lists(st.integers(1, 39), max_size=6), values=st.lists(st.floats(0, 4), min_size=40, max_size=40))
def test_how_the_points_are_batched_changes_nothing(cuts: list[int], values: list[float]) -> None:
    whole = fires("loss > 2 for 2 evals", *(("loss", value) for value in values))
    threshold, state, found = parse("loss > 2 for 2 evals"), dict[str, object](), []
    for lo, hi in zip([0, *sorted(cuts)], [*sorted(cuts), 40], strict=True):
        state = {**state, "values": dict(state.get("values", {}))}  # type: ignore[call-overload]  # as from the store
        found += [threshold.see(state, "loss", value, rising=None) for value in values[lo:hi]]
    assert found == whole


def test_a_project_without_thresholds_has_none() -> None:
    engines = Engines(thresholds=read([{"when": "loss > 1", "projects": ["vision-*"]}]))
    assert (len(engines.thresholds("vision-a")), engines.thresholds("text")) == (1, ())
    assert issubclass(SettingsError, MonitorError)
