"""The tab of a run's page that shows every metric as a grid of panels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from dashboard import address, data, live, panels, plot, readings, viewer
from dashboard.charts import grid
from dashboard.charts.axes import Look, curve_x
from dashboard.charts.curves import weight_of
from dashboard.markup import pieces
from dashboard.pages.loss_chart import Looking
from monitor.domain import RunSnapshot, SeriesInfo
from monitor.errors import MonitorError
from monitor.roles import Role

KEY: Final = "panels"


def zoomed() -> None:
    """Keep a zoom that the reader made in a panel in the address, where the large chart finds it too."""
    asked = [span for changed, span in map(panels.zoomed, (KEY, "system")) if changed]
    if not asked:
        return
    address.write("zoom", plot.as_written(asked[-1]))


def show(seen: RunSnapshot, series: Sequence[SeriesInfo], looking: Looking, *, key: str = KEY) -> None:
    """Draw the panels.

    Args:
        series: what is drawn of it.
        looking: x axis, smoothing and zoom, which are those of the large chart.
    """
    if not series:
        said = "No metric has arrived yet; the first run.log({...}, step=step) appears here."
        if seen.info.status.ended:
            said = "No metric was logged."
        live.html(pieces.quiet(said), key="no-series")
        return
    sections = readings.once(f"{key} sections", (seen,), lambda: grid.sections(series))
    closed, pins = _kept(key, "closed", "closed"), _kept(key, "pins", "pin")
    search = panels.searched(key, st.query_params.get("series", ""))
    address.write("series", search)
    keys = panels.in_view(key, sections, closed, pins)
    look = viewer.look(looking.x_axis, "auto", revision="")
    how = (looking.x_axis, looking.smoothing, looking.span, looking.curves, look.palette, look.offset_ms)
    try:
        lines = readings.once(
            f"{key} lines", (seen, tuple(keys), how), lambda: _lines(seen, series, keys, looking, look)
        )
    except MonitorError as error:
        live.html(pieces.problem(error), key="no-panels")
        return
    panels.show(
        sections, lines, key=key, x_axis=looking.x_axis, window=looking.span, ignoring=looking.ignoring, pins=pins,
        closed=closed, search=search, finding=len(series) > 3, pinning=True,
    )  # fmt: skip


def _lines(
    seen: RunSnapshot, series: Sequence[SeriesInfo], keys: Sequence[str], looking: Looking, look: Look
) -> dict[str, list[grid.Line]]:
    """The lines of the panels in view, read in one request; of a zoom that part alone."""
    by_key = {s.key: s for s in series}
    lo, hi = (curve_x(x, look, looking.curves) for x in looking.span) if looking.span else (None, None)
    known = {} if looking.span else {curve.key: curve for curve in looking.curves}  # a long one costs most of a page
    wanted = [(seen.info, key, _weight(by_key[key], looking.smoothing)) for key in keys if key not in known]
    read = data.curves(wanted, x=looking.x_axis, width=data.SMALL_WIDTH, lo=lo, hi=hi) if wanted else ()
    found = known | {curve.key: curve for curve in read}
    colours = {Role.TRAIN: look.palette.train, Role.VAL: look.palette.val, Role.GOAL: look.palette.lines[2]}
    every = list(looking.curves) or list(read)
    return {
        key: [grid.line_of(found[key], colours.get(by_key[key].role, look.palette.info), look, peers=every)]
        for key in keys
    }


def _weight(series: SeriesInfo, smoothing: float) -> float:
    """Of the moving average; a validation is read point by point."""
    return 0.0 if series.role in (Role.VAL, Role.GOAL, Role.LR) else weight_of(smoothing, series.count)


def _kept(key: str, state: str, parameter: str) -> list[str]:
    """A list that the reader changes in the browser, kept in the address."""
    found = panels.kept(key, state, st.query_params.get_all(parameter))
    address.write(parameter, found)
    return found
