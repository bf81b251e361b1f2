from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import skill
from dashboard.charts import loss, overlay
from dashboard.charts.loss import Story
from dashboard.markup import comparison, pieces, run_list, run_page
from monitor import losses
from monitor.domain import Recommendation, RunInfo, RunPage, RunSnapshot
from monitor.domain.formats import NOTHING
from monitor.insight.standing import standing

from .conftest import LOOK, NOW_MS, a_run, checked, curve, head, notes, snapshot

TEN = losses.CrossEntropy(10).to_dict()
TWO, THOUSAND = losses.CrossEntropy(2).to_dict(), losses.CrossEntropy(1000).to_dict()
BEST = Recommendation(best_step=3.0, best_val_loss=0.23)


def test_the_score_of_a_run_is_that_of_its_best_loss() -> None:
    assert skill.of_run(a_run(loss=TEN, recommendation=BEST)) == losses.CrossEntropy(10).skill(0.23)
    assert skill.of_run(a_run(loss=TEN)) is None
    assert skill.of_run(a_run(recommendation=BEST)) is None


@pytest.mark.parametrize(
    "loss", [None, {}, {"chance_level": "high", "floor": 0}, {"chance_level": 1.0, "floor": 1.0}, {"floor": 0.0},
             {"chance_level": True, "floor": 0.0}, losses.Adversarial("gan").to_dict(),
             losses.CrossEntropy(10, reduction="sum").to_dict()]
)  # fmt: skip
def test_a_loss_without_both_levels_or_without_an_order_has_no_score(loss: dict[str, object] | None) -> None:
    run = a_run(loss=loss, recommendation=BEST)
    assert not skill.comparable(run)
    assert skill.of_run(run) is None
    assert NOTHING in pieces.score(run)


@given(st.lists(st.floats(width=32), min_size=1, max_size=30))
def test_a_curve_has_the_score_of_every_finite_loss_and_gaps_where_it_had_them(values: list[float]) -> None:
    run = a_run(loss=losses.CrossEntropy(10, label_smoothing=0.1).to_dict())
    scored = skill.of_curve(curve(values, smoothed=np.array(values, float)), run)
    assert run.loss is not None
    for value, score in zip(values, scored.y, strict=True):
        expected = losses.skill(run.loss, value)
        assert math.isfinite(value) == math.isfinite(score)
        assert expected is None or score == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert scored.smoothed is not None
    assert np.array_equal(scored.smoothed, scored.y, equal_nan=True)


def test_the_column_stands_in_the_list_only_where_a_run_on_the_page_has_a_score() -> None:
    scored, plain = a_run(loss=TEN, recommendation=BEST), a_run(recommendation=BEST)
    with_one = run_list.runs_table(RunPage(items=(plain, scored), total=2), (), NOW_MS)
    without = run_list.runs_table(RunPage(items=(plain,), total=1), (), NOW_MS)
    assert ">Skill</th>" in with_one
    assert ">0.900</span>" in with_one
    assert "1 - (0.23 - 0) / (2.303 - 0)" in with_one
    assert with_one.count("<th") - 1 == with_one.count("<td") / 2  # <thead> is the one more
    assert "Skill" not in without
    assert without.count("<th") - 1 == without.count("<td")


def test_the_runs_head_has_the_score_with_its_formula_as_hover_text() -> None:
    shown = head(snapshot(loss=TEN, recommendation=BEST), NOW_MS)
    assert 'data-testid="skill"' in shown
    assert "1 - (loss - floor) / (chance - floor)" in shown
    assert 'data-testid="skill"' not in head(snapshot(), NOW_MS)


def test_a_chart_of_skill_has_its_star_and_its_levels_on_the_skill_axis() -> None:
    run = a_run(loss=TEN, recommendation=BEST)
    story = skill.of_story(Story(recommendation=BEST, references=run_page.references(run)), run)
    drawn = skill.of_curve(curve([2.5, 1.0, 0.5, 0.23]), run)
    figure = checked(loss.loss_figure(drawn, None, story, LOOK))
    assert any("best 0.9" in note for note in notes(figure))
    assert "chance level 0" in notes(figure)
    assert not any(note.startswith("floor") for note in notes(figure))  # 1 lies above the curve


def test_a_loss_far_above_chance_does_not_flatten_the_axis_and_the_caption_counts_it() -> None:
    run = a_run(loss=TEN)
    far = skill.of_curve(curve([800.0, 900.0, 2.0, 0.5]), run)
    figure = overlay.overlay_figure([("a", far)], LOOK, title="x")
    said = skill.limit(figure, [far])
    low, high = checked(figure).layout.yaxis.range
    assert low == pytest.approx(skill.LOWEST, abs=0.1)
    assert high > far.y.max()
    assert any("2 points below" in part for part in said)
    near = overlay.overlay_figure([("a", curve([0.1, 0.9]))], LOOK, title="x")
    assert len(skill.limit(near, [curve([0.1, 0.9])])) == 1
    assert checked(near).layout.yaxis.range is None


MSE, MAE = losses.MSE(1.0).to_dict(), losses.MAE(target_std=1.0).to_dict()


def _named(name: str, loss: dict[str, object] | None, best: float) -> RunInfo:
    return a_run(id=f"{name:0>32}", name=name, loss=loss, recommendation=Recommendation(best_val_loss=best))


@pytest.mark.parametrize(
    ("one", "two", "leader"),
    [
        (_named("1", None, 0.5), _named("2", None, 0.4), "2"),
        (_named("1", TEN, 0.5), _named("2", TEN, 0.4), "2"),
        # 0.5 of ln 1000 is better than 0.4 of ln 2
        (_named("1", THOUSAND, 0.5), _named("2", TWO, 0.4), "1"),
        (_named("1", None, 0.5), _named("2", TEN, 0.4), None),
        # one model, whose errors are normal: no star
        (_named("1", MSE, 0.485), _named("2", MAE, 0.544), None),
        (_named("1", MSE, 0.01), _named("2", MAE, 0.544), "1"),
        (_named("1", MSE, 0.01), _named("2", TEN, 0.544), None),
    ],
)  # fmt: skip
def test_the_best_of_compared_runs_is_told_by_skill_where_their_losses_differ(
    one: RunInfo, two: RunInfo, leader: str | None
) -> None:
    seen = [snapshot(**{f: getattr(run, f) for f in ("id", "name", "loss", "recommendation")}) for run in (one, two)]
    body = comparison.results(seen, NOW_MS)
    rows = [row for row in body.split("<tr>") if "★ best" in row]
    assert len(rows) == (leader is not None)
    assert leader is None or f">{leader}</a>" in rows[0]
    assert ('data-testid="standing"' in body) == (leader is None)


@pytest.mark.parametrize(
    ("one", "two", "star"), [("mse", "mae", False), ("mse", "mse", True), ("mine", "yours", False)]
)
def test_losses_that_only_the_configurations_name_are_not_compared_by_value(one: str, two: str, star: bool) -> None:
    def seen(i: int, name: str, best: float) -> RunSnapshot:
        config = {"train": {"loss_fn": name}}
        return snapshot(id=f"{i:032x}", config=config, recommendation=Recommendation(best_val_loss=best))

    found = standing([seen(1, one, 0.3), seen(2, two, 0.4)])
    assert (found.best is not None) == star
    assert ("not comparable" in found.why) != star


def test_metrics_that_all_log_are_named_where_the_losses_cannot_be_compared() -> None:
    def seen(name: str, loss: dict[str, object], r2: float) -> RunSnapshot:
        best = Recommendation(best_val_loss=0.5)
        keys = ("val/loss", "val/loss{scene=night}", "val/r2", "lr")
        made = snapshot(keys, id=f"{name:0>32}", loss=loss, recommendation=best)
        series = tuple(replace(s, max=r2) if s.key == "val/r2" else s for s in made.series)
        return replace(made, series=series)

    found = standing([seen("1", MSE, 0.3), seen("2", TEN, 0.6)])
    assert found.best is None
    assert found.why == (
        "mse and cross_entropy are not comparable; by what all of them log: val/r2 is best in " + f"{'2':0>32} (0.6)."
    )
    assert (
        "log one metric in all runs, such as accuracy or R2"
        in standing([replace(seen("1", MSE, 0.3), series=()), replace(seen("2", TEN, 0.6), series=())]).why
    )


def test_a_goal_that_all_runs_log_decides_where_their_losses_cannot() -> None:
    def seen(name: str, loss: dict[str, object], goal: float, *, rises: bool) -> RunSnapshot:
        reading = {"goal": "val/r2" if rises else "val/wer", "rises": rises}
        best = Recommendation(best_val_loss=0.5)
        return snapshot(
            id=f"{name:0>32}", name=name, loss=loss, recommendation=best, reading=reading, goal_best=goal
        )  # fmt: skip

    for rises, best in ((True, "2"), (False, "1")):
        found = standing([seen("1", MSE, 0.3, rises=rises), seen("2", TEN, 0.6, rises=rises)])
        assert found.best == f"{best:0>32}"
        assert "best by val/" in found.why
    tie = standing([seen("1", MSE, 0.3, rises=True), seen("2", TEN, 0.3, rises=True)])
    assert tie.best is None
    assert "not comparable" in tie.why
