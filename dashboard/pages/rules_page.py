"""The page of rules: what each means, how it is set, and what another setting would have done to stored runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import streamlit as st

from dashboard import data, live, readings, viewer
from dashboard.charts import rules as charts
from dashboard.markup import pieces, rules_page
from dashboard.pages import rule_saving, rule_trial
from dashboard.plot import plot
from monitor.domain import Finding, Severity, formats
from monitor.domain.rules_version import RulesVersion
from monitor.errors import MonitorError
from monitor.rules import RulesConfig
from monitor.rules.config import UNITS
from monitor.rules.lab import backtest, examples
from monitor.rules.registry import all_rules
from monitor.rules.rule import Rule

_DRAWN: Final = 20
"""Runs of the picture of a trial."""


def page() -> None:
    """Draw the page; a setting or a query that cannot be used is one line."""
    viewer.title("Rules")
    live.html(pieces.head("Rules"), key="head")
    rule_saving.said()
    rules = {rule.spec.name: rule for rule in all_rules()}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        project = st.selectbox(
            "Project",
            data.projects(),
            index=None,
            placeholder="All projects",
            key="project",
            bind="query-params",
            width=220,
        )
        names = list(rules)
        name = st.selectbox("Rule", names, index=names.index("overfitting"), key="rule", bind="query-params", width=260)
    try:
        config = readings.api().rules(project)
        past = readings.keep(f"rules history {project}", lambda: readings.api().rules_history(project)).value or ()
        _rule(rules[name], config, rule_saving.scope(project), past)
        live.html(pieces.heading("All rules") + rules_page.every(list(rules.values()), config), key="every")
        found = rules_page.history(past, readings.now_ms(), viewer.zone())
        none = "Nothing yet. Each start of a server with other rules, and each saved change, is written down here."
        live.html(pieces.heading("History") + (found or pieces.quiet(none)), key="history")
    except MonitorError as error:
        live.html(pieces.problem(error, testid="rules-error"), key="error")


def _rule(rule: Rule, config: RulesConfig, project: str | None, past: Sequence[RulesVersion]) -> None:
    """One rule: meaning and thresholds, its example, and the form to try a change."""
    name = rule.spec.name
    live.html(rules_page.facts(rule, config) + rules_page.meaning(rule), key="meaning")
    live.html(rules_page.thresholds(rule, config), key="thresholds")
    changed = rules_page.history(past, readings.now_ms(), viewer.zone(), name)
    if changed:
        live.html(pieces.heading("Changes of this rule") + changed, key="changes")
    rule_saving.kept(name, project)
    live.html(pieces.heading("Try a change"), key="try-head")
    changes, query = _form(rule, config)
    given = {**config.overrides.get(name, {}), **changes}
    then = RulesConfig.from_mapping({**config.overrides, name: given})
    _example(name, config, then)
    if then.hash == config.hash:
        said = "Change a value to see what it would have done to the newest ended runs, and to save it then."
        live.html(pieces.quiet(said), key="none")
        return
    _trial(name, config, then, project, query)
    live.html(pieces.heading("Save this change"), key="save-head")
    rule_saving.offer(name, changes, config, project)


def _form(rule: Rule, config: RulesConfig) -> tuple[Mapping[str, object], str]:
    """What the reader would have otherwise, and the query for the runs to try it on."""
    name, chosen = rule.spec.name, config.settings[rule.spec.name]
    with st.form(f"try {name}", border=False):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            on = st.checkbox("Enabled", chosen.enabled, key=f"{name}.enabled", bind="query-params")
            limits = {
                key: st.number_input(
                    key, float(limit.low), float(limit.high), float(chosen.limits[key]), format="%g", help=limit.doc,
                    key=f"{name}.{key}", bind="query-params", width=150,
                )
                for key, limit in rule.spec.thresholds.items()
            }  # fmt: skip
            patience = st.number_input(
                "patience", 0.0, 1e15, chosen.patience, format="%g", placeholder="its own",
                key=f"{name}.patience", bind="query-params", width=150,
            )  # fmt: skip
            warmup = st.number_input(
                "warmup", 0.0, 1e15, chosen.warmup, format="%g", key=f"{name}.warmup", bind="query-params", width=150
            )
            unit = st.selectbox(
                "unit", UNITS, index=UNITS.index(chosen.unit), key=f"{name}.unit", bind="query-params", width=120
            )
            levels = [str(level) for level in Severity]
            severity = st.selectbox(
                "severity", levels, index=levels.index(chosen.severity), key=f"{name}.severity", bind="query-params",
                width=140,
            )  # fmt: skip
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            query = st.text_input(
                "Runs", placeholder="all, or a query such as val.best < 0.3", key="runs", bind="query-params", width=360
            )
            st.form_submit_button("Try it", type="primary")
    common = {"enabled": on, "patience": patience, "warmup": warmup, "unit": unit, "severity": severity}
    wanted: dict[str, object] = {**common, **limits}
    known = {key: getattr(chosen, key) for key in common} | dict(chosen.limits)
    return {key: value for key, value in wanted.items() if value != known[key]}, query


def _example(name: str, config: RulesConfig, then: RulesConfig) -> None:
    """The rule on its synthetic run, under the rules in effect and as tried."""
    trace = examples.FIRING.get(name)
    if trace is None:
        live.html(pieces.quiet("A rule of an installed package; it has no example here."), key="no-example")
        return
    sides = [("fires", config)] if then.hash == config.hash else [("in effect", config), ("as tried", then)]
    found = [(called, first) for called, rules in sides if (first := _first(name, trace, rules)) is not None]
    look = viewer.look("step", "linear", revision=name)
    figure = charts.example_figure(
        f"{name}: an example", examples.shown(trace, name), examples.levels(trace, name), found, look
    )
    said = [
        f"{called}: step {formats.step(first.fired_step)}; it began at {formats.step(first.onset_step)}"
        for called, first in found
    ]
    silent = [called for called, rules in sides if called not in dict(found)]
    plot(figure, key="rule_example", alt=f"An example of {name}; {', '.join(said) or 'it does not fire'}", bar=False)
    explained = [found[-1][1].explanation] if found else []
    live.html(
        pieces.caption([*said, *(f"{called}: silent" for called in silent), *explained], testid="example"), key="said"
    )


def _first(name: str, trace: examples.Trace, config: RulesConfig) -> Finding | None:
    return next((found for found in trace.diagnose(config).findings if found.rule == name), None)


def _trial(name: str, config: RulesConfig, then: RulesConfig, project: str | None, query: str) -> None:
    """Replay stored runs and show what differs."""
    bar = st.progress(0.0, "Replaying the newest ended runs")
    try:
        trial = rule_trial.tried(config, then, project, query, bar.progress)
    finally:
        bar.empty()
    if not trial.done:
        why = " ".join(trial.left_out) or "No ended run matches."
        live.html(pieces.notice("info", "There is nothing to try it on.", why, testid="no-trial"), key="no-trial")
        return
    _report(name, trial)


def _report(name: str, trial: rule_trial.Trial) -> None:
    done = trial.done
    rows = [backtest.summarise(done, k, [name])[0] for k in (0, 1)]
    newly = [run for run in done if name in run.sides[1].hits and name not in run.sides[0].hits]
    no_more = [run for run in done if name in run.sides[0].hits and name not in run.sides[1].hits]
    both = [run for run in done if all(name in side.hits for side in run.sides)]
    moved = [run for run in both if run.sides[0].hits[name].fired != run.sides[1].hits[name].fired]
    live.html(
        pieces.heading(f"Ended runs, replayed ({len(done):,})")
        + rules_page.summary(done)
        + rules_page.fired(rows[0], rows[1])
        + pieces.caption(trial.left_out),
        key="trial",
    )
    drawn = [*newly, *no_more, *moved][:_DRAWN]
    if not drawn:
        live.html(pieces.quiet("The rule fires on the same runs, at the same steps."), key="same")
        return
    places = [(run.name, _place(run.sides[0], name), _place(run.sides[1], name)) for run in drawn]
    plot(
        charts.trial_figure(places, viewer.look("step", "linear", revision=name)),
        key="trial_chart", alt=f"Where {name} fires on {len(drawn)} runs, in effect and as tried", bar=False,
    )  # fmt: skip
    live.html(
        rules_page.differing("Newly fires", newly, name)
        + rules_page.differing("No longer fires", no_more, name)
        + rules_page.differing("Fires at another step", moved, name),
        key="differing",
    )


def _place(side: backtest.Side, name: str) -> float | None:
    return side.hits[name].fired if name in side.hits else None


if __name__ == "__main__":
    page()
