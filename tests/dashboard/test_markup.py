from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import UTC
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup, escape

from dashboard import fields
from dashboard.charts.curves import forecast_caption
from dashboard.data import Overview
from dashboard.markup import comparison, media, pieces, run_list, run_page, run_tabs
from monitor.domain import (
    SET_ASIDE,
    Action,
    Counter,
    FindingState,
    Forecast,
    Gap,
    Patience,
    Pending,
    Progress,
    Rate,
    Recommendation,
    Regime,
    RunPage,
    RunSnapshot,
    RunStatus,
    SavedView,
    Severity,
)
from monitor.domain.media import Media
from monitor.roles import Role
from monitor.store import Store

from .conftest import NOW_MS, Show, a_run, finding, head, logged, snapshot

NASTY = "<script>alert('x')</script>\"&"


def a_medium(kind: str) -> Media:
    return Media(id=1, key=NASTY, kind=kind, step=3, time_ms=NOW_MS, mime="image/png", caption=NASTY, size=9)


def test_what_users_wrote_is_escaped_everywhere() -> None:
    run = a_run(
        name=NASTY, project=NASTY, group=NASTY, headline=NASTY, error=NASTY, stop_requested=NASTY,
        config={NASTY: {NASTY: NASTY}}, tags={NASTY: NASTY}, loss={NASTY: NASTY},
        recommendation=Recommendation(reason=NASTY),
    )  # fmt: skip
    nasty = finding(NASTY, explanation=NASTY, advice=NASTY, evidence={NASTY: NASTY})
    seen = snapshot((NASTY,), findings=(nasty,), name=NASTY)
    page = RunPage(items=(run,), total=1)

    pages = (
        run_list.runs_table(page, (), NOW_MS),
        head(seen, NOW_MS),
        run_page.findings(seen),
        run_tabs.config(run),
        run_tabs.notes(run, NASTY, NASTY),
        run_tabs.differing(run, a_run(name=NASTY), (), ()),
        run_page.controls(run, NASTY),
        run_page.gone(run, 7.0),
        run_list.bar((NASTY,), 3, most=9, problem=NASTY, said=NASTY),
        run_list.groups_table([fields.RunsOf(NASTY, (run,))], page, fields.named("config", NASTY), (), NASTY),
        run_list.deleted_table([(run, NOW_MS)], 7.0, NOW_MS),
        run_list.views([SavedView(page="runs", name=NASTY, query=NASTY)], NASTY),
        run_page.series(seen),
        pieces.banner(run.recommendation, live=True),
        comparison.results([seen], NOW_MS),
        comparison.differences([run, a_run()]),
        media.gallery(NASTY, [a_medium("image"), a_medium("table")], {1: {"columns": [NASTY], "rows": [[NASTY]]}}, 0),
    )

    assert not any("<script" in body for body in pages)


def test_a_verdicts_chip_tells_its_severity_by_a_mark_too() -> None:
    assert "▲" in pieces.chip("overfitting")
    assert "◆" in pieces.chip("oscillation")
    assert "✓" in pieces.chip("healthy")


@given(st.lists(st.floats(width=32), max_size=40), st.lists(st.floats(width=32), max_size=40))
def test_a_sparkline_of_any_values_has_only_finite_coordinates_inside_its_frame(
    train: list[float], val: list[float]
) -> None:
    svg = pieces.sparkline(train, val, width=100, height=20)
    numbers = [float(n) for path in re.findall(r' d="([^"]*)"', svg) for n in re.findall(r"-?[\d.]+(?:e-?\d+)?", path)]
    assert "nan" not in svg.partition("<path")[2]
    assert all(0 <= n <= 100 for n in numbers)


def test_a_sparkline_has_a_gap_where_a_nan_is_and_a_dash_where_nothing_is_finite() -> None:
    assert pieces.sparkline([1, math.nan, 2, 3], []).count("M") == 2
    assert "<svg" not in pieces.sparkline([math.nan], [])


def test_a_threshold_follows_the_number_that_it_is_held_against() -> None:
    assert [k for k, _ in pieces.sorted_evidence(finding())] == ["rise", "rise_limit", "noise"]


@given(
    st.dictionaries(
        st.sampled_from(["rise", "rise_limit", "min_rise", "max_rise", "rise_max", "x", "x_min"]), st.integers()
    )
)
def test_sorting_evidence_loses_nothing(evidence: dict[str, int]) -> None:
    assert dict(pieces.sorted_evidence(finding(evidence=evidence))) == evidence


def test_a_banner_says_what_to_do_with_the_numbers_it_rests_on() -> None:
    rec = Recommendation(
        action=Action.STOP, reason="It overfits.", best_step=875.0, best_val_loss=0.41, stop_step=1150.0,
        first_stop_step=1150.0, confidence=0.9,
    )  # fmt: skip

    live, over = pieces.banner(rec, live=True), pieces.banner(rec, live=False)

    for piece in ("It overfits.", ">875<", ">0.41<", "step 1,150", "90%"):
        assert piece in live
    assert "Stop was advised" in over


def test_a_banner_sets_patience_beside_the_advice_and_says_what_may_come_while_a_run_lives() -> None:
    may_come = Pending(
        rule="overfitting", severity=Severity.CRITICAL, onset_step=120.0, since_step=130.0, held=2.0, needed=3.0,
        explanation="Overfitting is pending since step 120: it has held for 2 of 3 checks.",
    )  # fmt: skip
    good = replace(may_come, severity=Severity.INFO, explanation="Convergence is pending.")
    rec = Recommendation(
        pending=(may_come, good),
        patience=Patience(
            evals=10,
            stop_step=340.0,
            best_loss=0.5,
            missed=0.0,
            explanation="Patience 10 would have stopped at step 340.",
        ),
    )

    live, over = pieces.banner(rec, live=True), pieces.banner(rec, live=False)

    assert "Patience 10 would have stopped at step 340." in live and "2 of 3 checks" in live
    assert "Convergence is pending" not in live and "2 of 3 checks" not in over


def test_pending_findings_are_listed_while_a_run_lives() -> None:
    may_come = Pending(
        rule="spike",
        severity=Severity.WARNING,
        onset_step=1200.0,
        since_step=1300.0,
        held=1.0,
        needed=2.0,
        explanation="It jumped.",
    )
    told = Recommendation(pending=(may_come,))
    page = run_page.findings(snapshot(recommendation=told))
    assert "Pending (1)" in page and "1 of 2 checks" in page and "1,200" in page and "Nothing fires now" in page
    assert "no-findings" in run_page.findings(snapshot(recommendation=told, status=RunStatus.FINISHED))
    likely = Recommendation(pending=(replace(may_come, likely=True),))
    assert "likely" in run_page.findings(snapshot(recommendation=likely, status=RunStatus.STOPPED))


def test_the_counts_say_how_many_need_a_person() -> None:
    head = run_list.overview(Overview(3, 120, 1), Markup(), Markup())
    assert re.sub(r"<[^>]+>", " ", head).split() == ["Runs", "3", "live", "1", "needs", "attention", "120", "in", "all"]


def test_clicking_a_sorted_column_again_turns_the_order_round() -> None:
    for order, other in (("name", "-name"), ("-name", "name")):
        page = RunPage(items=(a_run(),), total=1, order=order)
        assert f'data-arg="{other}"' in run_list.runs_table(page, (), NOW_MS)


def test_the_order_that_a_query_asks_for_is_the_one_that_is_marked(embedded: Store) -> None:
    for name, loss in (("a", 0.2), ("b", 0.1)):
        logged(embedded, name, [loss], [loss])
    page = embedded.runs(query="val.best < 1 order by val.best desc", order="name")
    assert [run.name for run in page.items] == ["a", "b"] and page.order == "-val.best"
    table = run_list.runs_table(page, (), NOW_MS)
    assert re.search(r'aria-sort="descending"[^>]*><button[^>]*data-arg="val.best">Best loss', table)
    assert "sorted-by" not in table
    table = run_list.runs_table(embedded.runs(query="order by config.lr"), (), NOW_MS)
    assert "Sorted by config.lr, rising, as the query says." in table and 'aria-sort="ascending' not in table


def test_a_ticked_run_is_ticked() -> None:
    page = RunPage(items=(a_run(),), total=1)
    assert "checked" not in run_list.runs_table(page, (), NOW_MS)
    assert "checked" in run_list.runs_table(page, (a_run().id,), NOW_MS)


def test_the_last_step_stands_in_a_node_of_its_own() -> None:
    assert '<span data-testid="last-step">step 9</span>' in head(snapshot(), NOW_MS)


def test_unmapped_and_unjudged_series_are_shown_as_such() -> None:
    body = run_page.series(snapshot(("train/loss", "loss", "tokens_seen")))
    assert "training loss, not judged" in body
    assert ">unmapped<" in body


def test_findings_that_fire_are_cards_and_resolved_ones_are_rows() -> None:
    over = finding("spike", state=FindingState.RESOLVED, severity=Severity.WARNING, resolved_step=8.0)
    body = run_page.findings(snapshot(findings=(over, finding())))
    assert body.count('data-testid="finding"') == 1
    assert "Resolved (1)" in body


def test_findings_that_came_and_went_are_folded_behind_the_five_that_matter() -> None:
    over = [
        finding("spike", number=n, fired_step=float(n), resolved_step=90.0 + n, state=FindingState.RESOLVED,
                severity=Severity.WARNING, explanation=f"seen {n}")
        for n in range(2, 10)
    ]  # fmt: skip
    shown, _, hidden = run_page.findings(snapshot(findings=(finding(), *over))).partition("data-panel")
    assert [n for n in range(2, 10) if f"seen {n}" in shown] == [6, 7, 8, 9]
    assert "and 4 more, all resolved" in shown
    assert [n for n in range(2, 10) if f"seen {n}" in hidden] == [2, 3, 4, 5]
    assert 'data-opens="resolved"' in shown and "hidden>" in hidden


def test_what_the_curves_did_stands_in_a_line_under_the_chart() -> None:
    fell = Regime(series="training", kind="fall", begin=0, end=4200, start=2.3, stop=0.4)
    flat = Regime(series="training", kind="flat", begin=4200, end=1e6, start=0.4, stop=0.4)
    line = run_page.course(replace(snapshot(), regimes=(fell, flat)))
    assert "training: falls from 2.3 to 0.4 until 4,200, flat at 0.4 until 1,000,000" in line
    assert not run_page.course(snapshot())


def test_the_gap_the_rate_and_what_the_loss_means_stand_under_the_chart_and_among_the_numbers() -> None:
    gap = Gap(now=0.12, train=0.4, val=0.52, share=0.3, before=0.05, since_step=300, trend="widening")
    rate = Rate(series="validation", start=2.3, end=0.5, half_life=139.2, heading=0.49)
    best = Recommendation(best_val_loss=0.5, best_step=900)
    seen = snapshot(loss={"kind": "cross_entropy", "params": {"classes": 10}}, recommendation=best)
    seen = replace(seen, progress=Progress(gap=gap, rate=rate))
    under, numbers = run_page.course(seen), head(seen, NOW_MS)
    assert (
        "Generalisation gap: 0.12 (validation 0.52, training 0.4, +30% of training), widening: 0.05 at step 300."
        in under
    )
    assert "half-life 139 steps, heading for 0.49." in under
    assert "The best loss, 0.5, means: the right class gets a probability of 0.6065 (geometric mean)" in under
    assert "<dt>gap</dt>" in numbers and "139 steps" in numbers
    assert "<dt>gap</dt>" not in head(snapshot(), NOW_MS)


def test_the_list_has_columns_for_the_gap_and_the_half_life() -> None:
    shown = run_list.runs_table(
        RunPage(items=(a_run(gap=0.1234, half_life=139.2), a_run(id="b" * 32)), total=2), (), NOW_MS,
        chosen=("gap", "half_life"),
    )  # fmt: skip
    assert ">Gap</" in shown and "0.123" in shown and "139" in shown
    assert run_list.COLUMNS["gap"].next("-gap") == "gap"


def test_what_to_try_is_listed_and_escaped() -> None:
    tried = ({"text": "dropout (<b> is 0): try 0.1.", "source": "Srivastava et al. 2014"},)
    said = run_page.remedies(replace(snapshot(), remedies=tried))
    assert "Try first: dropout (&lt;b&gt; is 0): try 0.1. (Srivastava et al. 2014)" in said
    assert not run_page.remedies(snapshot())


def test_a_comparison_says_what_the_seed_explains() -> None:
    def seen(i: int, lr: float, best: float) -> RunSnapshot:
        config = {"lr": lr, "seed": i}
        return snapshot(
            id=f"{i:032x}", name=f"run {i}", config=config, recommendation=Recommendation(best_val_loss=best)
        )  # fmt: skip

    runs = [seen(1, 0.1, 0.50), seen(2, 0.1, 0.52), seen(3, 0.01, 0.51), seen(4, 0.01, 0.53)]
    body = comparison.results(runs, NOW_MS)
    assert "lr 0.1 against lr 0.01: best loss 0.01 apart, smaller than the seed noise" in body
    assert 'data-testid="seeds"' not in comparison.results(runs[1:3], NOW_MS)


def test_what_makes_the_loss_stands_under_the_chart_and_names_are_escaped() -> None:
    said = run_page.examples(replace(snapshot(), examples={"text": ["Worst of 2 slices: <b>night</b> with 0.9."]}))
    assert "<li>Worst of 2 slices: &lt;b&gt;night&lt;/b&gt; with 0.9.</li>" in said
    assert not run_page.examples(snapshot())


def test_what_was_set_aside_is_counted_on_the_page() -> None:
    seen = snapshot(warnings={"late": 3, "converted": 1, "dropped": 0})
    body = run_tabs.events(seen, (), UTC)
    assert "late" in body
    assert "converted" in body
    assert "dropped" not in body


def test_each_counter_has_its_words() -> None:
    assert set(SET_ASIDE) == set(get_args(Counter))
    body = run_tabs.events(snapshot(warnings=dict.fromkeys(get_args(Counter), 1) | {"another client's": 2}), (), UTC)
    for meaning in SET_ASIDE.values():
        assert str(escape(meaning)) in body
    assert "another client&#39;s" in body or "another client&#x27;s" in body


def test_only_what_differs_is_in_the_table_of_differences() -> None:
    one, two = (
        a_run(config={"lr": 0.1, "net": {"width": 8}}),
        a_run(config={"lr": 0.1, "net": {"width": 16}, "seed": None}),
    )
    body = comparison.differences([one, two])
    assert "net.width" in body
    assert "seed" in body
    assert "<code>lr</code>" not in body
    assert "2 of 3 keys differ" in body


def test_a_cell_carries_its_columns_title_where_a_row_stands_as_a_block_on_a_narrow_screen() -> None:
    wide = pieces.table(("run", "<b>", "loss"), [("a", "b", "c")], numeric=(2,))
    assert 'class="lm-table lm-stack"' in wide
    assert '<td data-head="&lt;b&gt;">b</td><td class=lm-num data-head="loss">c</td>' in wide
    assert "data-head" not in pieces.table(("key", "value"), [("a", "b")])
    assert "lm-stack" not in comparison.differences([a_run(config={"lr": 1}), a_run(config={"lr": 2})])


def test_a_forecast_ends_at_a_whole_step() -> None:
    told = Forecast(
        steps=387.5, from_step=775.0, level=0.4, expected=0.39, low=0.2, high=0.6, gain=0.01, gain_low=0.0,
        gain_high=0.2, buckets_since_best=0,
    )  # fmt: skip
    rec = Recommendation(forecast=told)
    assert "in 388 more steps" in pieces.banner(rec, live=True)
    assert forecast_caption(rec) == ("forecast: 0.39 at step 1,163, 90% between 0.2 and 0.6",)


def test_what_is_known_of_the_loss_is_told_key_by_key() -> None:
    known = {"name": "huber", "range": [0.0, None], "params": {"delta": 1.0, "weights": None}, "traps": []}
    body = run_tabs.notes(a_run(loss=known), "")
    assert "<code>loss.params.delta</code></td><td>1</td>" in body
    assert "<code>loss.range</code></td><td>0; –</td>" in body
    assert "weights" not in body
    assert "traps" not in body


def test_a_run_that_ended_without_a_point_waits_for_none() -> None:
    assert "No point has arrived yet" in run_page.no_curves(snapshot(()))
    assert "No point was logged" in run_page.no_curves(snapshot((), status=RunStatus.FINISHED))


def test_runs_of_the_same_name_are_told_apart() -> None:
    one, two = a_run(id="a" * 32), a_run(id="b" * 32)
    assert comparison.labels([one, two, a_run(name="other")]) == ("a run aaaaaa", "a run bbbbbb", "other")


def test_losses_are_overlaid_whatever_each_run_calls_them() -> None:
    one, two = snapshot(("loss", "val_loss")), snapshot(("train/loss", "eval_loss"))
    assert comparison.metrics([one, two])[:2] == ("validation loss", "training loss")
    found = comparison.series_for(two, "validation loss")
    assert found is not None
    assert found.key == "eval_loss"


def test_the_chance_level_comes_from_the_runs_own_loss() -> None:
    assert run_page.references(a_run(loss={"chance_level": 2.303, "floor": 0, "name": "CrossEntropy"})) == {
        "chance level": 2.303, "floor": 0.0,
    }  # fmt: skip
    assert run_page.references(a_run()) == {}


def test_a_thinned_run_says_how_many_of_its_points_are_kept() -> None:
    assert "<dd>20</dd>" in head(snapshot(), NOW_MS)
    assert "<dd>20 of 120 kept</dd>" in head(snapshot(warnings={"thinned": 100}), NOW_MS)


def test_how_long_a_projects_runs_are_kept_stands_over_its_list(
    embedded: Store, show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged(embedded, "one", [1.0, 0.5], project="p")
    logged(embedded, "other", [1.0, 0.5], project="q")
    monkeypatch.setenv("MONITOR_RETENTION_DAYS", '{"p": 30}')
    monkeypatch.setenv("MONITOR_DOWNSAMPLE_DAYS", '{"p": 1}')
    assert "Ended runs are downsampled after 1 day and deleted after 30 days" in show(project="p")
    assert 'data-testid="keeping"' not in show(project="q")
    assert 'data-testid="keeping"' not in show()


def test_a_run_without_a_loss_is_not_said_to_be_fine() -> None:
    for seen in (snapshot(("tokens_seen",)), snapshot(("tokens_seen",), status=RunStatus.FINISHED)):
        advice = run_page.advice(seen)
        assert "Not judged" in advice and "lm-act-none" in advice
        assert "o reason to stop" not in advice and "lm-act-continue" not in advice
        assert "not judged" in head(seen, NOW_MS)
    assert "Nothing to judge" in run_page.advice(snapshot(()))
    assert "lm-act-none" in run_page.advice(snapshot())  # too early to tell
    assert "lm-act-continue" in run_page.advice(snapshot(verdict="healthy"))


def test_what_failed_is_never_green() -> None:
    seen = snapshot(verdict="improving", status=RunStatus.FAILED)
    page = RunPage(items=(seen.info,), total=1)
    bodies = (
        head(seen, NOW_MS), run_page.advice(seen), run_list.runs_table(page, (), NOW_MS),
        comparison.results([seen], NOW_MS),
    )  # fmt: skip
    for body in bodies:
        assert "lm-good" not in body and "lm-act-continue" not in body
    assert "lm-good" in run_list.runs_table(RunPage(items=(a_run(verdict="improving"),), total=1), (), NOW_MS)


def test_a_run_that_is_over_is_not_told_what_to_do() -> None:
    told = Recommendation(action=Action.STOP, reason="It overfits.")
    over = run_list.runs_table(
        RunPage(items=(a_run(recommendation=told, status=RunStatus.FINISHED),), total=1), (), NOW_MS
    )
    assert "Stop was advised" in over and "</i>Stop<" not in over
    assert "</i>Stop<" in run_list.runs_table(RunPage(items=(a_run(recommendation=told),), total=1), (), NOW_MS)


def test_what_a_query_sorts_by_is_a_column(embedded: Store, show: Show) -> None:
    for name, rate in (("a", 0.25), ("b", 0.125)):
        logged(embedded, name, [1.0], config={"lr": rate})
    logged(embedded, "c", [1.0])
    table = run_list.runs_table(embedded.runs(query="order by config.lr"), (), NOW_MS)
    assert ">config.lr</th>" in table
    assert (
        table.index(">0.125</td>")
        < table.index(">0.25</td>")
        < table.index('data-head="config.lr" data-nothing>–</td>')
    )
    assert ">0.125</td>" in show(q="order by config.lr")
    assert "UTC" in run_list.runs_table(embedded.runs(query="order by created"), (), NOW_MS)


def test_a_narrowed_list_says_how_many_runs_are_left(embedded: Store, show: Show) -> None:
    for i in range(3):
        logged(embedded, f"run {i}", [1.0], project="p")
    assert "2 runs match these filters." in show(q='name in ("run 0", "run 1")')
    assert "1 run matches these filters." in show(q="run 2", project="p")
    assert 'data-testid="matches"' not in show(project="p")


@given(st.lists(st.floats(), min_size=2, max_size=40))
def test_a_sparkline_is_drawn_within_its_frame_whatever_the_range(values: list[float]) -> None:
    svg = pieces.sparkline(values, ())
    assert not re.search(r' d="[^"]*(nan|inf)', svg)
    ys = [float(y) for y in re.findall(r"[ML][-\d.]+ ([-\d.]+)", svg)]
    assert all(0 <= y <= 30 for y in ys)


def test_the_environment_has_a_tab_of_its_own(embedded: Store, show: Show) -> None:
    feed = logged(embedded, "one", [1.0])
    feed.event(
        "capture", git={"commit": "abc", "dirty": True}, argv=["train.py", "--lr", "<1>"], packages={"torch": "2.1"}
    )
    body = show("run", id=feed.run_id, tab="Environment")
    for piece in ("git.commit", "abc", "train.py --lr &lt;1&gt;", "Packages (1)", "torch", "2.1"):
        assert piece in body
    assert "git.commit" not in show("run", id=feed.run_id, tab="Events")


def test_a_run_that_logs_only_its_goal_is_judged_and_shows_it() -> None:
    told = Recommendation(reason="Fine.", goal="accuracy", best_goal=0.91, best_goal_step=40.0)
    seen = snapshot(("accuracy",), recommendation=told, verdict="healthy")
    assert "lm-act-continue" in run_page.advice(seen) and ">0.91<" in run_page.advice(seen)
    assert "<dt>accuracy</dt><dd>0.5</dd>" in head(seen, NOW_MS)
    assert "goal" in run_page.series(seen)


def test_each_role_has_its_words_and_its_place() -> None:
    series = tuple(replace(snapshot().series[0], key=str(role), role=role) for role in Role)
    seen = replace(snapshot(), series=series)
    assert len(run_page.by_interest(series)) == len(Role)
    assert run_page.series(seen)


def test_the_run_page_says_what_the_series_were_taken_for() -> None:
    seen = snapshot(("acc",), reading={"line": "goal: acc (higher is better)", "goal": "acc", "rises": True})
    assert "goal: acc (higher is better)" in head(seen, 0)
    assert run_page.describe(seen).startswith("Acc up to step")


def test_a_verdict_on_nothing_is_neutral_on_the_page_and_in_the_list() -> None:
    seen = snapshot(verdict="not_judged", headline="Not judged: 800 training points.")
    assert "lm-good" not in head(seen, 0) + run_page.advice(seen)
    assert "not judged" in head(seen, 0)


def test_the_list_shows_goals_with_direction_and_step_where_a_run_has_one() -> None:
    rising = a_run(goal_best=0.93, goal_best_step=900, reading={"goal": "val/acc", "rises": True})
    falling = a_run(id="b" * 32, goal_best=0.02, goal_best_step=30, reading={"goal": "wer", "rises": False})
    body = run_list.runs_table(RunPage(items=(rising, falling), total=2), (), 0)
    assert 'data-arg="-goal"' in body
    assert "0.93 ↑" in body and "@ 900" in body and "0.02 ↓" in body
    assert "-goal" not in run_list.runs_table(RunPage(items=(a_run(),), total=1), (), 0)


def test_a_histogram_and_a_table_say_what_they_hold() -> None:
    made = replace(a_medium("histogram"), key="weights", caption="")
    body = {"edges": [0.0, 1.0, 3.0], "counts": [1, 3], "n": 4, "mean": 1.5, "std": 0.5, "not_finite": 2}
    card = media.gallery("r", [made], {1: body}, 7)
    assert card.count("<rect") == 2
    assert "4 values, mean 1.5, std 0.5, 2 not finite" in card
    assert "and 7 more" in card
    table = {"columns": ["a", "b"], "rows": [[i, None] for i in range(150)]}
    assert "150 rows, the first 100 shown" in media.gallery("r", [a_medium("table")], {1: table}, 0)


def test_a_run_that_is_over_is_not_too_early_to_tell() -> None:
    over = a_run(status=RunStatus.FINISHED, verdict="too_early", last_step=3)
    assert "not judged" in pieces.verdict(over)
    assert "nothing logged" in pieces.verdict(replace(over, last_step=None))
    judged = replace(over, recommendation=Recommendation(best_step=2, best_val_loss=1.0))
    assert "too short" in pieces.verdict(judged)
    assert "too early to tell" in pieces.verdict(replace(over, status=RunStatus.RUNNING))


def test_a_group_shows_the_mean_gap_and_half_life_where_their_columns_are_chosen() -> None:
    runs = tuple(
        a_run(id=f"{i:032x}", gap=gap, half_life=half) for i, (gap, half) in enumerate([(0.2, 100.0), (0.4, None)])
    )
    page = RunPage(items=runs, total=2)
    table = run_list.groups_table([fields.RunsOf("a", runs)], page, "group", ("gap", "half_life", "last_step"), "")
    assert "<th" in table and ">Gap<" in table and ">Half-life<" in table and "Last step" not in table
    assert "± 0.14<" in table and "over 1 run" in table


def test_the_best_run_of_a_group_is_that_of_the_lowest_loss_else_of_the_best_goal() -> None:
    def best(**of: tuple[float, float]) -> str:
        runs = []
        for i in range(2):
            values = {name: pair[i] for name, pair in of.items() if name not in ("loss", "rises")}
            advice = Recommendation(best_val_loss=of["loss"][i]) if "loss" in of else Recommendation()
            reading = {"goal": "x", "rises": bool(of.get("rises", (1, 1))[i])}
            runs.append(a_run(id=f"{i:032x}", name=f"run-{i}", recommendation=advice, reading=reading, **values))
        page = RunPage(items=(*runs, a_run(id="c" * 32)), total=3)
        table = run_list.groups_table([fields.RunsOf("a", tuple(runs))], page, "group", (), "")
        assert re.search(r"<td[^>]*>2<", table)  # runs of the group, not of the page
        return ",".join(re.findall(r"run-\d", re.sub(r"<[^>]+>", "", table)))

    assert best(loss=(0.5, 0.2)) == best(loss=(0.5, 0.2), goal_best=(0.9, 0.1)) == "run-1"
    assert best(goal_best=(0.9, 0.1)) == "run-0"
    assert best(goal_best=(0.9, 0.1), rises=(0, 0)) == "run-1"


def test_the_list_shows_some_tags_of_a_run_and_how_many_more_it_has() -> None:
    def shown(many: int) -> str:
        page = RunPage(items=(a_run(tags={f"tag-{i}": "" for i in range(many)}),), total=1)
        table = re.sub(r"<[^>]+>", " ", run_list.runs_table(page, (), NOW_MS, chosen=("tags",)))
        return " ".join(re.findall(r"tag-\d|\+\d+", table))

    assert shown(run_list.TAGS) == "tag-0 tag-1 tag-2 tag-3"
    assert shown(run_list.TAGS + 3) == "tag-0 tag-1 tag-2 tag-3 +3"


def test_the_nearest_runs_are_links_whatever_quotes_their_names_have() -> None:
    names = ("net' (00000000) or 'x", 'a"b')
    near = f"{names[0]!r} (abcdef12) or {names[1]!r} (12345678)"
    assert re.findall(r'href="[^"]*?([0-9a-f]{8})"', run_page.nearest(near)) == ["abcdef12", "12345678"]
    assert run_page.nearest("somebody") == ""


def test_values_that_look_alike_do_not_differ() -> None:
    same = {"lr": 1, "on": True, "z": math.nan}
    assert pieces.odd_keys([same, {"lr": 1.0, "on": True, "z": math.nan}]) == ([], 3)
