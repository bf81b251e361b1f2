from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.charts import axes, curves, loss, overlay
from dashboard.charts.axes import Look
from dashboard.charts.loss import Story
from dashboard.theme import palette
from monitor.domain import Checkpoint, FindingState, Forecast, Pending, Recommendation, Severity

from .conftest import LOOK, checked, curve, finding, notes, trace

any_loss = st.floats(allow_nan=True, allow_infinity=True, width=32)


def test_train_and_validation_differ_in_colour_and_sparse_points_are_dots(look: Look) -> None:
    figure = checked(loss.loss_figure(curve([2, 1] * 60), curve([3, 2, 1], x=[0, 60, 119]), Story(), look))

    assert trace(figure, "train").line.color != trace(figure, "validation").line.color
    assert trace(figure, "train").mode == "lines"
    assert trace(figure, "validation").mode == "lines+markers"


def test_a_smoothed_curve_lies_over_a_faint_raw_one_and_has_gaps_where_the_raw_one_has(look: Look) -> None:
    smoothed = curve([4.0, math.nan, 2.0], smoothed=np.array([4.0, 4.0, 3.0]))

    figure = checked(loss.loss_figure(smoothed, None, Story(), look))

    assert trace(figure, "train (raw)").line.color.startswith("rgba(")
    assert trace(figure, "train (raw)").showlegend is False
    np.testing.assert_array_equal(trace(figure, "train").y, [4.0, math.nan, 3.0])


def test_nan_and_infinities_are_marked_where_they_were_logged(look: Look) -> None:
    figure = checked(loss.loss_figure(curve([1, math.nan, math.inf, -math.inf, 2]), None, Story(), look))

    for name, x in (("NaN", 1), ("+inf", 2), ("-inf", 3)):
        assert list(trace(figure, name).x) == [x]
        assert trace(figure, name).yaxis == "y2"
    np.testing.assert_array_equal(trace(figure, "train").y, [1, math.nan, math.nan, math.nan, 2])


def test_a_curve_of_nan_alone_still_makes_a_figure(look: Look) -> None:
    figure = checked(loss.loss_figure(curve([math.nan] * 4), None, Story(findings=(finding("nan"),)), look))

    assert list(trace(figure, "NaN").x) == [0, 1, 2, 3]
    assert figure.layout.yaxis.type == "linear"


def test_a_single_point_is_a_large_dot(look: Look) -> None:
    figure = checked(loss.loss_figure(curve([1.5]), None, Story(), look))

    assert trace(figure, "train").marker.size > 5


def test_values_that_are_not_positive_are_gaps_on_a_log_axis_and_counted_in_the_caption() -> None:
    shown = curve([10.0, 0.0, -1.0, 0.1])

    figure = checked(loss.loss_figure(shown, None, Story(), replace(LOOK, scale="log")))

    assert figure.layout.yaxis.type == "log"
    np.testing.assert_array_equal(trace(figure, "train").y, [10.0, math.nan, math.nan, 0.1])
    assert "train: 2 values ≤ 0 cannot be drawn on a log axis" in curves.captions([("train", shown)], "log")


@pytest.mark.parametrize(
    ("values", "asked", "given"),
    [
        ([1.0, 0.5], "auto", "linear"),
        ([1000.0, 0.5], "auto", "log"),
        ([1000.0, 0.0], "auto", "linear"),
        ([1000.0, 0.5], "linear", "linear"),
        ([-1.0, -2.0], "log", "linear"),
        ([math.nan], "log", "linear"),
        ([], "auto", "linear"),
    ],
)
def test_a_log_axis_is_taken_where_it_can_be_and_is_wanted_or_of_use(
    values: list[float], asked: str, given: str
) -> None:
    assert axes.resolve_scale([curve(values)], asked) == given


def test_a_critical_finding_is_a_band_from_its_onset_with_lines_at_onset_and_where_it_fired(look: Look) -> None:
    figure = checked(loss.loss_figure(curve(range(1, 11)), None, Story(findings=(finding(),)), look))

    band = next(s for s in figure.layout.shapes if s.name == "band 1")
    assert (band.x0, band.x1) == (3.0, 9.0)
    lines = {s.x0: s.line.dash for s in figure.layout.shapes if s.type == "line" and s.yref == "y domain"}
    assert lines == {3.0: "dash", 5.0: "solid"}
    assert "▲ overfitting · 3 → 5" in notes(figure)


AHEAD = Forecast(
    steps=5.0, from_step=9.0, level=1.0, expected=0.8, low=0.6, high=1.1, gain=0.0, gain_low=0.0, gain_high=0.4,
    buckets_since_best=0,
)  # fmt: skip


def test_the_forecast_is_a_dashed_line_in_a_wedge_of_its_interval_from_where_the_curve_ends(look: Look) -> None:
    story = Story(recommendation=Recommendation(forecast=AHEAD))
    figure = checked(loss.loss_figure(curve(range(10, 0, -1)), curve([3, 2, 1], x=[0, 5, 9]), story, look))
    line = trace(figure, "forecast")
    assert (list(line.x), list(line.y), line.line.dash) == ([9.0, 14.0], [1.0, 0.8], "dash")
    assert line.line.color == trace(figure, "validation").line.color
    (wedge,) = [s for s in figure.layout.shapes if s.name == "forecast interval"]
    assert wedge.path == "M 9.0,1.0 L 14.0,1.1 L 14.0,0.6 Z"


def test_the_axis_ends_where_the_curves_or_the_forecast_end_whatever_the_labels_need(look: Look) -> None:
    shown = curve(range(10, 0, -1))
    plain = checked(loss.loss_figure(shown, None, Story(findings=(finding(),)), look))
    ahead = checked(loss.loss_figure(shown, None, Story(recommendation=Recommendation(forecast=AHEAD)), look))
    assert plain.layout.xaxis.autorangeoptions.clipmax == pytest.approx(9.27)
    assert ahead.layout.xaxis.autorangeoptions.clipmax == pytest.approx(14.42)


def test_a_forecast_without_a_place_on_the_axis_is_not_drawn(look: Look) -> None:
    shown = curve(range(10, 0, -1))
    for story in (
        Story(recommendation=Recommendation(forecast=AHEAD), positions={9.0: 0.5}),
        Story(recommendation=Recommendation(forecast=replace(AHEAD, low=-math.inf))),
    ):
        assert "forecast" not in [t.name for t in checked(loss.loss_figure(shown, None, story, look)).data]


def test_a_forecast_that_reaches_below_nought_stays_on_a_log_axis() -> None:
    story = Story(recommendation=Recommendation(forecast=replace(AHEAD, low=-0.5)))
    log = replace(LOOK, scale="log")
    figure = checked(loss.loss_figure(curve(range(10, 0, -1)), None, story, log))
    (wedge,) = [s for s in figure.layout.shapes if s.name == "forecast interval"]
    assert wedge.path == "M 9.0,1.0 L 14.0,1.1 L 14.0,0.08 Z"


def test_what_is_pending_is_a_dotted_frame_in_a_lane_of_its_rule(look: Look) -> None:
    may_come = Pending(
        rule="spike",
        severity=Severity.WARNING,
        onset_step=4.0,
        since_step=6.0,
        held=1.0,
        needed=2.0,
        explanation="It jumped.",
    )
    story = Story(findings=(finding(),), recommendation=Recommendation(pending=(may_come,)))
    figure = checked(loss.loss_figure(curve(range(1, 11)), None, story, look))
    (frame,) = [s for s in figure.layout.shapes if s.name == "pending"]
    assert (frame.x0, frame.x1, frame.line.dash, frame.fillcolor) == (4.0, 9.0, "dot", None)
    assert list(figure.layout.yaxis3.ticktext) == ["overfitting", "spike"]


def test_a_long_curve_is_smoothed_over_as_much_of_the_screen_as_a_short_one() -> None:
    assert curves.weight_of(0.9, curves.SPARSE) == curves.weight_of(0.0, 500) == 0.0
    assert curves.weight_of(0.9, 1000) == 0.9
    reaches = [1 / (1 - curves.weight_of(0.9, n)) / n for n in (10_000, 1_000_000, 100_000_000)]
    assert max(reaches) / min(reaches) < 1.05


def test_every_finding_has_a_bar_in_its_rules_lane_from_onset_to_end(look: Look) -> None:
    over = finding(
        "spike", state=FindingState.RESOLVED, severity=Severity.WARNING, onset_step=1.0, fired_step=2.0,
        resolved_step=4.0, number=2,
    )  # fmt: skip

    figure = checked(loss.loss_figure(curve(range(1, 11)), None, Story(findings=(over, finding())), look))

    bars = [(s.x0, s.x1) for s in figure.layout.shapes if s.name == "lane"]
    assert bars == [(1.0, 4.0), (3.0, 9.0)]
    assert figure.layout.yaxis3.ticktext == ("overfitting", "spike")
    assert not any("spike" in text for text in notes(figure))


def test_the_verdicts_own_finding_is_drawn_on_the_curve_even_where_it_is_mere_context(look: Look) -> None:
    flat = finding("convergence", severity=Severity.INFO)

    with_it = checked(loss.loss_figure(curve(range(9)), None, Story(findings=(flat,), verdict="convergence"), look))
    without = checked(loss.loss_figure(curve(range(9)), None, Story(findings=(flat,), verdict="healthy"), look))

    assert any("convergence · 3" in text for text in notes(with_it))
    assert notes(without) == []


def test_best_step_and_stop_are_marked_with_their_numbers(look: Look) -> None:
    rec = Recommendation(best_step=4.0, best_val_loss=0.25, first_stop_step=7.0, stop_step=7.0)

    figure = checked(loss.loss_figure(curve(range(1, 11)), None, Story(recommendation=rec), look))

    assert (trace(figure, "best step").x, trace(figure, "best step").y) == ((4.0,), (0.25,))
    assert "best 0.25 · step 4" in notes(figure)
    assert "■ stop advised · 7" in notes(figure)


def test_a_withdrawn_stop_says_so(look: Look) -> None:
    rec = Recommendation(first_stop_step=7.0)
    figure = checked(loss.loss_figure(curve(range(1, 11)), None, Story(recommendation=rec), look))
    assert "■ stop advised · 7, withdrawn" in notes(figure)


def test_the_best_steps_label_is_placed_by_the_logarithm_on_a_log_axis() -> None:
    rec = Recommendation(best_step=1.0, best_val_loss=0.01)

    figure = checked(loss.loss_figure(curve([1, 0.01]), None, Story(recommendation=rec), replace(LOOK, scale="log")))

    assert trace(figure, "best step").y == (0.01,)
    assert figure.layout.annotations[0].y == pytest.approx(-2)


def test_the_axis_and_the_marks_name_what_steps_count() -> None:
    rec = Recommendation(best_step=1.0, best_val_loss=0.25)
    story = Story(recommendation=rec, checkpoints=(Checkpoint(step=1, path="a", time_ms=0),))

    figure = checked(loss.loss_figure(curve([1, 0.25]), None, story, replace(LOOK, unit="epoch")))

    assert figure.layout.xaxis.title.text == "epoch"
    assert "best 0.25 · epoch 1" in notes(figure)
    assert trace(figure, "checkpoint").customdata == ("epoch 1 · a",)


def test_a_best_loss_that_a_log_axis_cannot_show_is_marked_on_the_foot() -> None:
    rec = Recommendation(best_step=1.0, best_val_loss=-3.0)

    figure = checked(loss.loss_figure(curve([1, -3]), None, Story(recommendation=rec), replace(LOOK, scale="log")))

    assert trace(figure, "best step").yaxis == "y2"
    assert "best -3 · step 1" in notes(figure)


def test_marks_stand_at_the_positions_of_their_steps_where_the_axis_is_not_steps() -> None:
    rec = Recommendation(best_step=4.0, best_val_loss=0.25, first_stop_step=7.0)
    story = Story(findings=(finding(),), recommendation=rec, positions={4.0: 240.0, 3.0: 180.0, 5.0: 300.0})
    by_minutes = replace(LOOK, x_axis="relative")

    figure = checked(loss.loss_figure(curve([1.0] * 10, x=np.arange(10) * 60.0), None, story, by_minutes))

    assert trace(figure, "best step").x == (4.0,)
    assert next(s for s in figure.layout.shapes if s.name == "band 1").x0 == 3.0
    assert not any("stop advised" in text for text in notes(figure)), "step 7 has no place on this axis"


@pytest.mark.parametrize("begin", [0.0, 1_764_000_000_000.0])
def test_labels_keep_within_the_curve_wherever_the_axis_begins(begin: float) -> None:
    look = replace(LOOK, x_axis="wall_time")
    line = curve([2.0, 1.0, 0.5, 0.4], x=[begin, begin + 1, begin + 2, begin + 100])
    places = {0.0: begin, 1.0: begin + 1, 3.0: begin + 100}
    best = Recommendation(best_step=3.0, best_val_loss=0.4)
    story = Story(findings=(finding(onset_step=0.0, fired_step=1.0),), recommendation=best, positions=places)

    drawn = {a.text: a.xanchor for a in checked(loss.loss_figure(line, None, story, look)).layout.annotations}

    assert drawn["best 0.4 · step 3"] == "right"
    assert drawn["▲ overfitting · 0 → 1"] == "left"


def test_checkpoints_are_ticks_with_their_path(look: Look) -> None:
    saved = Checkpoint(step=5, path="<best>.pt", time_ms=0)
    figure = checked(loss.loss_figure(curve(range(9)), None, Story(checkpoints=(saved,)), look))
    assert trace(figure, "checkpoint").customdata == ("step 5 · &lt;best&gt;.pt",)


def test_a_reference_beyond_the_curve_gets_no_line_since_it_would_stretch_the_axis(look: Look) -> None:
    references = {"chance level": 2.3, "floor": 0.0}
    figure = checked(loss.loss_figure(curve([3.0, 1.0]), None, Story(references=references), look))
    assert [s.name for s in figure.layout.shapes] == ["reference chance level"]


def test_a_reduced_curve_says_how_many_of_how_many_points_it_shows() -> None:
    said = curves.captions([("train", curve([1, 2, math.nan], total=1_000_000)), ("validation", curve([1]))], "linear")
    assert said == (
        "train: 3 of 1,000,000 points, every extreme kept",
        "train: NaN at 1 place (marked ×)",
        "validation: 1 point",
    )


def test_a_window_read_in_detail_replaces_that_part_of_the_overview() -> None:
    whole = curve([0, 1, 2, 3, 4], x=[0, 10, 20, 30, 40], total=41)
    detail = curve([9, 9, 9], x=[12, 15, 18], total=3)

    joined = curves.spliced(whole, detail, 12, 18)

    assert joined.x.tolist() == [0, 10, 12, 15, 18, 20, 30, 40]
    assert (joined.shown, joined.total) == (8, 41)


@given(st.lists(any_loss, max_size=30), st.lists(any_loss, max_size=30), st.sampled_from(["auto", "linear", "log"]))
def test_any_values_make_a_figure_that_is_strict_json_and_valid(
    train: list[float], val: list[float], scale: str
) -> None:
    look = Look(palette=palette("dark"), scale=scale)
    rec = Recommendation(best_step=1.0, best_val_loss=val[0] if val and math.isfinite(val[0]) else None)

    figure = loss.loss_figure(curve(train), curve(val), Story(findings=(finding(),), recommendation=rec), look)

    json.loads(figure.to_json(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    checked(figure)


@given(st.lists(any_loss, min_size=1, max_size=50))
def test_no_finite_value_is_lost_on_a_linear_axis(values: list[float]) -> None:
    figure = checked(loss.loss_figure(curve(values), None, Story(), replace(LOOK, scale="linear")))
    drawn = np.asarray(trace(figure, "train").y)
    np.testing.assert_array_equal(drawn[np.isfinite(values)], np.array(values)[np.isfinite(values)])


def test_overlaid_runs_repeat_colours_with_dashes_after_eight(look: Look) -> None:
    figure = checked(overlay.overlay_figure([(f"run {i}", curve([1, 2])) for i in range(9)], look, title="loss"))
    first, ninth = trace(figure, "run 0").line, trace(figure, "run 8").line
    assert (first.color, first.dash) == (ninth.color, "solid")
    assert ninth.dash == "dash"


def test_the_goal_has_a_panel_of_its_own_below_the_losses_with_its_best_step_marked() -> None:
    told = Recommendation(goal="val/acc", best_goal=0.9, best_goal_step=2, best_step=1, best_val_loss=0.4)
    story = Story(findings=(finding(),), recommendation=told)
    goal = ("val/acc", curve([0.1, 0.5, 0.9]))
    drawn = checked(loss.loss_figure(curve([3, 2, 1]), curve([1, 0.4, 2]), story, LOOK, goal))
    (line,) = (trace for trace in drawn.data if trace.name == "val/acc")
    (star,) = (trace for trace in drawn.data if trace.name == "best goal")
    assert (line.yaxis, star.yaxis, star.x[0], star.y[0]) == ("y4", "y4", 2, 0.9)
    lanes, panel, losses = drawn.layout.yaxis3.domain, drawn.layout.yaxis4.domain, drawn.layout.yaxis.domain
    assert lanes[1] < panel[0] < panel[1] < losses[0] < losses[1] == 1


def test_a_goal_without_a_loss_has_the_chart_to_itself() -> None:
    told = Recommendation(goal="reward", best_goal=200, best_goal_step=2)
    drawn = checked(loss.loss_figure(None, None, Story(recommendation=told), LOOK, ("reward", curve([0.5, 90, 200]))))
    (line,) = (trace for trace in drawn.data if trace.name == "reward")
    assert line.yaxis == "y"
    assert drawn.layout.yaxis.type == "linear"
    assert drawn.layout.title.text == "reward"
    assert "yaxis4" not in drawn.layout


@pytest.mark.parametrize(("values", "mode"), [([2.0, 0.01], "nonnegative"), ([2.0, -0.01], None), ([], None)])
def test_a_linear_axis_goes_below_zero_only_if_a_value_does(values: list[float], mode: str | None) -> None:
    figure = checked(axes.canvas("t", LOOK, "linear", "loss", [curve(values)]))
    assert figure.layout.yaxis.rangemode == mode
