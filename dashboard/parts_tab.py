"""The tab of a run's page that shows the parts of a composite loss."""

from __future__ import annotations

import streamlit as st

from dashboard import data, live, markup, parts_figure, reader, words
from dashboard import parts as composite
from dashboard.data import Snapshot
from dashboard.parts import PREFIX, Parts, Weighting
from dashboard.plot import plot
from monitor.domain import Curve, SeriesInfo
from monitor.errors import MonitorError
from monitor.roles import Role


def show(seen: Snapshot) -> None:
    """Draw the parts of a run that has some: shares or values, the weights where they changed, and a caption."""
    try:
        weights = composite.weighting(data.events(seen.info.id, seen.info.version), seen.info.loss)
        parts = _parts(seen, weights)
    except MonitorError as error:
        live.html(markup.notice("warning", *data.explain(error), testid="unreachable"), key="no-parts")
        return
    quantity = _quantity(parts)
    look = reader.look("step", "linear", revision=f"{seen.info.id} parts {quantity}")
    figure = parts_figure.shares_figure if quantity == "share" else parts_figure.values_figure
    plot(figure(parts, look), key="parts_chart", alt=f"The parts of the loss, as {quantity}: {', '.join(parts.values)}")
    said = "".join(f"<span>{markup.text(part)}</span>" for part in composite.captions(parts, weights))
    live.html(f'<div class="lm-caption" data-testid="parts-caption">{said}</div>', key="parts_caption")
    if weights.dynamic:
        plot(parts_figure.weights_figure(parts, look), key="weights_chart", alt="The weight of each part", bar=False)


def _quantity(parts: Parts) -> str:
    """Shares or values, as the reader chose; values where shares would not add up."""
    if parts.negative:
        which = ", ".join(
            f"{name} at {n:,} of {words.count(len(parts.x), 'drawn step')}" for name, n in parts.negative.items()
        )
        note = f"Negative: {which}. Shares would not add up, so the weighted parts are drawn as lines."
        live.html(markup.notice("info", "A part is negative.", note, testid="negative-parts"), key="negative_parts")
        return "value"
    return st.segmented_control(
        "Parts as", ("share", "value"), default="share", required=True, key="parts_as", bind="query-params",
        format_func={"share": "share of the sum", "value": "absolute values"}.__getitem__,
    )  # fmt: skip


def _parts(seen: Snapshot, weights: Weighting) -> Parts:
    curves = {s.key.removeprefix(PREFIX): _curve(seen, s) for s in seen.of_role(Role.PART)}
    total = seen.judged(Role.TRAIN)
    return composite.aligned(curves, weights, None if total is None else _curve(seen, total))


def _curve(seen: Snapshot, series: SeriesInfo) -> Curve:
    weight = composite.average_weight(series.count)
    return data.curve(seen.info.id, seen.info.version, series.key, x="step", width=composite.GRID, smoothing=weight)
