"""The list of runs."""

from __future__ import annotations

import math

import pytest

from monitor.domain import RunStatus
from monitor.errors import RunNotFound, WireError
from monitor.screen import recommendation_lines
from monitor.store import Store
from tests.conftest import NOW_MS, Feed


@pytest.fixture
def three(store: Store) -> list[Feed]:
    """Runs a, b and c: b is the best, c has no validation loss and has ended."""
    feeds = []
    for i, (name, project, group) in enumerate(
        [("a", "vision", None), ("b", "vision", "g"), ("c_100%", "speech", "g")]
    ):
        feed = Feed(store, run_id=f"{i + 1:x}" * 32, now_ms=NOW_MS + i)
        feed.start(name=name, project=project, group=group)
        feed.log("loss", [0, 10 + i], [3.0, 2.0 - i])
        if i < 2:
            feed.log("val_loss", [0, 5, 10], [1.0, 0.5 - i / 10, 0.7])
        feeds.append(feed)
    feeds[2].event("finish")
    return feeds


def names(store: Store, **filters: object) -> list[str]:
    return [run.name for run in store.runs(**filters).items]


def test_the_newest_run_comes_first(store: Store, three: list[Feed]) -> None:
    assert names(store) == ["c_100%", "b", "a"]
    assert names(store, order="created") == ["a", "b", "c_100%"]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"project": "vision"}, ["b", "a"]),
        ({"group": "g"}, ["c_100%", "b"]),
        ({"status": "finished"}, ["c_100%"]),
        ({"status": ["running", "finished"]}, ["c_100%", "b", "a"]),
        ({"status": RunStatus.RUNNING, "project": "vision", "group": "g"}, ["b"]),
        ({"verdict": "nan"}, []),
        ({"search": "VIS"}, ["b", "a"]),
        ({"search": "100% speech"}, ["c_100%"]),
        ({"search": "_"}, ["c_100%"]),
        ({"search": "1111"}, ["a"]),
        ({"search": "A vision " * 15}, ["a"]),
        ({"search": "n v"}, ["b", "a"]),
        ({"search": "'; DROP TABLE monitor_runs; --"}, []),
    ],
)
def test_filters_leave_what_they_say(
    store: Store, three: list[Feed], filters: dict[str, object], found: list[str]
) -> None:
    assert names(store, **filters) == found
    assert store.runs(**filters).total == len(found)


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("name", ["a", "b", "c_100%"]),
        ("-name", ["c_100%", "b", "a"]),
        ("val.best", ["b", "a", "c_100%"]),
        ("-val.best", ["a", "b", "c_100%"]),
        ("train.last", ["c_100%", "b", "a"]),
        ("-last_step", ["c_100%", "b", "a"]),
        ("status", ["c_100%", "a", "b"]),
        ("project", ["c_100%", "a", "b"]),
    ],
)
def test_runs_are_sorted_and_those_without_a_value_come_last(
    store: Store, three: list[Feed], order: str, found: list[str]
) -> None:
    assert names(store, order=order) == found


@pytest.mark.parametrize("query", [{"order": "-goal"}, {"query": "order by goal desc"}])
def test_the_best_goal_comes_first_whichever_way_it_goes(store: Store, query: dict[str, str]) -> None:
    for i, (key, value) in enumerate(
        [("val_wer", 0.5), ("val_acc", 0.7), ("val_wer", 0.25), ("val_acc", 0.9), ("x", 1)]
    ):
        feed = Feed(store, run_id=f"{i + 1}" * 32)
        feed.start(name=f"{key} {value}")
        feed.log(key, [0], [value])
    assert names(store, **query) == ["val_acc 0.9", "val_acc 0.7", "val_wer 0.25", "val_wer 0.5", "x 1"]


@pytest.mark.parametrize(
    ("source", "refs"),
    [
        ("runs/exp1/metrics.csv", ["metrics", "metrics.csv", "exp1", "exp1/metrics.csv", "p/a run", "a run"]),
        ("../tb/fold.1", ["fold.1", "tb/fold.1"]),
        ("a\0\ud800/100%_.csv", ["100%_", "100%_.csv"]),
    ],
)
def test_an_imported_run_is_found_by_its_name_its_file_and_its_folder(
    store: Store, three: list[Feed], source: str, refs: list[str]
) -> None:
    feed = Feed(store, run_id="d" * 32)
    feed.start(name="a run", project="p")
    feed.event("capture", imported={"source": source})
    assert [store.run(ref).id for ref in refs] == ["d" * 32] * len(refs)
    for other in ("etrics", "metrics.cs", "runs", "", "/", "."):
        with pytest.raises(RunNotFound):
            store.run(other)


def test_a_file_name_that_several_runs_have_is_not_guessed(store: Store) -> None:
    for i in "ab":
        feed = Feed(store, run_id=i * 32)
        feed.start(name=f"run {i}")
        feed.event("capture", imported={"source": f"{i}/metrics.csv"})
    with pytest.raises(RunNotFound, match="several runs were read from files of this name"):
        store.run("metrics")
    assert store.run("b/metrics").name == "run b"


def test_pages_are_cut_and_the_total_stays(store: Store, three: list[Feed]) -> None:
    page = store.runs(limit=1, offset=1)
    assert ([run.name for run in page.items], page.total) == (["b"], 3)
    assert store.runs(limit=0).items == ()


@pytest.mark.parametrize(
    ("arguments", "field"), [({"order": "val.bets"}, "order"), ({"limit": 1001}, "limit"), ({"offset": -1}, "offset")]
)
def test_arguments_that_make_no_sense_are_named(store: Store, arguments: dict[str, object], field: str) -> None:
    with pytest.raises(WireError) as caught:
        store.runs(**arguments)
    assert caught.value.field == field
    assert field != "order" or "did you mean 'val.best'?" in str(caught.value)


def test_sparklines_come_where_they_are_asked_for(store: Store, three: list[Feed]) -> None:
    three[0].log("loss", range(20, 1020), [1 / (1 + i) for i in range(999)] + [math.nan])
    page = store.runs(sparkline=16)
    line = page.sparklines[three[0].run_id]["train"]
    assert len(line) == 16
    assert (line[0], line[-1]) == (3.0, pytest.approx(1 / 999))
    assert all(math.isfinite(v) for v in line)
    val = [v for v in page.sparklines[three[1].run_id]["val"] if math.isfinite(v)]
    assert (val[0], min(val), val[-1]) == (1.0, pytest.approx(0.4), pytest.approx(0.7))
    assert "val" not in page.sparklines[three[2].run_id]
    assert store.runs().sparklines == {}


def test_a_validation_that_began_late_stands_in_the_sparkline_where_it_was(store: Store) -> None:
    feed = Feed(store)
    feed.start(name="late")
    feed.log("train/loss", range(1000), [1.0] * 1000)
    feed.log("val/loss", [800, 900], [3.0, 2.0])
    line = store.runs(sparkline=11).sparklines[feed.run_id]
    assert line["train"] == (1.0,) * 11
    assert [math.isnan(value) for value in line["val"]] == [*[True] * 8, False, False, True]
    assert line["val"][8:10] == (3.0, 2.0)


def test_a_run_is_found_by_id_prefix_and_name(store: Store, three: list[Feed]) -> None:
    for ref in ("1" * 32, "1", "111", "a"):
        assert store.run(ref).name == "a"
    for ref in ("x", "", "9", "12", "1" * 31 + "2"):
        with pytest.raises(RunNotFound):
            store.run(ref)


def test_a_name_or_prefix_that_two_runs_share_is_not_found(store: Store) -> None:
    for end in "01":
        Feed(store, run_id="ab" * 15 + "c" + end).start(name="twin")
    for ref in ("twin", "abab"):
        with pytest.raises(RunNotFound, match="several runs"):
            store.run(ref)


def test_projects_are_counted(store: Store, three: list[Feed]) -> None:
    assert store.projects() == (("speech", 1), ("vision", 2))


def test_unknown_runs_have_nothing(store: Store) -> None:
    assert store.series("0" * 32) == ()
    assert store.findings("0" * 32) == ()
    with pytest.raises(RunNotFound):
        store.diagnosis("0" * 32)


def test_a_run_that_is_over_says_what_it_was_worth_until_it_goes_on(store: Store) -> None:
    feed = Feed(store)
    feed.start()
    values = [0.3 + math.exp(-step / 10) for step in range(12)]
    for key in ("loss", "val_loss"):
        feed.log(key, list(range(12)), values)
    assert store.run(feed.run_id).recommendation.reason.startswith(("No reason to stop", "The loss is flat"))
    assert store.set_status(feed.run_id, RunStatus.LOST, now_ms=NOW_MS)
    lost = store.run(feed.run_id).recommendation
    assert (lost.action, lost.reason) == ("continue", "Lost: the best loss was 0.6329 at step 11.")
    assert not lost.forecast and not lost.pending and lost.best_step == 11
    feed.log("loss", [12], [0.55])
    back = store.run(feed.run_id)
    assert back.status is RunStatus.RUNNING and back.recommendation.forecast
    feed.event("finish")
    advice = store.diagnosis(feed.run_id).recommendation
    assert advice.reason == "Finished: the best loss was 0.6329 at step 11."
    assert advice.ended
    assert recommendation_lines(advice)[0] == advice.reason


def test_a_run_that_was_told_to_stop_keeps_the_advice_when_it_is_over(store: Store) -> None:
    feed = Feed(store)
    feed.start()
    feed.log("loss", list(range(5)), [1.0, 0.9, math.nan, math.nan, math.nan])
    told = store.run(feed.run_id).recommendation
    feed.event("finish")
    assert told.action == "stop" and store.run(feed.run_id).recommendation == told


@pytest.mark.parametrize("search", [" ".join(f"w{i}" for i in range(5000)), "x" * 100_000, "a " * 100_000])
def test_a_search_of_too_many_words_is_refused_at_once(store: Store, three: list[Feed], search: str) -> None:
    with pytest.raises(WireError, match="at most 20 words and 1000 characters") as caught:
        store.runs(search=search)
    assert caught.value.field == "search"


def test_a_search_of_as_many_words_as_there_may_be_is_answered(store: Store, three: list[Feed]) -> None:
    assert names(store, search=" ".join(f"w{i}" for i in range(20))) == []
