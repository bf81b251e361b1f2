"""A Plotly figure that is changed in place, so that zoom, hover and legend choices outlive every refresh.

`st.plotly_chart` mounts a new chart whenever the figure changes, which once a second means a flicker and a lost zoom.
This component (`assets/plot.js`) keeps the chart and hands it the new data. It also reports the window that the reader
zoomed to, so that the page can read that part of the curve in full.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import streamlit as st

from dashboard import assets, component, readings
from dashboard.address import Written
from dashboard.charts.figure import Figure


def plot(figure: Figure, *, key: str, alt: str, bar: bool = True) -> None:
    """Show a figure; one of the same key is changed in place.

    Args:
        figure: with its height in the layout; `uirevision` says how long the reader's zoom is kept.
        key: the chart's identity.
        alt: the chart in a sentence, for screen readers.
        bar: show Plotly's buttons on hover.
    """
    written = readings.once(f"{key} written", (figure,), figure.to_json)
    data = {
        "figure": written, "height": figure.height, "alt": alt, "bar": bar, "plotly": assets.url(assets.PLOTLY),
    }  # fmt: skip
    component.show("plot", data, key=key, tells=("window",), height=figure.height)


def zoom(key: str, revision: str, written: str) -> Zoom:
    """What part of the x axis the reader looks at: what was zoomed to last, or what the address asks for.

    The address follows the reader's zoom. Where it says something else than what was written there last, somebody came
    by a link or went back, and the chart follows the address.

    Args:
        key: of the plot.
        revision: a zoom under another one no longer holds; the figure's `uirevision` has to be that of the answer.
        written: what the address says now, "" for nothing.
    """
    known: dict[str, Zoom] = st.session_state.setdefault("_zooms", {})
    last = known.get(key)
    told = component.told(key, "window")  # `revision`, `range` or None for all, and `n`, which differs each time
    heard = last.address.read(written) if last is not None else None
    if last is None or last.axes != revision:
        found = Written(written) if heard is None else heard.write("", said=written)  # other axes have other numbers
        last = Zoom.begun(revision, found)
    elif heard is None:
        last = replace(Zoom.begun(revision, Written(written)), turn=last.turn + 1, told=last.told)
    else:
        last = replace(last, address=heard)
    if isinstance(told, dict) and told["revision"] == last.revision and told["n"] != last.told:
        span = parsed(",".join(map(str, told["range"]))) if told["range"] else None
        last = replace(last, told=told["n"], span=span, address=last.address.write(as_written(span), said=written))
    known[key] = last
    return last


@dataclass(frozen=True, slots=True)
class Zoom:
    """What a chart shows of its x axis.

    Attributes:
        span: left and right end in the axis' own unit; None where all is shown.
        asked: the span that the chart begins with under this revision.
        axes: those under which it holds.
        address: the zoom as it was written there.
        turn: how often the address has said something new.
        told: names what the browser told last.
    """

    span: tuple[float, float] | None
    asked: tuple[float, float] | None
    axes: str
    address: Written[str]
    turn: int = 0
    told: object = None

    @classmethod
    def begun(cls, axes: str, address: Written[str]) -> Zoom:
        """What the address asks for."""
        return cls(parsed(address.value), parsed(address.value), axes, address)

    @property
    def revision(self) -> str:
        """The figure's `uirevision`."""
        return f"{self.axes} {self.turn}"

    @property
    def written(self) -> str:
        """What the address is to say, "" for nothing."""
        return self.address.value


def parsed(written: str) -> tuple[float, float] | None:
    """A zoom as the address has it; None where it is not one.

    >>> parsed("100,2000.5"), parsed("2,1"), parsed("a,b"), parsed("0,inf"), parsed("")
    ((100.0, 2000.5), (1.0, 2.0), None, None, None)
    """
    try:
        low, high = sorted(float(part) for part in written.split(","))
    except ValueError:
        return None
    return (low, high) if math.isfinite(low) and math.isfinite(high) and low < high else None


def as_written(span: tuple[float, float] | None) -> str:
    """A zoom as the address has it; "" for none."""
    return "" if span is None else ",".join(f"{end:.10g}" for end in span)
