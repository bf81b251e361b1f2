"""The panels of a run's page, and what is marked on its large chart."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.charts import grid, milestones, sweep
from dashboard.charts.axes import Look
from dashboard.charts.loss import Story, loss_figure
from monitor.domain import Regime

from .conftest import checked, curve, snapshot, trace


def test_every_metric_stands_in_the_section_of_its_prefix() -> None:
    keys = ("train/loss", "val/loss", "grad/a", "grad/b", "odd", "lone/x", "a/b/c", "a/d")
    found = grid.sections(snapshot(keys).series)
    names = {s.name: [p.key for p in s.panels] for s in found}
    assert names == {
        "train · val": ["train/loss", "val/loss"], "a": ["a/b/c", "a/d"], "grad": ["grad/a", "grad/b"],
        "Other": ["lone/x", "odd"],
    }  # fmt: skip
    assert found[0].name == "train · val"  # what is judged comes first


def test_a_step_of_the_learning_rate_is_a_drop_and_a_cosine_has_none() -> None:
    assert [x for x, _, _ in milestones.rate_drops(curve([0.1] * 5 + [0.01] * 5 + [0.001] * 5))] == [5.0, 10.0]
    cosine = 0.05 * (1 + np.cos(np.linspace(0, np.pi, 400)))
    assert not milestones.rate_drops(curve(cosine.tolist()))
    assert not milestones.rate_drops(curve([0.1, float("nan"), 0.0]))


def test_regimes_drops_and_attempts_are_drawn(look: Look) -> None:
    regimes = tuple(
        Regime(series="validation", kind=kind, begin=begin, end=begin + 3, start=1.0, stop=0.5)
        for kind, begin in (("fall", 0), ("rise", 3))
    )
    story = Story(regimes=regimes, drops=((2.0, 0.1, 0.01),), attempts=((2, 4),))
    values = [1.0, 0.8, 0.6, 0.5, 0.6, 0.7, 0.9]
    figure = checked(loss_figure(curve(values), curve(values), story, look))
    assert trace(figure, "rate drop").customdata[0] == "learning rate 0.1 → 0.01"
    assert trace(figure, "resumed").customdata[0] == "attempt 2 began at step 4"
    assert sum(shape.name == "course" for shape in figure.layout.shapes) == 2
    assert figure.layout.yaxis3.ticktext == ("course",)


def test_a_band_is_the_mean_of_the_runs_that_are_there(look: Look) -> None:
    short, long = (grid.line_of(curve(v, x=x), "#000000", look) for v, x in (([1, 1], [0, 1]), ([3, 3, 3], [0, 1, 2])))
    found = sweep.band([short, long], "#123456")
    assert found.low is not None and found.high is not None
    assert found.y[0] == 2.0 and found.y[-1] == 3.0
    assert found.high[0] - found.y[0] == pytest.approx(2**0.5) and found.high[-1] == found.y[-1]
    assert not len(sweep.band([], "#000000").x)


def test_curves_can_stand_over_a_counter() -> None:
    tokens = sweep.across(np.array([0.0, 5.0, 10.0, 11.0]), np.array([0.0, 10.0]), np.array([0.0, 1000.0]))
    assert tokens[:3].tolist() == [0.0, 500.0, 1000.0] and np.isnan(tokens[3])


def test_a_scatter_and_parallel_axes_are_figures_that_plotly_takes(look: Look) -> None:
    points = [("a", 1e-4, 0.5, ""), ("b", 1e-2, 0.4, ""), ("c", None, 0.3, ""), ("d", 1e-3, None, "")]
    figure = checked(sweep.scatter_figure(points, look, x_title="lr", y_title="loss"))
    assert figure.layout.xaxis.type == "log" and list(figure.data[0].y) == [0.5, 0.4]
    named = checked(
        sweep.scatter_figure([("a", "sgd", 1.0, "g"), ("b", "adam", 2.0, "h")], look, x_title="o", y_title="y")
    )
    assert named.layout.xaxis.type == "category" and [t.name for t in named.data] == ["g", "h"]
    columns = {"lr": [1e-4, 1e-1, 1e-2], "optimiser": ["sgd", None, "adam"]}
    axes = checked(sweep.parallel_figure(columns, [0.1, 0.2, None], look, title="loss")).data[0].dimensions
    assert [a.label for a in axes] == ["lr (log)", "optimiser", "loss"] and list(axes[2]["values"]) == [0.1, 0.2]
