"""What the configuration of many runs did: a scatter, parallel coordinates, importance; and what they ran in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from dashboard import address, data, fields, live, viewer
from dashboard import importance as importances
from dashboard.charts import sweep
from dashboard.markup import comparison, pieces, run_tabs
from dashboard.plot import plot
from monitor.domain import Extremes, RunInfo, RunSnapshot
from monitor.domain.formats import count, plain
from monitor.errors import MonitorError

_RESULTS: Final = ("val.best", "goal", "last_step")
_AXES: Final = 8
"""Values of the configuration that parallel coordinates show at once."""
_ENVIRONMENTS: Final = 12
"""Runs whose environments are read next to each other."""


def scatter(seen: list[RunSnapshot], group: str | None) -> None:
    """Any value against any result, a point a run."""
    runs, metrics = _runs(seen)
    configs = _varying(runs, metrics)
    results = _results(seen)
    with st.container(horizontal=True, gap="medium"):
        x = _choose("Horizontal", "sx", [*configs, "last_step", *results], configs[0] if configs else "last_step")
        y = _choose("Vertical", "sy", results, results[0])
    groups = fields.grouped(runs, metrics, group) if group is not None else ()
    named = {run.id: plain(each.value) for each in groups for run in each.runs}
    values = [
        (run.name, fields.value(run, metrics[run.id], x), fields.value(run, metrics[run.id], y), named.get(run.id, ""))
        for run in runs
    ]
    look = viewer.look("step", "auto", revision=f"{x} {y}")
    figure = sweep.scatter_figure(values, look, x_title=comparison.title_of(x), y_title=comparison.title_of(y))
    plot(figure, key="scatter", alt=f"{comparison.title_of(y)} over {comparison.title_of(x)} of {len(runs)} runs")
    drawn = sum(len(trace["x"]) for trace in figure.traces if isinstance(trace["x"], list))
    without = f"; {count(len(runs) - drawn, 'run')} without one of the two" if drawn < len(runs) else ""
    live.html(pieces.caption((f"{count(drawn, 'run')}{without}",)), key="scatter-caption")


def parallel(seen: list[RunSnapshot]) -> None:
    """A line a run over its configuration."""
    runs, metrics = _runs(seen)
    configs, results = _varying(runs, metrics), _results(seen)
    if not configs:
        live.html(pieces.quiet("No value of the configuration differs between these runs."), key="no-parallel")
        return
    with st.container(horizontal=True, gap="medium"):
        address.begin("axes", configs[:_AXES], configs)
        axes = st.multiselect("Axes", configs, key="axes", format_func=comparison.title_of, width=560)
        address.keep("axes", axes, configs[:_AXES])
        result = _choose("Colour by", "sy", results, results[0])
    columns = {comparison.title_of(f): [fields.value(run, metrics[run.id], f) for run in runs] for f in axes}
    outcome = [fields.value(run, metrics[run.id], result) for run in runs]
    look = viewer.look("step", "auto", revision=result)
    figure = sweep.parallel_figure(columns, outcome, look, title=comparison.title_of(result))
    plot(figure, key="parallel", alt=f"{comparison.title_of(result)} of {len(runs)} runs by their configuration")
    live.html(
        pieces.caption(("drag along an axis to keep only the runs between; drag its title to move it",)), key="pc"
    )


def importance(seen: list[RunSnapshot]) -> None:
    """What goes along with a result, as rank correlation."""
    runs, metrics = _runs(seen)
    results = _results(seen)
    result = _choose("Result", "sy", results, results[0])
    columns = {f: [fields.value(run, metrics[run.id], f) for run in runs] for f in _varying(runs, metrics)}
    outcome = [fields.value(run, metrics[run.id], result) for run in runs]
    found = importances.ranked(columns, outcome)
    live.html(comparison.importance(found, comparison.title_of(result), len(runs)), key="importance")


def environment(seen: list[RunSnapshot]) -> None:
    """What the runs ran in, where it differs."""
    some = [s.info for s in seen[:_ENVIRONMENTS]]
    try:
        captured = [run_tabs.about(data.events(run)) for run in some]
    except MonitorError as error:
        live.html(pieces.problem(error), key="no-environment")
        return
    said = f"Of the first {len(some)} runs. " if len(seen) > len(some) else ""
    live.html(comparison.environments(some, captured, said), key="environments")


def _runs(seen: Sequence[RunSnapshot]) -> tuple[list[RunInfo], dict[str, dict[str, Extremes]]]:
    """The runs, and what their series came to."""
    known = {
        s.info.id: {
            each.key: Extremes(
                last=each.last, min=each.min, min_step=each.min_step, max=each.max, max_step=each.max_step
            )
            for each in s.series
        }
        for s in seen
    }
    return [s.info for s in seen], known


def _varying(runs: Sequence[RunInfo], metrics: dict[str, dict[str, Extremes]]) -> list[str]:
    """The configuration's fields of which runs have more than one value; a run without any does not count."""
    known = {f: [fields.value(run, metrics[run.id], f) for run in runs] for f in fields.config_fields(runs)}
    return [f for f, values in known.items() if len({plain(v) for v in values if v is not None}) > 1]


def _results(seen: Sequence[RunSnapshot]) -> list[str]:
    """What a run can be judged by: its best loss, its goal, or any metric."""
    keys = list(dict.fromkeys(s.key for each in seen for s in each.series))
    best = [f for f in _RESULTS if any(fields.value(s.info, {}, f) is not None for s in seen)]
    return [*best, *(fields.named("metric", key, what) for key in keys for what in fields.WHAT)]


def _choose(label: str, key: str, options: Sequence[str], usual: str) -> str:
    """One of several fields; kept in the URL."""
    address.begin(key, (usual,), options, single=True)
    if st.session_state.get(key) not in options:
        st.session_state[key] = usual
    chosen = st.selectbox(label, list(options), key=key, format_func=comparison.title_of, width=280)
    address.keep(key, [chosen], (usual,))
    return chosen
