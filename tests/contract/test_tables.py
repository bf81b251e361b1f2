"""Runs in a notebook: as a table, as a figure, and as HTML in which what somebody wrote has no power."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import monitor
from monitor import Api
from monitor.domain import Counts, Diagnosis, Recommendation
from monitor.domain.notebook import diagnosis_html, run_html
from monitor.settings import Settings

NASTY = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A folder with two runs; the configuration of one has another kind of value under the same name."""
    found = Settings(dir=tmp_path_factory.mktemp("tables"), capture=())
    for name, lr in (("one", 0.1), (NASTY, "auto")):
        with monitor.init(project="p", name=name, config={"opt": {"lr": lr}}, tags={"t": NASTY}, settings=found) as run:
            for step in range(30):
                run.log({"train/loss": 1 / (1 + step), "val/loss": 2 / (1 + step)}, step=step)
    return found


@pytest.fixture
def api(settings: Settings) -> Iterator[Api]:
    with Api(settings=settings) as found:
        yield found


def test_runs_are_a_table(api: Api) -> None:
    runs = api.runs(order="created")
    assert [view.name for view in runs] == ["one", NASTY] and isinstance(runs, list)
    frame = runs.to_pandas()
    assert list(frame["config.opt.lr"]) == [0.1, "auto"] and list(frame["best_loss"]) == [2 / 30, 2 / 30]
    table = runs.to_arrow()
    assert table.column("config.opt.lr").to_pylist() == ["0.1", "auto"] and table.num_rows == 2
    assert api.runs("name = null").to_pandas().empty


def test_the_points_of_a_series_are_a_table(api: Api) -> None:
    points = api.run("one").history("val/loss")
    frame = points.to_pandas()
    assert list(frame["step"]) == list(range(30)) and frame["value"].iloc[-1] == 2 / 30
    assert str(frame["time"].dt.tz) == "UTC" and "epoch" not in frame
    assert repr(points) == "<Points 30 from step 0 to 29>"
    assert len(api.run("one").history("val/loss", lo=99).to_pandas()) == 0


def test_a_run_is_plotted(api: Api) -> None:
    figure = api.run("one").plot()
    assert [trace.name for trace in figure.data] == ["train/loss", "val/loss"]
    assert len(api.run("one").plot(["val/loss"], smoothing=0.5).data) == 1


def test_html_has_the_curve_and_the_verdict_and_nothing_runs(api: Api, settings: Settings) -> None:
    runs = api.runs(order="created")
    html = runs._repr_html_()
    assert html.count("<svg") == 2 and html.count("<path") == 4 and "<script" not in html
    assert runs[0].info.verdict.replace("_", " ") in html
    with monitor.init(project="p", name=NASTY, settings=settings) as run:
        assert "<script" not in run._repr_html_()


def test_a_diagnosis_is_html(api: Api) -> None:
    assert "<b>" in api.run("one").diagnosis()._repr_html_()
    nasty = Diagnosis(
        verdict=NASTY, headline=NASTY, findings=(), recommendation=Recommendation(reason=NASTY + "x"),
        counts=Counts(train=0, val=0, non_finite=0),
    )  # fmt: skip
    assert "<script" not in diagnosis_html(nasty)


def test_any_values_have_a_picture() -> None:
    points = [(0.0, float("nan")), (1.0, 1e308), (2.0, -1e308), (3.0, float("inf"))]
    html = run_html("a", "b", "c", "d", {"train": points})
    assert "nan" not in html.split("<svg")[1].split("</svg>")[0].replace("between", "")
    assert "<svg" not in run_html("a", "b", "c", "d", {"train": points[:1]})


def test_a_run_without_a_loss_has_a_picture_of_what_it_logged(settings: Settings) -> None:
    with monitor.init(project="q", name="rewarded", settings=settings) as run:
        for step in range(30):
            run.log({"reward": step, f"other/{NASTY}": 1.0}, step=step)
    with Api(settings=settings) as api:
        view = api.run("rewarded")
        assert [trace.name for trace in view.plot().data] == ["reward"]
        assert "<svg" in view._repr_html_() and "reward 29" in view._repr_html_()


def test_an_axis_begins_at_zero_or_above_where_no_value_is_below(api: Api, settings: Settings) -> None:
    assert api.run("one").plot().layout.yaxis.rangemode == "nonnegative"
    with monitor.init(project="q", name="below", settings=settings) as run:
        run.log({"train/loss": -1.0}, step=0)
    with Api(settings=settings) as after:
        assert after.run("below").plot().layout.yaxis.rangemode is None
