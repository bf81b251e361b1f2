"""A Plotly figure that is changed in place, so that zoom, hover and legend choices outlive every refresh.

`st.plotly_chart` mounts a new chart whenever the figure changes, which once a second means a flicker and a lost zoom.
This component (`assets/plot.js`) keeps the chart and hands it the new data. It also reports the window that the reader
zoomed to, so that the page can read that part of the curve in full.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from dashboard import assets, readings
from dashboard.address import Written
from dashboard.charts.figure import Figure
from dashboard.live import safe_key


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
    _component()(key=safe_key(key), data=data, height=figure.height, on_window_change=_noticed)


@functools.cache
def _component() -> Callable[..., object]:
    """Streamlit's component, which is registered once."""
    return st.components.v2.component("monitor_plot", js=assets.module("plot.js"), isolate_styles=False)


def zoom(key: str, revision: str, written: str) -> Zoom:
    """What part of the x axis the reader looks at: what was zoomed to last, or what the address asks for.

    The address follows the reader's zoom. Where it says something else than what was written there last, somebody came
    by a link or went back, and the chart follows the address.

    Args:
        key: of the plot.
        revision: a zoom under another one no longer holds; the figure's `uirevision` has to be that of the answer.
        written: what the address says now, "" for nothing.
    """
    known: dict[str, _Known] = st.session_state.setdefault("_zooms", {})
    last = known.get(key)
    told = _told(key)
    heard = last.address.read(written) if last is not None else None
    if last is None or last.revision != revision:
        found = Written(written) if heard is None else heard.write("", said=written)  # other axes have other numbers
        last = _Known(revision, 0, parsed(found.value), found, None, parsed(found.value))
    elif heard is None:
        last = _Known(revision, last.turn + 1, parsed(written), Written(written), last.told, parsed(written))
    else:
        last = replace(last, address=heard)
    if told is not None and told["revision"] == last.name and told["n"] != last.told:
        span = parsed(",".join(map(str, told["range"]))) if told["range"] else None
        last = replace(last, told=told["n"], span=span, address=last.address.write(_written(span), said=written))
    known[key] = last
    return Zoom(last.span, last.name, last.address.value, last.asked)


@dataclass(frozen=True, slots=True)
class Zoom:
    """What a chart shows of its x axis.

    Attributes:
        span: left and right end in the axis' own unit; None where all is shown.
        revision: the figure's `uirevision`.
        written: what the address is to say, "" for nothing.
        asked: the span that the chart begins with under this revision.
    """

    span: tuple[float, float] | None
    revision: str
    written: str
    asked: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a chart's zoom.

    Attributes:
        turn: how often the address has said something new.
        address: the zoom as it was written there.
    """

    revision: str
    turn: int
    span: tuple[float, float] | None
    address: Written[str]
    told: object
    asked: tuple[float, float] | None

    @property
    def name(self) -> str:
        """The figure's `uirevision`."""
        return f"{self.revision} {self.turn}"


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


def _written(span: tuple[float, float] | None) -> str:
    return "" if span is None else ",".join(f"{end:.10g}" for end in span)


def _told(key: str) -> dict[str, Any] | None:
    """What the browser said last: `revision`, `range` or None for all, and `n`, which differs each time."""
    state = st.session_state.get(safe_key(key))
    value = state.get("window") if state is not None else None
    return value if isinstance(value, dict) else None


def _noticed() -> None:
    """Streamlit keeps a state value only where it has a callback; pages read it with `zoom`."""
