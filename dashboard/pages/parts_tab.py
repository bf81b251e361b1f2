"""The tab of a run's page that shows the parts of a composite loss."""

from __future__ import annotations

from dashboard import data, live, viewer
from dashboard import parts as composite
from dashboard.charts import parts as pictures
from dashboard.markup import pieces
from dashboard.pages import widgets
from dashboard.parts import PREFIX, Parts, Weighting
from dashboard.plot import plot
from monitor.domain import RunSnapshot
from monitor.domain.formats import count
from monitor.errors import MonitorError
from monitor.roles import Role


def show(seen: RunSnapshot) -> None:
    """Draw the parts of a run that has some: shares or values, the weights where they changed, and a caption."""
    try:
        weights = composite.weighting(data.events(seen.info), seen.info.loss)
        parts = _parts(seen, weights)
    except MonitorError as error:
        live.html(pieces.problem(error, testid="unreachable"), key="no-parts")
        return
    quantity = _quantity(parts)
    look = viewer.look("step", "linear", revision=f"{seen.info.id} parts {quantity}")
    figure = pictures.shares_figure if quantity == "share" else pictures.values_figure
    plot(figure(parts, look), key="parts_chart", alt=f"The parts of the loss, as {quantity}: {', '.join(parts.values)}")
    live.html(pieces.caption(composite.captions(parts, weights), testid="parts-caption"), key="parts_caption")
    if weights.dynamic:
        plot(pictures.weights_figure(parts, look), key="weights_chart", alt="The weight of each part", bar=False)


def _quantity(parts: Parts) -> str:
    """Shares or values, as the reader chose; values where shares would not add up."""
    if parts.negative:
        which = ", ".join(
            f"{name} at {n:,} of {count(len(parts.x), 'drawn step')}" for name, n in parts.negative.items()
        )
        note = f"Negative: {which}. Shares would not add up, so the weighted parts are drawn as lines."
        live.html(pieces.notice("info", "A part is negative.", note, testid="negative-parts"), key="negative_parts")
        return "value"
    shown = {"share": "share of the sum", "value": "absolute values"}
    return widgets.one_of("Parts as", tuple(shown), "parts_as", shown=shown.__getitem__)


def _parts(seen: RunSnapshot, weights: Weighting) -> Parts:
    """All parts, and the total if there is one, in one request."""
    parts, total = seen.of_role(Role.PART), seen.judged(Role.TRAIN)
    series = [*parts, *([total] if total is not None else [])]
    wanted = [(seen.info, s.key, composite.average_weight(s.count)) for s in series]
    read = data.curves(wanted, x="step", width=composite.GRID)
    found = {s.key.removeprefix(PREFIX): curve for s, curve in zip(parts, read, strict=False)}
    return composite.aligned(found, weights, None if total is None else read[-1])
