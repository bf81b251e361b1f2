"""The curves of several runs: one metric in a large chart, several as panels, groups of runs as bands."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
import streamlit as st

from dashboard import address, data, fields, live, panels, readings, skill, viewer
from dashboard.charts import axes, grid, overlay, sweep
from dashboard.charts.axes import XAxis
from dashboard.charts.curves import captions, weight_of
from dashboard.charts.figure import Figure
from dashboard.charts.grid import Line
from dashboard.markup import comparison, pieces
from dashboard.pages import widgets
from dashboard.plot import plot
from dashboard.theme import Palette
from monitor.domain import Curve, RunSnapshot, inert
from monitor.domain.formats import count, plain
from monitor.errors import MonitorError
from monitor.roles import Role

_ACROSS: Final[tuple[XAxis, ...]] = ("step", "epoch", "relative")
_COUNTER: Final = re.compile(r"token|sample|example|image|frame|env_step|sequence|word", re.IGNORECASE)
"""What the name of a series has in it that counts what was seen, and can stand on the x axis."""
_SHOWN: Final = {"relative": "elapsed"}
PANELS: Final = "compared-panels"
FEW: Final = 6
"""Lines of a panel up to which the raw points stay visible under the smoothed ones."""


def show(seen: list[RunSnapshot], group: str | None) -> None:
    """Draw the curves under their controls."""
    metrics = comparison.metrics(seen)
    if not metrics:
        live.html(pieces.notice("info", "Nothing to draw yet.", "None of these runs has logged a point."), key="empty")
        return
    with st.container(key="compared"):
        with st.container(key="compared_controls", horizontal=True, vertical_alignment="top", gap="medium"):
            address.begin("metric", metrics[:1], metrics)
            chosen = st.multiselect("Metrics", metrics, format_func=inert, key="metric", width=360) or [metrics[0]]
            address.keep("metric", chosen, metrics[:1])
            smoothing = st.slider("Smoothing", 0.0, 0.99, 0.6, 0.01, key="smooth", bind="query-params", width=200)
            scale = widgets.one_of("Axis", ("auto", "linear", "log"), "scale")
            across = widgets.one_of("Across", (*_ACROSS, *_counters(seen)), "x", shown=lambda a: _SHOWN.get(a, a))
            y_axis, no_skill = _y_axis(seen, chosen[0])
        try:
            if len(chosen) == 1 and group is None and across in _ACROSS:
                axis = "linear" if y_axis == "skill" else scale
                _overlay(seen, chosen[0], across, float(smoothing), axis, y_axis, no_skill)
            else:
                _panels(seen, chosen, across, float(smoothing), scale, group, as_skill=y_axis == "skill")
        except MonitorError as error:
            live.html(pieces.problem(error), key="no-curve")


def _counters(seen: Sequence[RunSnapshot]) -> tuple[str, ...]:
    """Series that count what was seen, such as tokens: those that most runs have, if at least two do."""
    keys = Counter(s.key for each in seen for s in each.series if _COUNTER.search(s.key) and (s.min or 0) >= 0)
    return tuple(key for key, runs in sorted(keys.items(), key=lambda kn: (-kn[1], kn[0])) if runs > 1)[:4]


def _overlay(
    seen: list[RunSnapshot], metric: str, x_axis: XAxis, smoothing: float, scale: str, y_axis: str,
    notes: tuple[str, ...],
) -> None:  # fmt: skip
    """One metric of all runs on the same axes."""
    places, curves = _curves(seen, metric, x_axis, smoothing, as_skill=y_axis == "skill")
    look = viewer.look(x_axis, scale, revision=f"{metric} {x_axis} {scale} {y_axis}", quantity=y_axis)
    title = f"{metric}, as skill" if y_axis == "skill" else metric
    made_of = (title, x_axis, scale, y_axis, tuple(name for name, _ in curves), tuple(curve for _, curve in curves),
               tuple(places), look.palette, look.offset_ms, notes)  # fmt: skip

    def drawn() -> tuple[Figure, tuple[str, ...]]:
        figure = overlay.overlay_figure(curves, look, title=title, places=places)
        return figure, skill.limit(figure, [c for _, c in curves]) if y_axis == "skill" else notes

    figure, notes = readings.once("overlay", made_of, drawn)
    plot(figure, key="overlay", alt=f"{metric} of {len(curves)} runs")
    resolved = axes.resolve_scale([c for _, c in curves], look.scale)
    told = captions(curves, resolved)
    if len(curves) > comparison.MANY:  # a phrase a run would be a page of its own
        told = (f"{len(curves)} runs", *captions([("all", overlay.together([c for _, c in curves]))], resolved))
    live.html(pieces.caption((*told, *notes)), key="caption")


def _panels(
    seen: list[RunSnapshot], metrics: list[str], across: str, smoothing: float, scale: str, group: str | None, *,
    as_skill: bool,
) -> None:  # fmt: skip
    """A panel a metric: a line a run, or a band a group of runs."""
    x_axis: XAxis = across if across in _ACROSS else "step"
    look = viewer.look(x_axis, scale, revision="")
    drawable = [s for s in seen if across == x_axis or any(each.key == across for each in s.series)]
    without, seen = len(seen) - len(drawable), drawable
    names, of_run = _lines_of(seen, group)
    lines: dict[str, list[Line]] = {}
    made = []
    for metric in metrics:
        places, curves = _curves(seen, metric, x_axis, smoothing, as_skill=as_skill)
        peers = [curve for _, curve in curves]
        drawn = [grid.line_of(c, look.palette.info, look, peers=peers) for c in peers]
        if across != x_axis:
            drawn = _counted(seen, places, drawn, across)
        lines[metric] = _joined(places, drawn, of_run, look.palette, banded=group is not None)
        log = axes.resolve_scale(peers, scale) == "log"
        made.append(grid.Panel(metric, inert(metric), "", f"{metric} of {len(curves)} runs", log))
    live.html(comparison.legend(names, [overlay.line_of(i, look.palette) for i in range(len(names))]), key="legend")
    section = grid.Section("Metrics", tuple(made), large=len(made) == 1)
    panels.show([section], lines, key=PANELS, x_axis=across)
    said = "mean ± standard deviation of the runs of each group" if group is not None else "a line a run"
    left = (f"{count(without, 'run')} without {inert(across)} left out",) if without else ()
    live.html(pieces.caption((said, count(len(seen), "run"), *left)), key="caption")


def _lines_of(seen: Sequence[RunSnapshot], group: str | None) -> tuple[list[str], list[int]]:
    """The names of the lines, and which of them each run belongs to."""
    runs = [s.info for s in seen]
    if group is None:
        return list(comparison.labels(runs)), list(range(len(runs)))
    groups = fields.grouped(runs, {}, group)
    names = [f"{plain(g.value) if g.value is not None else 'no value'} ({len(g.runs)})" for g in groups]
    places = {run.id: i for i, g in enumerate(groups) for run in g.runs}
    return names, [places[run.id] for run in runs]


def _joined(
    places: Sequence[int], drawn: Sequence[Line], of_run: Sequence[int], palette: Palette, *, banded: bool
) -> list[Line]:
    """The lines as the panel has them: each in its colour, or those of a group as a band."""
    found: list[Line] = []
    for name in sorted({of_run[place] for place in places}):
        own = [line for place, line in zip(places, drawn, strict=True) if of_run[place] == name]
        colour, dash = overlay.line_of(name, palette)
        pattern = comparison.PATTERNS.get(dash, "")
        if banded:
            found.append(sweep.band(own, colour, pattern))
        else:
            found += [_coloured(line, colour, pattern, raw=len(places) <= FEW) for line in own]
    return found


def _coloured(line: Line, colour: str, dash: str, *, raw: bool) -> Line:
    """A line in its colour; many stand without the raw points under the smoothed ones."""
    if raw or line.smoothed is None:
        return Line(line.x, line.y, colour, dash, line.smoothed)
    return Line(line.x, line.smoothed, colour, dash)


def _counted(seen: Sequence[RunSnapshot], places: Sequence[int], drawn: Sequence[Line], counter: str) -> list[Line]:
    """Lines over steps as lines over a counter, such as tokens, whose curve says how far it was at a step."""
    read = data.curves([(seen[i].info, counter, 0.0) for i in places], x="step", width=data.COMPARED_WIDTH)
    return [
        Line(sweep.across(line.x, c.x, np.maximum.accumulate(c.y)), line.y, line.colour, line.dash, line.smoothed)
        for line, c in zip(drawn, read, strict=True)
    ]


def _curves(
    seen: Sequence[RunSnapshot], metric: str, x_axis: XAxis, smoothing: float, *, as_skill: bool
) -> tuple[list[int], list[tuple[str, Curve]]]:
    """The metric of each run that has it, in one request: its place among the runs, its label and its curve."""
    places, wanted = [], []
    for i, snapshot in enumerate(seen):
        found = comparison.series_for(snapshot, metric)
        if found is not None:
            noisy = found.role is not Role.VAL  # a validation is read point by point
            places.append(i)
            wanted.append((snapshot.info, found.key, weight_of(smoothing, found.count) if noisy else 0.0))
    labels = comparison.labels([s.info for s in seen])
    read = data.curves(wanted, x=x_axis, width=data.COMPARED_WIDTH)
    scored = as_skill and metric in comparison.LOSSES
    drawn = [skill.of_curve(c, run) if scored else c for c, (run, _, _) in zip(read, wanted, strict=True)]
    return places, [(labels[i], curve) for i, curve in zip(places, drawn, strict=True)]


def _y_axis(seen: list[RunSnapshot], metric: str) -> tuple[str, tuple[str, ...]]:
    """Loss or skill, offered for losses where every run has a skill score; else what to say of those that have none."""
    drawn = [s for s in seen if comparison.series_for(s, metric) is not None]
    roles = {found.role for s in drawn if (found := comparison.series_for(s, metric)) is not None}
    if not roles <= {Role.TRAIN, Role.VAL} or not any(skill.comparable(s.info) for s in drawn):
        return "loss", ()
    named = dict(zip(comparison.labels([s.info for s in drawn]), [s.info for s in drawn], strict=True))
    missing = skill.without(named)
    chosen = widgets.one_of("Show as", ("loss", "skill"), "y", help=skill.MEANING, disabled=bool(missing))
    if missing:
        return "loss", (f"no skill axis, since no chance level and floor are known for: {', '.join(missing)}",)
    return chosen, ()
