"""`monitor.Api` answers the same over HTTP, with pyarrow and without it, as from the embedded store."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path

import httpx
import numpy as np
import pytest

from monitor.api import create_api
from monitor.api.models import RunParameters
from monitor.domain import Access, CurveOf, Extremes, RunFilters, RunInfo, RunQuery, RunStatus
from monitor.errors import RunNotFound, SeriesNotFound, ServerUnreachable, WireError
from monitor.ingest.engines import Engines, open_engines
from monitor.losses.examples import ExampleLosses
from monitor.reader.api import Api, RunView
from monitor.rules import diagnose
from monitor.settings import load
from monitor.store import Store
from tests.api.conftest import served
from tests.conftest import NOW_MS, Feed

N = 6_000
VALUES = np.random.default_rng(0).normal(size=N)
VALUES[[7, 3_000, 5_999]] = [math.nan, math.inf, -math.inf]


@pytest.fixture
def full(store: Store) -> Feed:
    """A run whose second attempt went back to step 4,000, and another run."""
    feed = Feed(store, now_ms=NOW_MS)
    feed.start(name="long", project="reads", tags={"team": "vision"})
    feed.log("acc", range(N), VALUES, epochs=np.arange(N) / 100)
    feed.log("val/loss", [1, 2], [0.5, 0.25])
    again = Feed(store, run_id=feed.run_id, writer="second")
    again.start(resume="must")
    again.log("acc", range(4_000, 4_100), np.full(100, 9.0))
    other = Feed(store, run_id="f" * 32)
    other.start(name="other", project="else")
    return feed


@pytest.fixture(params=["embedded", "http", pytest.param("http without pyarrow", marks=pytest.mark.slow)])
def api(
    request: pytest.FixtureRequest, full: Feed, store_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> Iterator[Api]:
    prices = {"cost_per_hour": {"A100": 2.0}}
    settings = load(dir=str(tmp_path), database_url=store_url, cost_per_hour={"*": 0.5}, projects={"reads": prices},
                    cost_currency="EUR")  # fmt: skip
    if request.param == "embedded":
        with Api(settings=settings) as found:
            yield found
        return
    if request.param == "http without pyarrow":
        monkeypatch.setitem(sys.modules, "pyarrow", None)
    with served(create_api(full.store, Engines(), settings)) as address, Api(address) as found:
        yield found


@pytest.fixture
def run(api: Api) -> RunView:
    return api.run("long")


def test_runs_are_found_by_a_query(api: Api) -> None:
    assert [view.name for view in api.runs('tags.team = "vision" and val.best < 0.3')] == ["long"]
    assert [view.name for view in api.runs(order="name", limit=1)] == ["long"]
    assert [view.name for view in api.runs(project="else", status="running")] == ["other"]
    assert api.runs_page(limit=1).total == 2
    with pytest.raises(WireError, match=r"val\.bets"):
        api.runs("val.bets < 1")


def test_a_history_is_every_point_of_the_curve(run: RunView) -> None:
    points = run.history("acc")
    np.testing.assert_array_equal(points.steps, np.arange(4_100))
    assert points.values.tobytes() == np.concatenate([VALUES[:4_000], np.full(100, 9.0)]).tobytes()
    np.testing.assert_array_equal(points.times, NOW_MS + np.concatenate([np.arange(4_000), np.arange(100)]))
    assert points.epochs is not None
    np.testing.assert_array_equal(points.epochs, np.concatenate([np.arange(4_000) / 100, np.full(100, math.nan)]))
    assert (points.steps.dtype, points.values.dtype, points.times.dtype) == (np.int64, np.float64, np.int64)
    assert run.history("val/loss").epochs is None


def test_a_history_of_one_attempt_and_of_a_window(run: RunView) -> None:
    assert len(run.history("acc", attempt=1)) == N
    assert run.history("acc", attempt=2).steps.tolist() == list(range(4_000, 4_100))
    assert run.history("acc", lo=3_998, hi=4_001).values.tolist() == [*VALUES[3_998:4_000], 9.0, 9.0]
    nothing = run.history("acc", lo=10**9)
    assert (len(nothing), nothing.steps.dtype, nothing.values.dtype) == (0, np.int64, np.float64)


def test_batches_are_the_history(run: RunView) -> None:
    whole = run.history("acc")
    parts = list(run.batches("acc"))
    np.testing.assert_array_equal(np.concatenate([p.steps for p in parts]), whole.steps)
    np.testing.assert_array_equal(np.concatenate([p.values for p in parts]), whole.values)


def test_a_curve_over_every_axis(run: RunView) -> None:
    for x, scale, lo, hi in (("step", 1, 100, 200), ("epoch", 0.01, 1.0, 2.0), ("relative", 0.001, 0.1, 0.2)):
        curve = run.curve("acc", x=x, lo=lo, hi=hi, width=1000)  # type: ignore[arg-type]  # one of the axes
        assert (curve.key, curve.x_axis, curve.shown, curve.total) == ("acc", x, len(curve.x), 101)
        np.testing.assert_allclose(curve.x, np.arange(100, 201) * scale, err_msg=x)
        np.testing.assert_array_equal(curve.y, VALUES[100:201], err_msg=x)
    curve = run.curve("acc", x="wall_time", width=1000)
    assert (curve.key, curve.x_axis, curve.shown) == ("acc", "wall_time", len(curve.x))
    assert (curve.x[0], curve.x[-1], curve.total) == (NOW_MS, NOW_MS + 3_999, 4_100)


def test_a_curve_within_a_width_keeps_what_is_not_finite(run: RunView) -> None:
    curve = run.curve("acc", width=50)
    assert curve.total == 4_100
    assert curve.shown <= 4 * 50 + 2
    assert math.isnan(curve.y[curve.x == 7][0])
    assert curve.y[curve.x == 3_000][0] == math.inf
    assert curve.smoothed is None
    smooth = run.curve("acc", width=50, smoothing=0.9).smoothed
    assert smooth is not None
    total = mass = 0.0
    for value in run.history("acc").values:
        if math.isfinite(value):
            total, mass = 0.9 * total + value, 0.9 * mass + 1
    assert smooth[-1] == pytest.approx(total / mass)


def test_a_wrong_argument_is_named(run: RunView) -> None:
    for name, value in (("x", "time"), ("width", 0), ("smoothing", 1.0), ("smoothing", -0.1)):
        with pytest.raises(WireError) as caught:
            run.curve("acc", **{name: value})  # type: ignore[arg-type]  # wrong on purpose
        assert name in str(caught.value)


def test_a_token_takes_a_role_that_there_is(api: Api) -> None:
    with pytest.raises(WireError, match=r"role: 'root' is not one of viewer, logger, editor, admin"):
        api.create_token("t", "root")
    made, _ = api.create_token("t", "viewer")
    assert (made.name, made.role) == ("t", Access.VIEWER)


def test_what_is_not_there_is_named(api: Api, run: RunView) -> None:
    with pytest.raises(RunNotFound, match="nobody"):
        api.run("nobody")
    for ask in (run.history, run.curve, lambda key: list(run.batches(key))):
        with pytest.raises(SeriesNotFound, match="nothing"):
            ask("nothing")


def test_the_rest_of_a_run(api: Api, run: RunView) -> None:
    assert {s.key for s in run.series()} == {"acc", "val/loss"}
    assert run.refresh() == run.info
    assert run.diagnosis().verdict == run.info.verdict
    assert run.findings() == run.diagnosis().findings
    assert [event.kind for event in run.events()] == ["run", "run"]
    assert (run.checkpoints(), api.alerts().items) == ((), ())
    assert api.projects() == (("else", 1), ("reads", 1))
    assert api.costs() == ("EUR", {"else": {"*": 0.5}, "reads": {"*": 0.5, "A100": 2.0}})
    assert api.keeping() == {"else": (None, None), "reads": (None, None)}
    run.request_stop("anna")
    assert run.refresh().stop_requested == "anna"


def test_an_answer_that_is_no_history_is_told_as_such() -> None:
    run = RunInfo(id="a" * 32, project="p", name="n", status=RunStatus.RUNNING, created_ms=1)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/history"):
            return httpx.Response(200, content=b"<html>hello</html>")
        return httpx.Response(200, json=run.to_dict())

    with (
        Api("http://server", transport=httpx.MockTransport(answer)) as api,
        pytest.raises(ServerUnreachable, match="not with points"),
    ):
        api.run("n").history("acc")


def test_an_answer_of_another_kind_than_asked_is_not_a_monitor_servers() -> None:
    with Api("http://server", transport=httpx.MockTransport(lambda _: httpx.Response(200, json="hello"))) as api:
        for ask in (lambda: api.test_channel("c"), lambda: api.remove_channel("c"), api.change_mark, api.retry):
            with pytest.raises(ServerUnreachable):
                ask()


def test_an_empty_description_of_a_loss_stays_empty(api: Api, full: Feed) -> None:
    feed = Feed(full.store, run_id="d" * 32)
    feed.start(name="no loss", project="reads", loss={})
    assert api.run("no loss").info.loss == {}


def test_a_snapshot_says_which_examples_and_slices_make_the_loss(api: Api, full: Feed) -> None:
    found = ExampleLosses().add([f"row-{i}" for i in range(100)], [9.0, *[1.0] * 99])
    feed = Feed(full.store, run_id="e" * 32)
    feed.start(name="examples", project="reads")
    for at in range(203):
        feed.event("examples", split="train", step=at, **(found or {}))
    feed.log("examples/train/top_share", [1], [0.5])
    for name, value in (("", 0.5), ("{scene=day}", 0.4), ("{scene=night}", 0.9), ("{scene=fog}", math.nan)):
        feed.log(f"val/loss{name}", [1], [value])
    seen = api.snapshot("examples")
    assert [event.data["step"] for event in api.run("examples").events() if event.kind == "examples"] == [
        *range(3, 203)
    ]
    assert [each["step"] for each in seen.examples["summaries"]] == [202]
    assert [(each["slice"], each["last"]) for each in seen.examples["slices"]] == [
        ("scene=night", 0.9),
        ("scene=day", 0.4),
    ]
    said = seen.of_examples()
    assert "Worst of 2 slices: scene=night with 0.9, 1.8 times val/loss." in said
    assert "Slices with values that are not finite: scene=fog." in said


def test_a_snapshot_is_what_its_parts_are(api: Api, run: RunView) -> None:
    seen = api.snapshot("long")
    assert seen.info == run.info
    assert (seen.series, seen.findings, seen.checkpoints) == (run.series(), run.findings(), run.checkpoints())
    assert [s.key for s in seen.main().values()] == ["val/loss", "acc"]  # the goal is drawn with the losses
    assert seen.others() == ()
    with pytest.raises(RunNotFound, match="nobody"):
        api.snapshot("nobody")


def test_outlines_are_what_the_snapshots_have_by_id(api: Api, full: Feed) -> None:
    for i in range(3):
        other = Feed(full.store, run_id=f"{i + 5}" * 32)
        other.start(name=f"other {i}", project="else")
        other.log("train/loss", range(400), [1.0 + (step > 200) * step / 50 for step in range(400)])
        other.log("val/loss", [1], [0.5])
        other.event("checkpoint", step=i, path="a.pt")
    ids = [full.run_id, *(f"{i + 5}" * 32 for i in range(3))]
    found = api.outlines([*ids, "9" * 32])
    assert set(found) == set(ids)
    for run_id, outline in found.items():
        seen = api.snapshot(run_id)
        for part in ("info", "series", "findings", "checkpoints"):
            assert getattr(outline, part) == getattr(seen, part), part
        assert outline.main() == seen.main()
    assert found["6" * 32].findings and found["6" * 32].checkpoints


def test_what_the_curves_did_is_told_the_same_everywhere(api: Api, full: Feed) -> None:
    told = Feed(full.store, run_id="e" * 32)
    told.start(name="told")
    values = 0.5 + np.exp(-np.arange(400) / 40)
    for at in range(0, 400, 7):
        told.log("train/loss", range(400)[at : at + 7], values[at : at + 7])
    wanted = diagnose(np.c_[np.arange(400), values])
    assert [regime.kind for regime in wanted.regimes][-1] == "flat"
    assert api.run("told").diagnosis() == wanted
    assert api.snapshot("told").regimes == wanted.regimes
    assert wanted.progress.rate is not None and api.snapshot("told").progress == wanted.progress
    (listed,) = api.runs_page(query="half_life > 20 and half_life < 40 and gap = null").items
    assert listed.half_life == wanted.progress.rate.half_life


def test_curves_of_one_request_are_those_of_many(api: Api, run: RunView, full: Feed) -> None:
    wanted = [CurveOf(run.id, "acc", 0.9), CurveOf(run.id, "val/loss"), CurveOf(run.id, "acc")]
    for x, lo, hi in (("step", None, None), ("step", 100.0, 3_500.0), ("relative", 0.1, 2.0)):
        found = api.curves(wanted, x=x, lo=lo, hi=hi, width=300)  # type: ignore[arg-type]  # one of the axes
        alone = [run.curve(w.key, x=x, lo=lo, hi=hi, width=300, smoothing=w.smoothing) for w in wanted]  # type: ignore[arg-type]  # as above
        for one, other in zip(found, alone, strict=True):
            assert (one.key, one.shown, one.total) == (other.key, other.shown, other.total)
            np.testing.assert_array_equal(one.y, other.y)
            np.testing.assert_array_equal(one.x, other.x)
            assert (one.smoothed is None) == (other.smoothed is None)
    assert api.curves([]) == ()
    with pytest.raises(SeriesNotFound, match="nope"):
        api.curves([CurveOf(run.id, "acc"), CurveOf(run.id, "nope")])
    with pytest.raises(RunNotFound):
        api.curves([CurveOf("e" * 32, "acc")], x="relative")


def test_more_curves_than_an_address_holds_come_all_the_same(api: Api, run: RunView) -> None:
    wanted = [CurveOf(run.id, "val/loss", i / 1000) for i in range(700)]
    assert [c.total for c in api.curves(wanted, width=10)] == [2] * 700


def test_positions_are_where_the_points_stand(api: Api, run: RunView) -> None:
    points = run.history("acc")
    steps = [0, 7, 3_999, 4_050, 5_000, 10**12, 2**70, 7]
    at = run.positions(["val/loss", "acc"], steps, x="wall_time")
    assert at[0] == points.times[0] and at[1] == at[7] == points.times[7]
    assert at[3] == NOW_MS + 50  # of the second attempt
    assert at[4] is None  # which went back, so that the first one's later points are not on the curve
    assert at[5] is None and at[6] is None
    assert run.positions(["val/loss", "acc"], [1], x="wall_time") == (float(run.history("val/loss").times[0]),)
    assert run.positions(["acc"], [0, 7, 4_050], x="epoch") == (0.0, 0.07, None)  # it logged no epoch again
    created = run.info.created_ms
    assert run.positions(["acc"], [7], x="relative") == ((NOW_MS + 7 - created) / 1000,)
    assert run.positions(["acc"], list(range(4_100)), x="step") == tuple(map(float, range(4_100)))
    assert run.positions([], [1], x="step") == (None,)
    with pytest.raises(SeriesNotFound, match="nope"):
        run.positions(["nope"], [1], x="step")


def test_a_list_is_asked_for_with_one_set_of_filters(api: Api) -> None:
    assert (
        set(RunFilters.__annotations__) == {field.name for field in fields(RunQuery)} == set(RunParameters.model_fields)
    )
    assert api.runs_page(RunQuery(project="reads")).total == 1
    assert api.runs_page(RunQuery(project="reads"), project="else").items[0].name == "other"
    assert api.runs_page(status=("running", "lost"), order="name").total == 2
    assert api.runs_page(status=("lost", "failed")).total == 0
    assert api.runs_page(verdict=(api.run("long").info.verdict, "nan"), search="lon").total == 1


def test_a_view_of_a_known_run_asks_for_nothing(api: Api, run: RunView) -> None:
    assert api.view(run.info).history("val/loss").values.tolist() == [0.5, 0.25]


def test_a_list_tells_the_values_that_a_query_sorts_by(api: Api, full: Feed) -> None:
    for i, config in enumerate(({"lr": 0.25}, {"lr": 3}, {})):
        Feed(full.store, run_id=f"{i}" * 32).start(name=f"r{i}", project="sorted", config=config)
    page = api.runs_page(query="order by config.lr desc", project="sorted")
    assert [page.sorted_by[run.id] for run in page.items] == [3, 0.25, None]
    assert api.runs_page(project="sorted").sorted_by == {}
    long = api.runs_page(query='order by metric."val/loss".last', project="reads")
    assert long.sorted_by == {long.items[0].id: 0.25}


def test_a_run_is_renamed_noted_and_tagged(api: Api, full: Feed) -> None:
    view = api.run("long")
    before = view.info.version
    changed = view.edit(name="renamed \u202e", note="# Note\n<b>x</b>", tags={"team": None, "best": "yes", "empty": ""})
    assert changed.name == "renamed \u202e" and changed.tags == {"best": "yes", "empty": ""}
    assert changed.version > before
    seen = api.snapshot(full.run_id)
    assert seen.note == "# Note\n<b>x</b>" and seen.info == changed
    assert [run.id for run in api.runs('tags.best = "yes"')] == [full.run_id]
    assert not api.runs('tags.team = "vision"')
    view.edit(note="")
    assert api.snapshot(full.run_id).note == "" and api.snapshot(full.run_id).info.tags == changed.tags


WRONG: tuple[dict[str, object], ...] = (
    {"name": " "}, {"name": "n" * 251}, {"note": "n" * 70_000}, {"tags": {"": "x"}}, {"tags": {"t": "x" * 1001}},
    {"tags": {f"t{i}": "x" for i in range(1000)}},
)  # fmt: skip


def test_what_cannot_be_kept_of_an_edit_is_refused_whole(api: Api, full: Feed) -> None:
    for wrong in WRONG:
        with pytest.raises(WireError):
            api.run("long").edit(**{"note": "kept?", **wrong})  # type: ignore[arg-type]  # passed on
        seen = api.snapshot(full.run_id)
        assert (seen.note, seen.info.name, seen.info.tags) == ("", "long", {"team": "vision"}), wrong


def test_only_a_run_that_is_there_is_edited(api: Api) -> None:
    view = api.run("long")
    api.delete("long")
    with pytest.raises(RunNotFound):
        view.edit(note="x")


def test_views_are_saved_replaced_and_deleted(api: Api) -> None:
    api.save_view("runs", "mine / ours?", "status=running&cols=goal")
    api.save_view("runs", "a", "x=1")
    api.save_view("runs", "mine / ours?", "status=failed")
    api.save_view("compare", "mine / ours?", "run=1")
    assert [(v.name, v.query) for v in api.views("runs")] == [("a", "x=1"), ("mine / ours?", "status=failed")]
    api.forget_view("runs", "mine / ours?")
    assert [v.name for v in api.views("runs")] == ["a"] and len(api.views("compare")) == 1
    with pytest.raises(WireError, match="a view needs a name"):
        api.save_view("runs", "  ", "x=1")


def test_a_list_has_the_values_of_the_series_that_are_asked_for(api: Api, full: Feed) -> None:
    page = api.runs_page(metrics=("val/loss", "none"))
    assert page.metrics == {full.run_id: {"val/loss": Extremes(last=0.25, min=0.25, min_step=2, max=0.5, max_step=1)}}
    with pytest.raises(WireError, match="metrics"):
        api.runs_page(metrics=tuple(map(str, range(51))))


def test_points_are_exported_to_a_file(api: Api, full: Feed, tmp_path: Path) -> None:
    assert api.export([full.run_id], tmp_path / "a.csv", keys=["val/loss"]) == 2
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize("over_http", [False, True])
def test_the_rules_of_a_project_are_read_as_the_settings_say(store: Store, tmp_path: Path, over_http: bool) -> None:
    settings = load(
        dir=str(tmp_path),
        database_url=store.url,
        rules={"spike": False},
        projects={"vision": {"rules": {"overfitting": {"rise": 0.2}}}},
    )
    app = create_api(store, open_engines(settings), settings)
    with served(app) if over_http else nullcontext() as address, Api(address, settings=settings) as api:
        assert api.rules().overrides == {"spike": {"enabled": False}}
        assert api.rules("vision").settings["overfitting"].limits["rise"] == 0.2
        assert not api.rules("vision").settings["spike"].enabled
        assert api.rules("text").hash == api.rules().hash


def test_a_run_is_named_with_its_project_in_every_question(api: Api, full: Feed) -> None:
    ref = f"{full.store.run(full.run_id).project}/long"
    assert api.run(ref).info.id == api.snapshot(ref).info.id == full.run_id
    assert api.explain(ref)["run"]["id"] == full.run_id
    assert api.events(ref).cursor
    with pytest.raises(RunNotFound, match=r"^no run 'reads/nothere'; "):
        api.snapshot("reads/nothere")
